"""A small web page that shows a live source, its scores and its events."""
