"""Predict (forward): activations, initial weights, the dense layer."""
