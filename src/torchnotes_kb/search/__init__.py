"""Query to hits: signatures, lexical, dense, fusion, abstention."""
