"""From the values of one message to what went wrong in them, family by family."""
