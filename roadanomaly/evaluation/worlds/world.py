"""What a held-out world is, and how a config describes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from roadanomaly.data.base import FrameSet


@dataclass(frozen=True)
class World:
    """Frames with a truth: with anomalies in them, or ordinary ones without any.

    Args:
        name: in tables and files.
        frames: a world with anomalies if a label of any of them says so, else an ordinary one.
        options: as the config gives them, for the record; empty where it was built by hand.
    """

    name: str
    frames: FrameSet
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WorldOptions:
    """What a config says of a world.

    Args:
        data: the set, out of the catalogue: `{name: camvid, split: val}`.
        frames: how many of its frames, evenly spaced, the first and the last among them; 0 for all.
        others: the frames that `frames` leaves out, in place of those: another world of one set.
        size: height and width that frames are brought to first; None keeps their own.
        negatives: source of what is put into the frames, the same at every reading; None for none.
        missing: what happens where the set is not there: `refuse`, or `skip` the world.
    """

    data: dict[str, Any]
    frames: int = 0
    others: bool = False
    size: tuple[int, int] | None = None
    negatives: dict[str, Any] | None = None
    missing: Literal["refuse", "skip"] = "refuse"
