"""Correct (update): optimizers."""
