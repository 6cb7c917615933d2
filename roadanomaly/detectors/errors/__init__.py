"""Detectors that learn where a segmenter errs."""
