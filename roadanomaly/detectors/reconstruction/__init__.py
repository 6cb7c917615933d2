"""Detectors that rebuild the image, and score what they cannot rebuild."""
