"""Densities of pixels: what a square of the image costs in bits."""
