"""Score the held-out worlds with means of a model's scores at several sizes and mirrored.

    python benchmarks/views.py default

Prints AP and FPR95 in each world with anomalies, of every third row and column. Each view is asked
once a frame for all means; what is averaged is what the detector `views` averages.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import roadanomaly as ra
from roadanomaly.detectors.views import score_of_view
from roadanomaly.evaluation.worlds import World, open_worlds
from roadanomaly.metrics import PixelExact

View = tuple[float, bool]
"""Size as a share of the image's own, and whether it is mirrored."""

MEANS: dict[str, tuple[View, ...]] = {
    "1": ((1, False),),
    "1 and mirrored": ((1, False), (1, True)),
    "0.5": ((0.5, False),),
    "1.4": ((1.4, False),),
    "0.7, 1": ((0.7, False), (1, False)),
    "0.5, 1": ((0.5, False), (1, False)),
    "0.5, 1, 1.4": ((0.5, False), (1, False), (1.4, False)),
}
WORLDS = ("camvid_pasted", "scenes_held_out", "streets_301", "streets_302")


@torch.inference_mode()
def score_world(model: ra.Model, world: World) -> dict[str, str]:
    """AP and FPR95 of each mean, in per cent."""
    counted = {name: PixelExact() for name in MEANS}
    wanted = {view for views in MEANS.values() for view in views}
    for frame in world.frames:
        image = frame.image[None].float() / 255
        asked = {view: score_of_view(model.head, model.segmenter, image, *view) for view in wanted}
        scores = {view: score[0, ::3, 1::3] for view, score in asked.items()}
        truth = np.ascontiguousarray(frame.truth[::3, 1::3])
        for name, views in MEANS.items():
            mean = torch.stack([scores[view] for view in views]).mean(0)
            counted[name].update(frame.id, mean.numpy(), truth)
    results = {name: one.compute() for name, one in counted.items()}
    return {name: f"{100 * one.ap:.2f}, {100 * one.fpr95:.2f}" for name, one in results.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder of a trained model, or the package's by name")
    parser.add_argument("--config", default="configs/models/worlds.yaml")
    parser.add_argument("--only", nargs="+", default=WORLDS, help="worlds with anomalies")
    given = parser.parse_args()
    model = ra.load(given.run)
    model.eval()
    worlds, _ = open_worlds(given.config, only=given.only)
    found = [score_world(model, world) for world in worlds]
    print("| sizes | " + " | ".join(world.name for world in worlds) + " |")
    print("| --- " * (len(worlds) + 1) + "|")
    for name in MEANS:
        print(f"| {name} | " + " | ".join(one[name] for one in found) + " |")


if __name__ == "__main__":
    main()
