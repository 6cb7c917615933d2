"""What no mask of a mask network accounts for."""
