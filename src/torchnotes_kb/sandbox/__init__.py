"""Code to run: what happened, isolated, warm, bounded."""
