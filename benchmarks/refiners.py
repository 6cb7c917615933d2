"""Write one trained model with other refiners, to be compared by `roadanomaly worlds`.

    python benchmarks/refiners.py runs/default --out runs/refined
    roadanomaly worlds runs/refined/*
    python benchmarks/refiners.py default --only guided11,boundaries_guided11

All keep the threshold of the model as it was, so that false objects are compared at one threshold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import roadanomaly as ra
from roadanomaly.refiners import REFINERS

CANDIDATES = {
    "none": [],
    "smooth3": [{"name": "smooth", "window": 3}],
    "smooth5": [{"name": "smooth", "window": 5}],
    "smooth11": [{"name": "smooth", "window": 11}],
    "guided7": [{"name": "guided", "window": 7}],
    "guided11": [{"name": "guided", "window": 11}],
    "guided21": [{"name": "guided", "window": 21}],
    "smooth3_guided11": [
        {"name": "smooth", "window": 3},
        {"name": "guided", "window": 11, "eps": 0.003},
    ],
    "boundaries_guided11": [{"name": "boundary_suppression"}, {"name": "guided", "window": 11}],
    "guided11_boundaries": [{"name": "guided", "window": 11}, {"name": "boundary_suppression"}],
    "guided11_segments": [{"name": "guided", "window": 11}, {"name": "segments"}],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder of a trained model, or the package's by name")
    parser.add_argument("--out", default="runs/refined")
    parser.add_argument(
        "--only", help="names of some, with commas", default=",".join(CANDIDATES), metavar="NAMES"
    )
    given = parser.parse_args()
    names = given.only.split(",")
    if not set(names) <= set(CANDIDATES):
        parser.error(f"--only {given.only}: there are {', '.join(CANDIDATES)}")
    for name in names:
        refiners = CANDIDATES[name]
        model = ra.load(given.run)
        calibration = model.calibration
        model.refine([REFINERS.from_spec(one) for one in refiners])
        model.calibration = calibration
        print(model.save(Path(given.out) / name))


if __name__ == "__main__":
    main()
