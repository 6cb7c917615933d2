"""Several sets as one, to train on: each takes a given share of the frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.errors import OptionError, make_all
from roadanomaly.types import Frame


class Union(FrameSet):
    """Labelled sets of the same classes, side by side; small ones repeat to keep their share.

    The union is as long as it takes to hold every frame at least once. The id of a frame is
    `<set>.<turn>.<its own id>`: the number of the set and how often the frame came before.

    Args:
        sets: one mapping a set: `name`, out of the catalogue, `share` of the frames, the options
            of that set, and where wanted `size`, the height and width that its frames are brought
            to. Shares are relative: 2 and 1 are two thirds and one third.

    Raises:
        OptionError: no set, a share that is not positive, a size that is none, or sets of
            different classes.
        UnknownName: no set is called so.
    """

    source = "several sets"
    licence = "that of each set"

    def __init__(self, sets: Sequence[Mapping[str, Any]]) -> None:
        if not sets:
            msg = "`sets` of a union is empty. List at least one, as {name: camvid, share: 1}."
            raise OptionError(msg)
        shares = [_share(options) for options in sets]
        self.sets = make_all(_build, sets)
        self.classes = self.sets[0].classes
        for one in self.sets:
            if one.classes != self.classes:
                msg = (
                    f"the sets of a union must label the same classes, but {one.record()} has "
                    f"{len(one.classes)} and the first set {len(self.classes)}; see the option "
                    "`classes` of each."
                )
                raise OptionError(msg)
        self.shares = [share / sum(shares) for share in shares]
        whole = max(len(one) / share for one, share in zip(self.sets, self.shares, strict=True))
        self.places = [
            (number, place)
            for number in range(len(self.sets))
            for place in range(math.ceil(whole * self.shares[number] - 1e-9))
        ]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def title(self) -> str:
        """The titles of all sets, and folders where a name does not tell which set it is."""
        return f"union of {', '.join(map(_titled, self.sets))}"

    def __getitem__(self, index: int) -> Frame:
        number, place = self.places[index]
        turn, own = divmod(place, len(self.sets[number]))
        frame = self.sets[number][own]
        return replace(frame, id=_name(number, turn, frame.id))

    def frame_ids(self) -> list[str]:
        """Return the ids of all frames, in order; no frame is read where the sets read none."""
        ids = [one.frame_ids() for one in self.sets]
        turns = [(number, *divmod(place, len(ids[number]))) for number, place in self.places]
        return [_name(number, turn, ids[number][own]) for number, turn, own in turns]

    def own_ids(self) -> list[str]:
        """Return the ids that the frames have in their own sets."""
        ids = [one.own_ids() for one in self.sets]
        return [ids[number][place % len(ids[number])] for number, place in self.places]

    def files_of(self, frame_id: str) -> list[Path]:
        """Return those that the frame's own set reads it from."""
        number, _, own = frame_id.split(".", 2)
        return self.sets[int(number)].files_of(own)

    def record(self) -> dict[str, Any]:
        """Return each set's record with its share."""
        return {
            "name": "union",
            "count": len(self),
            "sets": [
                {"share": share, **one.record()}
                for share, one in zip(self.shares, self.sets, strict=True)
            ],
        }


def _titled(frames: FrameSet) -> str:
    record = frames.record()
    root = record.get("root")
    return frames.title if not root or root == record["name"] else f"{frames.title} ({root})"


def _name(number: int, turn: int, own: str) -> str:
    return f"{number:02}.{turn:03}.{own}"


def _share(options: Mapping[str, Any]) -> float:
    share = options.get("share", 1)
    if not (isinstance(share, int | float) and 0 < share < float("inf")):
        msg = f"the share of a set of a union is {share!r}; it must be a number above 0."
        raise OptionError(msg)
    return float(share)


def _build(options: Mapping[str, Any]) -> FrameSet:
    from roadanomaly.data import DATASETS

    if "name" not in options:
        msg = f"a set of a union has no `name`: {dict(options)}. Give one, such as `camvid`."
        raise OptionError(msg)
    own = {key: value for key, value in options.items() if key not in ("name", "share", "size")}
    frames = DATASETS.build(options["name"], own)
    return Resized(frames, _size(options["size"])) if "size" in options else frames


def _size(given: Any) -> tuple[int, int]:
    """Return height and width as they were given for a set."""
    whole = isinstance(given, list | tuple) and all(type(side) is int for side in given)
    if not whole or len(given) != 2 or min(given) < 1:
        msg = f"the `size` of a set of a union is {given!r}; give height and width, as [720, 960]."
        raise OptionError(msg)
    return given[0], given[1]
