r"""False objects and recall of models on ordinary frames that adapting never saw.

    python benchmarks/adapted.py runs/before runs/after --images other_half --cutouts coco_more

Each model scores the frames as they are, and once more with cut-outs pasted into them, the same for
all models. Printed are the false objects a frame (regions of at least `--least` pixels above the
model's own threshold), and the share of pasted objects of which at least half of the pixels lie
above it. The last column is the recall where the threshold is moved until the false objects are
those of the first model: it tells a better score from a higher threshold.
"""

from __future__ import annotations

import argparse

import numpy as np

import roadanomaly as ra
from roadanomaly.data import DATASETS
from roadanomaly.data.subset import Picked, Subset
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.training.adapt_measure import Examiner, lowest_threshold


def examiner(given: argparse.Namespace) -> Examiner:
    """Return what scores the frames, with and without cut-outs; there is no other world."""
    whole = DATASETS.build("folder", {"images": given.images, "kind": "ordinary"})
    frames = Subset(whole, given.frames)
    look = {"count": [1, 3], "side": [40, 400]}
    cutouts = NEGATIVES.build("paste", {"root": given.cutouts, "min_area": 0.003, "look": look})
    return Examiner(frames, MixedFrames(frames, cutouts), Picked(frames, []), given.least)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--images", required=True)
    parser.add_argument("--cutouts", default="coco_more")
    parser.add_argument("--frames", type=int, default=0, help="evenly spaced; 0 takes all")
    parser.add_argument("--least", type=int, default=500)
    given = parser.parse_args()
    judge, first = examiner(given), None
    print("| model | false objects a frame | recall | objects | recall at as many |")
    print("| --- | --- | --- | --- | --- |")
    for run in given.runs:
        model = ra.load(run)
        assert model.calibration is not None, f"{run} has no threshold"
        found = judge.examine(model)
        told = judge.figures(found, model.calibration.threshold)
        first = told.false_objects if first is None else first
        at_first = (found.middles() > lowest_threshold(found, first, given.least)).mean()
        recall = np.array([told.recall, at_first]) * 100
        print(
            f"| {run} | {told.false_objects:.2f} | {recall[0]:.1f} | {told.objects} | "
            f"{recall[1]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
