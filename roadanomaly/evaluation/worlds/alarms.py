"""Thresholds at which few false objects are left on ordinary worlds, and what they still find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from roadanomaly.errors import OptionError
from roadanomaly.evaluation.truth import require_truth, truth_of
from roadanomaly.evaluation.worlds.world import World
from roadanomaly.metrics import AlarmResult, Alarms
from roadanomaly.model import Model
from roadanomaly.seeded import score_image

GRID = 60
"""Thresholds that are tried, evenly spaced in the logarithm of the inlier pixels above them."""

MOST, LEAST = 0.2, 1e-6
"""Shares of the ordinary worlds' pixels above the lowest and the highest of them."""

Scores = list[tuple[str, np.ndarray, np.ndarray]]
"""Of a world: id, score and truth of each frame."""


@dataclass(frozen=True)
class Choice:
    """A threshold, and what it raises.

    Args:
        wanted: false objects a frame that it was to leave at most.
        threshold: of scores.
        false_a_frame: that it leaves, the mean over the ordinary worlds, each counted once.
        worlds: objects found and false ones, by world.
    """

    wanted: float
    threshold: float
    false_a_frame: float
    worlds: Mapping[str, AlarmResult]


def choose_thresholds(
    model: Model,
    worlds: Sequence[World],
    wanted: Sequence[float],
    step: Callable[[], object] | None = None,
) -> list[Choice]:
    """Find the lowest thresholds that leave so many false objects a frame on ordinary worlds.

    Of a grid of thresholds the lowest is taken at which, and above which, the mean over the
    ordinary worlds is at most what is wanted.

    Args:
        model: on its device.
        worlds: at least one of them ordinary, that is with inliers and without an anomaly.
        wanted: false objects a frame, of at least 500 pixels.
        step: called once a frame.

    Raises:
        OptionError: no world is ordinary, or a number is not positive.
        DataError: a frame cannot be read or scored.
    """
    if not all(one > 0 for one in wanted):
        msg = f"false objects a frame must be above 0, not {list(wanted)}."
        raise OptionError(msg)
    require_ordinary(worlds)
    scores = {world.name: _score(model, world, step) for world in worlds}
    ordinary = {
        name: found for name, found in scores.items() if is_ordinary(truth for _, _, truth in found)
    }
    grid = _grid(ordinary)
    left_at = cache(partial(_false_a_frame, ordinary))
    return [_choice(scores, one, *lowest_that_leaves(one, grid, left_at)) for one in wanted]


def lowest_that_leaves(
    wanted: float, grid: Sequence[float], left_at: Callable[[float], float]
) -> tuple[float, float]:
    """Return the lowest threshold at which, and above which, at most `wanted` is left.

    Args:
        wanted: false objects a frame.
        grid: thresholds, not falling.
        left_at: what a threshold leaves; asked from the highest down, no further than is needed.

    Returns:
        the threshold, and what it leaves: more than is wanted if even the highest leaves more.
    """
    chosen = grid[-1]
    for threshold in reversed(grid):
        if left_at(threshold) > wanted:
            break
        chosen = threshold
    return chosen, left_at(chosen)


def require_ordinary(worlds: Sequence[World]) -> None:
    """Refuse worlds of which none is ordinary, by their labels alone.

    Raises:
        OptionError: each of them shows an anomaly, or has no inlier pixel.
        DataError: a frame cannot be read, or has no label.
    """
    for world in worlds:
        if is_ordinary(truth_of(frame) for frame in world.frames):
            return
    names = ", ".join(world.name for world in worlds)
    msg = (
        "no world is ordinary: thresholds are chosen on the inlier pixels of frames without an "
        f"anomaly, and each of {names} shows one or is ignored throughout. Name a world that "
        "has inliers and no anomaly, too."
    )
    raise OptionError(msg)


def is_ordinary(truths: Iterable[np.ndarray]) -> bool:
    """Say whether frames show no anomaly, and an inlier pixel on which a false object could be.

    Args:
        truths: of the frames, `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore.
    """
    inlier = False
    for truth in truths:
        if (truth == 1).any():
            return False
        inlier = inlier or bool((truth == 0).any())
    return inlier


def _score(model: Model, world: World, step: Callable[[], object] | None) -> Scores:
    found = []
    model.eval()
    require_truth(world.frames)
    for frame in world.frames:
        score = score_image(model, frame.image, frame.id).score
        found.append((frame.id, score, truth_of(frame)))
        if step:
            step()
    return found


def _grid(ordinary: Mapping[str, Scores]) -> list[float]:
    """Return rising thresholds between two quantiles of the inlier scores."""
    pixels = np.concatenate(
        [score[truth == 0] for found in ordinary.values() for _, score, truth in found]
    )
    rates = np.geomspace(MOST, max(LEAST, 2 / pixels.size), GRID)
    return np.quantile(pixels, 1 - rates).tolist()


def _false_a_frame(ordinary: Mapping[str, Scores], threshold: float) -> float:
    return float(np.mean([_count(found, threshold).false_a_frame for found in ordinary.values()]))


def _count(found: Scores, threshold: float) -> AlarmResult:
    alarms = Alarms(threshold)
    for frame_id, score, truth in found:
        alarms.update(frame_id, score, truth)
    return alarms.compute()


def _choice(scores: Mapping[str, Scores], wanted: float, threshold: float, left: float) -> Choice:
    worlds = {name: _count(found, threshold) for name, found in scores.items()}
    return Choice(wanted, threshold, left, worlds)
