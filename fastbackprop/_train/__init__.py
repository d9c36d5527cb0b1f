"""Many steps, and what they measured."""
