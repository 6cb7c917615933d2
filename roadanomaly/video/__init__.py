"""A trained detector on video: sources, a bounded pipeline, tracking, overlay and event log."""
