r"""What a filter of components would give that learned on the other held-out worlds.

    python benchmarks/component_filter.py default
    python benchmarks/component_filter.py runs/default --threshold -8 --config my_worlds.yaml

For each world a meta-classifier (`roadanomaly.refiners.meta_classifiers`) learns, from the worlds
that show neither its frames nor its objects, which components of at least 500 pixels above the
model's threshold are false. Those that it is surer of than a certainty are erased. Prints, a world,
false components a frame and the share of objects found, with all components and without the erased.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

import roadanomaly as ra
from roadanomaly.data.stack import stack
from roadanomaly.evaluation.worlds import World, open_worlds
from roadanomaly.metrics import Alarms
from roadanomaly.metrics.alarms import AlarmResult
from roadanomaly.progress import progress
from roadanomaly.refiners.meta_classification import judged
from roadanomaly.refiners.meta_classifiers import (
    BoostingClassifier,
    LogisticClassifier,
    MetaClassifier,
)
from roadanomaly.refiners.segments import Segments, find_segments

LEAST = 500
"""Pixels of a component that counts as an alarm."""

CLASSIFIERS = {"logistic": LogisticClassifier, "boosting": BoostingClassifier}
CERTAINTIES = (0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Seen:
    """One frame: its components, which of them are judged and which are true, and its truth."""

    components: Segments
    large: np.ndarray
    true: np.ndarray
    truth: np.ndarray


def origins(world: World) -> set[str]:
    """Return where a world's frames, and the objects that are pasted into them, come from."""
    parts = [world.options["data"], world.options.get("negatives") or {}]
    places = [one.get("images") or one.get("root") or one.get("name") for one in parts]
    return {str(one) for one in places if one}


@torch.inference_mode()
def seen(model: ra.Model, world: World, threshold: float) -> list[Seen]:
    """Find the components of each frame."""
    found = []
    for number in progress(range(len(world.frames)), world.name):
        frame = world.frames[number]
        batch = stack([frame]).to(model.device)
        score, segmentation = model.score(batch.image)
        known = segmentation.class_logits(segmentation.image_logits())
        components = find_segments(
            score[0].cpu().numpy(), known.softmax(1)[0].cpu().numpy(), threshold
        )
        counted, true = judged(components, batch.label[0].cpu().numpy())
        large = counted & (components.rows[:, 0] >= LEAST)
        found.append(Seen(components, large, true, frame.truth.numpy()))
    return found


def learned(classifier: type[MetaClassifier], frames: Sequence[Seen]) -> MetaClassifier:
    """Fit a classifier on the large components of some frames.

    Raises:
        SystemExit: they show no false or no true one.
    """
    true = np.concatenate([one.true[one.large] for one in frames] or [np.zeros(0, bool)])
    if true.all() or not true.any():
        raise SystemExit("the worlds apart from one show no false or no true components: name more")
    rows = np.concatenate([one.components.rows[one.large] for one in frames])
    fitted = classifier(rows.shape[1])
    fitted.fit(rows, true)
    return fitted


def alarms(frames: Sequence[Seen], falsity: Sequence[np.ndarray], certainty: float) -> AlarmResult:
    """Count false and found objects where the components of a higher falsity are erased."""
    counter = Alarms(0.5)
    for number, (one, false) in enumerate(zip(frames, falsity, strict=True)):
        kept = np.concatenate([[False], false <= certainty])
        counter.update(str(number), kept[one.components.labels].astype(np.float32), one.truth)
    return counter.compute()


def filtered(others: Sequence[Seen], frames: Sequence[Seen]) -> list[AlarmResult]:
    """Return what is left of a world by each classifier at each certainty."""
    found = []
    for classifier in CLASSIFIERS.values():
        fitted = learned(classifier, others)
        falsity = [fitted.falsity(one.components.rows) for one in frames]
        found += [alarms(frames, falsity, certainty) for certainty in CERTAINTIES]
    return found


def cell(one: AlarmResult) -> str:
    """Return false components a frame, and the share of objects found where there are any."""
    return f"{one.false_a_frame:.2f}" + (f", {one.recall:.0%}" if one.objects else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of a trained model, or the package's by name")
    parser.add_argument("--threshold", type=float, help="of the score; default the model's own")
    parser.add_argument("--config", default="configs/models/worlds.yaml")
    given = parser.parse_args()
    model = ra.load(given.run)
    own = model.calibration.threshold if model.calibration else None
    threshold = own if given.threshold is None else given.threshold
    if threshold is None:
        parser.error("this model has no threshold: give one by --threshold")
    opened, _ = open_worlds(given.config)
    worlds = {one.name: seen(model, one, threshold) for one in opened}
    origin = {one.name: origins(one) for one in opened}
    columns = []
    for name, frames in worlds.items():
        apart = [other for other in worlds if not origin[other] & origin[name]]
        others = [one for other in apart for one in worlds[other]]
        whole = alarms(frames, [np.zeros(len(one.large)) for one in frames], 1)
        columns.append([cell(one) for one in (whole, *filtered(others, frames))])
    names = ["none", *(f"{one}, {sure:g}" for one in CLASSIFIERS for sure in CERTAINTIES)]
    print(f"| filter, certainty (threshold {threshold:.2f}) | " + " | ".join(worlds) + " |")
    print("| --- " * (len(worlds) + 1) + "|")
    for name, *cells in zip(names, *columns, strict=True):
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
