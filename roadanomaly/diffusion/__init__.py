"""Denoisers and the densities that they bound."""
