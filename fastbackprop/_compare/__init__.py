"""Compare (loss): losses and targets."""
