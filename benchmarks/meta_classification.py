r"""How many false segments a `meta_classification` erases, and how many true ones with them.

    python benchmarks/meta_classification.py runs/refined \
        --data '{name: folder, images: roads_brazil/images, kind: ordinary, part: held_out}' \
        --negatives '{name: paste, root: coco128seg, part: train}'

Frames and negatives must be others than those that it was fitted on and that its detector was
trained on, and no test set where a certainty is chosen by the table. A segment is false where it
meets no labelled anomaly; one on unlabelled pixels is not counted. One line a certainty; the first
is the model's own.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from given_frames import add_frames, frames_of

from roadanomaly.data.base import FrameSet
from roadanomaly.data.stack import stack
from roadanomaly.model import Model, load
from roadanomaly.refiners.meta_classification import MetaClassification, judged

CERTAINTIES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


def refiner_of(model: Model) -> MetaClassification:
    """Return the model's refiner of that name.

    Raises:
        SystemExit: it has none.
    """
    for one in model.head.refiners:
        if isinstance(one, MetaClassification):
            return one
    msg = "this model has no refiner meta_classification: `roadanomaly fit --refiners` adds one."
    raise SystemExit(msg)


@torch.inference_mode()
def judge(model: Model, frames: FrameSet) -> tuple[np.ndarray, np.ndarray]:
    """Return, of all segments, the probability of being false, and whether they are true."""
    refiner = refiner_of(model)
    falsity, true = [], []
    for number in range(len(frames)):
        batch = stack([frames[number]]).to(model.device)
        model.detector.reset()
        segmentation = model.head.look(model.segmenter, batch.image)
        score = model.head.score_for(refiner, segmentation, batch.image)
        (found,) = refiner.segments(score, segmentation)
        counted, met = judged(found, batch.label[0].cpu().numpy())
        falsity.append(refiner.falsity(found)[counted])
        true.append(met[counted])
    return np.concatenate(falsity), np.concatenate(true)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a model with a fitted refiner meta_classification")
    add_frames(parser)
    given = parser.parse_args()
    frames = frames_of(given)
    model = load(given.run)
    falsity, true = judge(model, frames)
    print(f"{len(frames)} frames, {(~true).sum()} false and {true.sum()} true segments")
    for certainty in (refiner_of(model).chosen.item(), *CERTAINTIES):
        gone = falsity > certainty
        erased, lost = gone[~true].mean(), gone[true].mean()
        shares = f"{erased:6.1%} of false erased, {lost:6.1%} of true lost"
        print(f"certainty {certainty:5.3f}: {shares}")


if __name__ == "__main__":
    main()
