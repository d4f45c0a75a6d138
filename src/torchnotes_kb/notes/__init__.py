"""What a note is: model, Markdown parser with positions, lint, chunking."""
