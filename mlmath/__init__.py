"""The algorithms of the book, one module per chapter, written to be read beside it."""
