"""Tables as values: what stands in them, and how they are written for people and programs."""
