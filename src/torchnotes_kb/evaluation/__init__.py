"""How good the search is: queries and judgements in, measures and a report out."""
