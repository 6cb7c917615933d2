"""Leaves out the scripts that need version 0.1, or anomalib."""

collect_ignore = ["make_references.py", "make_anomalib.py"]
