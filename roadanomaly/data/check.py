"""Read every frame of a set once and tell what is wrong with it and what it consists of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from torch import Tensor

from roadanomaly.data.base import FrameSet
from roadanomaly.errors import DataError, UserError
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Frame

PROBLEM = "problem: "
"""What each line about a broken frame begins with."""


def check(frameset: FrameSet, limit: int | None = None) -> list[str]:
    """Read the frames and collect what is wrong; a broken frame never stops it.

    Args:
        frameset: the set.
        limit: read at most so many frames, spread evenly over the set; None reads all.

    Returns:
        One line a problem, each beginning with `PROBLEM`, then the summary: frames read, image
        sizes, share of the pixels by class and by inlier, anomaly and ignore.
    """
    count = len(frameset) if limit is None else max(0, min(limit, len(frameset)))
    problems: list[str] = []
    sizes: Counter[str] = Counter()
    labels, truths = np.zeros(256, np.int64), np.zeros(256, np.int64)
    broken, seen = 0, set()
    for index in np.linspace(0, len(frameset) - 1, count).round().astype(int).tolist():
        try:
            frame = frameset[index]
        except (UserError, OSError) as error:
            problems.append(str(error))
            broken += 1
            continue
        found = _faults(frame, len(frameset.classes))
        if frame.id in seen:
            found.append(f"{frame.id}: a second frame has this id.")
        seen.add(frame.id)
        problems += found
        broken += bool(found)
        sizes[f"{frame.image.shape[2]}×{frame.image.shape[1]}"] += 1
        labels += _histogram(frame.label)
        truths += _histogram(frame.truth)
    lines = [PROBLEM + " ".join(problem.split()) for problem in problems]
    lines.append(f"frames: {count} read of {len(frameset)}, {broken} with problems")
    return lines + _summary(frameset.classes, sizes, labels, truths)


def check_splits(
    published: Mapping[str, int | None],
    opened: Callable[[str], FrameSet],
    limit: int | None = None,
) -> list[str]:
    """Count and check one split after the other; one that is missing never stops it.

    Args:
        published: frames of each split that is asked for; None where nobody published them.
        opened: opens a split.
        limit: as that of `check`, for each split.

    Returns:
        for each split a line that counts it, what is missing of it, and what `check` says.

    Raises:
        DataError: no split can be opened; that of the first.
    """
    lines: list[str] = []
    lost: list[DataError] = []
    for name, frames in published.items():
        try:
            found = opened(name)
        except DataError as error:
            lost.append(error)
            lines.append(f"split {name}: none of {frames} frames can be read")
            lines.append(f"{PROBLEM}the split {name} is not whole: {' '.join(str(error).split())}")
            continue
        lines += _counted(name, len(found), found.published.get(name))
        lines += check(found, limit)
    if len(lost) == len(published):
        raise lost[0]
    return lines


def _counted(name: str, here: int, published: int | None) -> list[str]:
    if published is None:
        return [f"split {name}: {here} frames"]
    lines = [f"split {name}: {here} of {published} frames"]
    if here != published:
        off = f"{abs(here - published)} {'missing' if here < published else 'too many'}"
        lines.append(f"{PROBLEM}the split {name} has {here} frames, not {published}: {off}.")
    return lines


MEANINGS = {
    INLIER: "inlier of unknown class",
    VOID: "void",
    NEGATIVE: "negative",
    IGNORE: "ignore",
}


def _summary(
    classes: tuple[str, ...], sizes: Counter[str], labels: np.ndarray, truths: np.ndarray
) -> list[str]:
    lines = []
    if sizes:
        lines.append("sizes: " + ", ".join(f"{size} ({n})" for size, n in sizes.most_common()))
    if labels.any():
        names = dict(enumerate(classes)) | MEANINGS
        lines.append("classes: " + _shares(labels, names))
    if truths.any():
        lines.append("truth: " + _shares(truths, {0: "inlier", 1: "anomaly", IGNORE: "ignore"}))
    return lines


def _faults(frame: Frame, classes: int) -> list[str]:
    size, faults = frame.image.shape[-2:], []
    for what, mask in (("label", frame.label), ("anomaly mask", frame.anomaly)):
        if mask is not None and mask.shape != size:
            faults.append(
                f"{frame.id}: the {what} is {tuple(mask.shape)}, but the image {tuple(size)}."
            )
    if frame.label is not None:
        ids = np.flatnonzero(_histogram(frame.label))
        unknown = [int(i) for i in ids if i >= classes and i not in MEANINGS]
        if unknown:
            faults.append(f"{frame.id}: the label ids {unknown} are of no class.")
    return faults


def _histogram(mask: Tensor | None) -> np.ndarray:
    return np.zeros(256, np.int64) if mask is None else np.bincount(mask.ravel(), minlength=256)


def _shares(counts: np.ndarray, names: dict[int, str]) -> str:
    total = counts.sum()
    return ", ".join(
        f"{names.get(i, f'id {i}')} {100 * counts[i] / total:.2f}%"
        for i in np.flatnonzero(counts).tolist()
    )
