"""Sequential: the four words by hand; how models are built and kept in files."""
