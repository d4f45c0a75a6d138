"""The page for people: server-rendered, in both languages, with a little script of our own."""
