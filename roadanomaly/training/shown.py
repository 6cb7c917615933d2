"""What a training shows, in a line: frames and negatives with their counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadanomaly.training.task import Task

COUNTED = {"cutouts": "cut-outs", "pictures": "pictures", "textures": "textures"}
"""Counts in a source's record, and what they are of."""


def shown(task: Task) -> str:
    """Return which frames a run learns from, and which negatives."""
    line = f"learns from {len(task.frames)} frames of {task.frames.title}"
    return f"{line}; negatives: {of_source(task.source.record())}" if task.source else line


def of_source(record: Mapping[str, Any]) -> str:
    """Return a source of negatives with the count of what it draws from.

    >>> of_source({"name": "whole_pictures", "root": "coco_more", "pictures": 120})
    'whole_pictures, 120 pictures of coco_more'
    """
    if "sources" in record:
        return " + ".join(map(of_source, record["sources"]))
    known = [(record[key], words) for key, words in COUNTED.items() if key in record]
    counts = [f"{number} {words}" for number, words in known if isinstance(number, int)]
    if not counts:
        return str(record["name"])
    where = f" of {record['root']}" if "root" in record else ""
    return f"{record['name']}, {' and '.join(counts)}{where}"
