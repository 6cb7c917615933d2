"""What is known of a benchmark's data set, and where its top folder is found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roadanomaly.data.handed_round import is_copy_of
from roadanomaly.data.roots import ENVIRONMENT, find_root, shorten
from roadanomaly.errors import DataError
from roadanomaly.files import expanded


@dataclass(frozen=True)
class Split:
    """One split of a set.

    Args:
        frames: how many the publishers count; None where no source for it was found.
        public: whether its ground truth can be downloaded.
        rule: which frames belong to it.
    """

    frames: int | None
    public: bool = True
    rule: str = ""


@dataclass(frozen=True)
class Card:
    """The facts about a set.

    Args:
        name: as the catalogue has it.
        source: title, paper, size.
        licence: under what terms.
        where: where it is downloaded.
        layout: files below the top folder.
        coding: what the ids in the label files mean.
        tops: usual names of the top folder, the official one first.
        markers: paths below the top folder; at least one is there.
        splits: by name.
        default: the split that is taken when none is named.
        ids: values that label files may hold.
        size: usual (width, height) in pixels, or None where the images differ.
        sums: how the counts of the splits add up.
        totals: number of frames on disk, and what such a copy is.
        unverified: what no primary source was found for.
    """

    name: str
    source: str
    licence: str
    where: str
    layout: str
    coding: str
    tops: tuple[str, ...]
    markers: tuple[str, ...]
    splits: Mapping[str, Split]
    default: str
    ids: frozenset[int]
    size: tuple[int, int] | None = None
    sums: tuple[str, ...] = ()
    totals: Mapping[int, str] = field(default_factory=dict)
    unverified: tuple[str, ...] = ()

    def as_lines(self) -> list[str]:
        """Return the card in text, one fact a line."""
        lines = [
            f"{self.name}: {self.source}",
            f"licence: {self.licence}",
            f"download: {self.where}",
            f"layout: {self.tops[0]}/: {self.layout}",
            f"ids: {self.coding}",
        ]
        lines += [f"counts: {line}" for line in self.sums]
        lines += [f"unverified: {line}" for line in self.unverified]
        return lines

    def hidden(self, frame_id: str) -> str:
        """Return why a frame of a split without public truth cannot be scored."""
        shown = [name for name, split in self.splits.items() if split.public]
        instead = f"score the split {' or '.join(shown)} instead, or " if shown else ""
        return (
            f"the ground truth of {frame_id} is hidden: {self.name} keeps it on the benchmark's "
            f"server, so nothing can be scored here; {instead}"
            "export a submission and let the benchmark score it."
        )


def find_top(card: Card, root: str | Path | None = None) -> Path:
    """Return the top folder of a set.

    Args:
        card: of the set.
        root: the folder that holds the top folder or is it; None looks into the folder that the
            environment variable names, or into `datasets/`.

    Raises:
        DataError: there is no such folder, or nothing in it has the set's layout.
    """
    base = Path(root if root is not None else os.environ.get(ENVIRONMENT) or "datasets")
    base = expanded(base)
    if not base.is_dir():
        return find_root(card.tops[0], root)
    for place in [*(base / top for top in (*card.tops, card.name)), base]:
        published = any((place / marker).is_dir() for marker in card.markers)
        if published or is_copy_of(card.name, place):
            return place
    held = sorted(path.name + "/" * path.is_dir() for path in base.iterdir())
    msg = (
        f"{base.absolute()} has not the layout of `{card.name}`: looked for "
        f"{' or '.join(f'{marker}/' for marker in card.markers)} in it and in its "
        f"{card.tops[0]}/, but it holds {shorten(held, 8) or 'nothing'}. Name by `root` "
        f"(--root of `evaluate` and `data check`) the folder that holds {card.tops[0]}/ or is it; "
        f"its files are: {card.layout}. "
        f"Download: {card.where}"
    )
    raise DataError(msg)
