"""Leaves out the script that only version 0.1 can run."""

collect_ignore = ["make_references.py"]
