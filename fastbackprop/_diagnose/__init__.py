"""What keeps a network from learning; gradients checked by differences."""
