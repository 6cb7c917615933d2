"""What a protocol is: how a benchmark, or the literature on a set, scores its data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from roadanomaly.metrics.size_ranges import SizeRange

Further = Literal["per image", "open set", "instances", "TPR at 5 % FPR", "size ranges"]


@dataclass(frozen=True)
class Protocol:
    """How a data set is scored; the data set of the same name says which frames and region.

    Args:
        name: of the protocol and of its data set.
        source: who scores so.
        track: which component sizes count, `anomaly` or `obstacle`.
        averaging: `pooled` over all pixels, or `per image` where that literature averages so; the
            pooled numbers stand beside it then.
        further: metrics beside those of `score_frames`.
        region: option of the data set that takes the track; empty where it has none.
        towns: beginnings of ids; each town takes the threshold of open-mIoU from the other.
        size_ranges: named ranges of component sizes.
        on_ground: its truth counts drivable ground alone, which is what road detectors judge.
    """

    name: str
    source: str
    track: str = "anomaly"
    averaging: Literal["pooled", "per image"] = "pooled"
    further: tuple[Further, ...] = ()
    region: str = ""
    towns: tuple[str, ...] = ()
    size_ranges: Mapping[str, SizeRange] = field(default_factory=dict)
    on_ground: bool = False
