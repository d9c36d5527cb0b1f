"""Blame (backward, gradient): derivatives as results."""
