"""The passes in which a detector collects statistics, over held-in and held-out frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from roadanomaly.catalogue import called
from roadanomaly.data.base import FrameSet
from roadanomaly.data.groups import groups
from roadanomaly.data.parts import place_of
from roadanomaly.data.stack import stack
from roadanomaly.data.subset import Picked
from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.errors import DataError, OptionError
from roadanomaly.model import Model
from roadanomaly.precision import autocast
from roadanomaly.progress import progress
from roadanomaly.types import Batch

HELD_OUT = 0.1
"""Share of the frames that is held out where nothing else is said."""


@dataclass(frozen=True)
class Split:
    """A set in two parts of whole frames.

    Args:
        held_in: what is learned from.
        held_out: what is not; empty where no pass asks for it.
    """

    held_in: FrameSet
    held_out: FrameSet

    def of(self, one: Pass) -> FrameSet:
        """Return the frames that a pass sees."""
        return self.held_out if one.held_out else self.held_in


def split_for(detector: Detector, frames: FrameSet, share: float = HELD_OUT) -> Split:
    """Split a set as a detector's passes ask; without a held-out pass all frames are held in.

    The hash of a frame's own id decides, the same everywhere and for ever: a frame is held out if
    its place in 0..1 is below `share`. Where that leaves one part empty, it gets the frame whose
    place is nearest. A frame that a union repeats or takes from several sets is one frame.

    Args:
        detector: whose passes the frames are for.
        frames: with ids.
        share: of the frames, to be held out.

    Raises:
        OptionError: a share that is not between 0 and 1.
        DataError: fewer than two different frames to split.
    """
    if not 0 < share < 1:
        msg = f"`held_out` must lie between 0 and 1, not {share}: it is a share of the frames."
        raise OptionError(msg)
    if not any(one.held_out for one in detector.fit_passes):
        return Split(frames, Picked(frames, []))
    ids = frames.own_ids()
    order = sorted(set(ids), key=place_of)
    if len(order) < 2:
        msg = f"this detector holds out whole frames, and the set has {len(order)}: give 2 or more."
        raise DataError(msg)
    count = sum(place_of(name) < share for name in order)
    held_out = set(order[: min(max(count, 1), len(order) - 1)])
    inside = [number for number, name in enumerate(ids) if name not in held_out]
    outside = [number for number, name in enumerate(ids) if name in held_out]
    return Split(Picked(frames, inside), Picked(frames, outside))


def fit(model: Model, frames: FrameSet, held_out: float = HELD_OUT, batch: int = 1) -> None:
    """Fit a detector of kind `fit`: all its passes, in order.

    Args:
        model: on its device.
        frames: inlier frames.
        held_out: share of the frames for the held-out passes; without effect where there are none.
        batch: frames that are segmented together, at most.

    Raises:
        DataError: labels of other classes than the segmenter's, where the detector reads classes.
        UserError: as `split_for` and `run_passes` say.
    """
    if model.detector.reads_classes:
        frames.require_classes(model.segmenter.classes, "the segmenter")
    split = split_for(model.detector, frames, held_out)
    size = 1 if model.head.one_by_one else batch
    run_passes(model, model.detector.fit_passes, split, size)


def fit_refiners(model: Model, frames: FrameSet, batch: int = 1) -> None:
    """Fit the refiners that learn, one after the other, each on the scores that enter it.

    Args:
        model: on its device, its detector prepared.
        frames: labelled frames, those that the refiners are to be right on; never a test set.
        batch: frames that are scored together, at most.

    Raises:
        UserError: a frame cannot be read, or the frames hold too little to learn from.
    """
    model.eval()
    size = 1 if model.head.one_by_one else batch
    for refiner in model.head.refiners:
        if not refiner.learns:
            continue
        refiner.begin()
        for here in _batches(model, frames, size, called(refiner)):
            model.detector.reset()
            with model.head.inference():
                with autocast(model.precision, model.device):
                    segmentation = model.head.look(model.segmenter, here.image).named(here.ids)
                    score = model.head.score_for(refiner, segmentation, here.image)
                with autocast("f32", model.device):
                    refiner.update(score.float(), segmentation.in_float32(), here)
        refiner.finish()


@torch.inference_mode()
def run_passes(
    model: Model, passes: Sequence[Pass], split: Split, batch: int = 1, *, quiet: bool = False
) -> None:
    """Walk over frames once a pass, and let the detector collect.

    The network computes in the model's precision, the statistics in float32.

    Args:
        model: on its device; it is put into inference mode.
        passes: some of the detector's, in their order.
        split: the frames.
        batch: frames that are segmented together; only those of one size are.
        quiet: show no progress.

    Raises:
        DataError: a frame cannot be read, or the frames hold too little to learn from.
    """
    model.eval()
    for one in passes:
        what = one.name.replace("_", " ")
        model.detector.begin(one.name)
        for here in _batches(model, split.of(one), batch, what, quiet=quiet):
            model.detector.reset()
            with autocast(model.precision, model.device):
                segmentation = model.detector.look(model.segmenter, here.image).named(here.ids)
            with autocast("f32", model.device):
                model.detector.update(segmentation.in_float32(), here, one.name)
        with autocast("f32", model.device):
            model.detector.finish(one.name)


def _batches(
    model: Model, frames: FrameSet, size: int, what: str, *, quiet: bool = False
) -> Iterator[Batch]:
    """Yield frames on the model's device, read ahead, and show how far the walk has come."""
    numbers = progress(range(len(frames)), what, quiet=quiet)
    for group in groups(frames, numbers, size, model.device):
        yield stack([frame.to(model.device) for _, frame in group]).to(model.device)
