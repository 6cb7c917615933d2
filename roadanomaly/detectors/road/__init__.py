"""What does not belong on drivable ground: the road rebuilt and compared."""
