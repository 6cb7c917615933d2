"""The parts that draw procedural road scenes: one idea a file."""
