"""Protocols: which data, sizes and averaging a benchmark scores with."""
