"""Traceback to diagnosis."""
