"""Compare what lies on disk of a benchmark's set with what was published, and say what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from roadanomaly.data import DATASETS
from roadanomaly.data.benchmark import BenchmarkSet, Files
from roadanomaly.data.cards import Card, find_top
from roadanomaly.data.check import PROBLEM, check
from roadanomaly.data.handed_round import VERSION, is_handed_round
from roadanomaly.data.images import read_label
from roadanomaly.data.labelled import LabelledSet
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.files import expanded

NOTE = "note: "
"""What each line begins with about something odd that does not make a set incomplete."""

TRUTH = "truth: "
"""What the line of `check` begins with that gives the shares of inliers and anomalies."""

SHOWN = 8
"""How many ids a line names before it says how many more there are."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Args:
        root: the set's top folder.
        lines: the report; problems begin with `PROBLEM`, oddities with `NOTE`.
    """

    root: Path
    lines: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """The lines that say what is wrong or missing."""
        return tuple(line for line in self.lines if line.startswith(PROBLEM))


def diagnose(
    kind: type[BenchmarkSet],
    root: str | Path | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Diagnosis:
    """Recognise the layout, count every split, and read the frames.

    Args:
        kind: the set's class.
        root: the folder that holds the set's top folder or is it.
        split: ask only for this split; None asks for all of them.
        limit: read at most so many frames, spread over the set; None reads all.
        options: further ones of the set's constructor.

    Raises:
        DataError: the folder is absent or has another layout; names the set that it looks like.
        OptionError: no such split.
    """
    card = kind.card
    if split is not None and split not in card.splits:
        msg = f"`split` of {card.name} is {split!r}; {nearest(split, card.splits)}"
        raise OptionError(msg)
    try:
        top = find_top(card, root)
    except DataError as error:
        raise DataError(f"{error}{_looks_like(kind, root)}") from error
    found = kind.scan(top)
    copied = is_handed_round(top)
    asked = [split] if split else [card.default] if copied else list(card.splits)
    lines = [f"found: {top.absolute()}", *_about(kind, top, found)]
    for name in asked:
        lines += _count(kind, name, found, None if copied else kind.official(name))
    wanted = {key for name in asked for key in kind.members(name, found)}
    lines += _pairs(kind, found, wanted, whole=split is None)
    lines += _contents(kind.open_everything(top, options or {}), wanted, limit)
    if not wanted and (hint := _looks_like(kind, top)):
        lines.append(f"{PROBLEM}no frame here is of {card.name}.{hint}")
    if any(line.startswith(PROBLEM) for line in lines):
        lines.append(f"where to get the rest: {card.where}")
        lines.append(f"layout: {card.tops[0]}/: {card.layout}")
    return Diagnosis(top, tuple(lines))


def _about(kind: type[BenchmarkSet], top: Path, found: Mapping[str, Files]) -> list[str]:
    """Say which version it is and what its number of images means."""
    images = sum(one.image is not None for one in found.values())
    formats = Counter(one.image.suffix for one in found.values() if one.image)
    version = VERSION if is_handed_round(top) else kind.version(top)
    lines = [f"version: {version}"] if version else []
    listed = ", ".join(f"{count} {suffix}" for suffix, count in formats.most_common())
    means = kind.card.totals.get(images)
    explained = f": {means}" if means else ""
    return [*lines, f"images: {images} ({listed or 'none'}){explained}"]


def _count(
    kind: type[BenchmarkSet],
    name: str,
    found: Mapping[str, Files],
    official: frozenset[str] | None,
) -> list[str]:
    """Compare one split with its published count, and name what differs where ids are known."""
    split = kind.card.splits[name]
    ids = set(kind.members(name, found))
    labelled = sum(found[key].label is not None for key in ids)
    hidden = sum(found[key].label is None and not kind.is_public(key) for key in ids)
    truth = f"{labelled} with truth" + (f", {hidden} hidden" if hidden else "")
    published = "an unknown number" if split.frames is None else split.frames
    lines = [f"split {name}: {len(ids)} of {published} frames, {truth} ({split.rule})"]
    if not ids and split.frames is None:
        return [*lines, f"{PROBLEM}the split {name} has no frame."]
    problems = []
    if split.frames is not None and len(ids) != split.frames:
        off = len(ids) - split.frames
        what = f"{abs(off)} {'missing' if off < 0 else 'too many'}"
        problems = [f"the split {name} has {len(ids)} frames, not {split.frames}: {what}"]
    if official is not None and official != ids:
        problems = problems or [f"the split {name} has {len(ids)} frames, but not the published"]
        for word, odd in (("missing are", official - ids), ("superfluous are", ids - official)):
            problems += [f"{word} {shorten(sorted(odd), SHOWN)}"] if odd else []
    return [*lines, f"{PROBLEM}{'; '.join(problems)}."] if problems else lines


def _pairs(
    kind: type[BenchmarkSet], found: Mapping[str, Files], wanted: set[str], *, whole: bool
) -> list[str]:
    """Name images without a label, labels without an image, and frames of no split."""
    unlabelled = (key for key in wanted if found[key].label is None and kind.is_public(key))
    lines = _named("frames whose truth is public have no label file", unlabelled)
    if whole:
        alone = (key for key, one in found.items() if one.image is None)
        lines += _named("label files have no image", alone)
        strange = kind.strangers(found)
        lines += _named(f"files are superfluous, of no split of {kind.card.name}", strange)
    return lines


def _named(what: str, ids: Iterable[str]) -> list[str]:
    listed = sorted(ids)
    return [f"{PROBLEM}{len(listed)} {what}: {shorten(listed, SHOWN)}."] if listed else []


def _contents(frames: BenchmarkSet, wanted: set[str], limit: int | None) -> list[str]:
    """Read images and labels; a broken one never stops it."""
    frames.files = {key: one for key, one in frames.files.items() if key in wanted}
    frames.ids = sorted(frames.files)
    if not frames.ids:
        return []
    count = len(frames) if limit is None else max(0, min(limit, len(frames)))
    places = np.linspace(0, len(frames) - 1, count).round().astype(int).tolist()
    keys = [frames.ids[place] for place in places]
    read = [frames.files[key] for key in keys]
    lines = check(frames, limit)
    if not isinstance(frames, LabelledSet):
        lines = [line for line in lines if not line.startswith("classes: ")]
        scored = frames.members(frames.card.default, {key: frames.files[key] for key in keys})
        if scored:
            lines += _no_anomaly(frames.card, lines, whole=count == len(frames))
    return lines + _sizes(frames.card, read) + _stray_ids(frames.card, read)


def _no_anomaly(card: Card, lines: list[str], *, whole: bool) -> list[str]:
    """Report truth without any anomaly, of the split that is scored; others may lack them.

    Args:
        card: of the set.
        lines: what `check` said.
        whole: no frame was left out.
    """
    told = [line for line in lines if line.startswith(TRUTH)]
    if not told or " anomaly " in told[0]:
        return []
    what = "the masks of the frames that were read show no anomaly"
    if not whole:
        return [f"{NOTE}{what}; read all frames to be sure."]
    return [
        f"{PROBLEM}{what}, so nothing can be scored. The set defines: {card.coding}. Where these "
        "masks mean anomaly by another value, write them again with the set's own."
    ]


def _sizes(card: Card, files: list[Files]) -> list[str]:
    """Note images of another size than published, by their headers."""
    if card.size is None:
        return []
    width, height = card.size
    odd = 0
    for one in files:
        try:
            if one.image is not None and one.image.suffix != ".npz":
                with Image.open(one.image) as image:
                    odd += image.size != card.size
        except (OSError, UnidentifiedImageError):
            continue
    if not odd:
        return []
    return [
        f"{NOTE}{odd} of {len(files)} images are not {width}×{height} as published; component "
        "sizes count in pixels, so numbers on them are not the benchmark's."
    ]


def _stray_ids(card: Card, files: list[Files]) -> list[str]:
    """Report ids in label files that the set does not define."""
    strays: dict[int, int] = {}
    for one in files:
        if one.label is None:
            continue
        try:
            ids = np.flatnonzero(np.bincount(read_label(one.label).ravel(), minlength=256))
        except (DataError, OSError):
            continue
        for stray in set(ids.tolist()) - card.ids:
            strays[stray] = strays.get(stray, 0) + 1
    return [
        f"{PROBLEM}the id {stray} stands in {count} label files, but the set defines: "
        f"{card.coding}."
        for stray, count in sorted(strays.items())
    ]


def _looks_like(kind: type[BenchmarkSet], root: str | Path | None) -> str:
    """Name another set whose top folder lies there; empty where none does."""
    if root is None:
        return ""
    base = expanded(root)
    there = {base.name, *(path.name for path in base.iterdir())} if base.is_dir() else set()
    kinds = [DATASETS.get(name) for name in DATASETS]
    others = [one for one in kinds if issubclass(one, BenchmarkSet) and one is not kind]
    for other in sorted(others, key=lambda one: len(one.__mro__)):
        for top in sorted(there.intersection(other.card.tops) - set(kind.card.tops)):
            name = other.card.name
            return f" The folder {top} is that of `{name}`: run `roadanomaly data check {name}`."
    return ""
