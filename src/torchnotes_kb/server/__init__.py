"""MCP and what is mounted beside it over HTTP."""
