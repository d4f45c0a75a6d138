"""Chunks, vectors and terms on disk: build, publish, open, check."""
