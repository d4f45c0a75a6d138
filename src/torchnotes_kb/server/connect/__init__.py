"""Entering this server into assistants' own configuration files, and nothing else of them."""
