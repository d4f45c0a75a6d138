"""Streamable HTTP: the door, tokens, metrics, logs, and the process that serves."""
