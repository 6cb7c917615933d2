"""Score the held-out worlds with a trained DenseHybrid whose two halves are weighed otherwise.

    python benchmarks/halves.py runs/default

Prints AP and FPR95 in each world with anomalies. The network is asked once a frame for all.
"""

from __future__ import annotations

import argparse

import numpy as np

import roadanomaly as ra
from roadanomaly.evaluation.worlds import open_worlds, score_together

HALVES = {
    "density": {"score_by": "density"},
    "ln P(out)": {"score_by": "posterior"},
    "log odds": {"score_by": "posterior", "odds": True},
    "density + ln P(out)": {},
    "density + 4 ln P(out)": {"weight": 4.0},
    "density + log odds": {"odds": True},
    "density + 2 log odds": {"weight": 2.0, "odds": True},
    "density + 4 log odds": {"weight": 4.0, "odds": True},
    "density + 8 log odds": {"weight": 8.0, "odds": True},
}
PAPER = {"score_by": "hybrid", "weight": 1.0, "odds": False}
WORLDS = ("camvid_pasted", "scenes_held_out", "streets_301", "streets_302")


def weighed(run: str, options: dict) -> ra.Model:
    """The run's model with another score, and without its threshold, which is of the old one."""
    model = ra.load(run)
    for name, value in {**PAPER, **options}.items():
        setattr(model.detector, name, value)
    model.calibration = None
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder of a trained model, or the package's by name")
    parser.add_argument("--config", default="configs/models/worlds.yaml")
    given = parser.parse_args()
    models = {name: weighed(given.run, options) for name, options in HALVES.items()}
    worlds, _ = open_worlds(given.config, only=WORLDS)
    found = [score_together(models, world) for world in worlds]
    print("| score | " + " | ".join(world.name for world in worlds) + " | mean |")
    print("| --- " * (len(worlds) + 2) + "|")
    for name in HALVES:
        pairs = [(100 * one[name].ap, 100 * one[name].fpr95) for one in found]
        cells = [f"{ap:.2f}, {fpr95:.2f}" for ap, fpr95 in [*pairs, np.mean(pairs, 0)]]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
