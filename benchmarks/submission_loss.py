"""What half precision costs a submission on real score maps: by rounding, and by the rank map.

    ROADANOMALY_DATA=/data python benchmarks/submission_loss.py

Scores RoadAnomaly with an ESPNetv2 and three detectors, as they are, with 1000 added and times a
million. Each is written to HDF5 files and read back. Prints the change of exact AP and FPR95 in
points of scores that are only rounded, and of those that `export submission` writes, with the
seconds and megabytes a frame of the latter.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import roadanomaly as ra
from roadanomaly.data.roadanomaly import RoadAnomaly
from roadanomaly.metrics import PixelExact
from roadanomaly.scores import RankSketch, verify_map, write_hdf5
from roadanomaly.training.record import machine

CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda score: score,
    "plus 1000": lambda score: score + np.float32(1000),
    "times 1e6": lambda score: score * np.float32(1e6),
}


def points(scores: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> np.ndarray:
    """Return AP and FPR95 in points."""
    metric = PixelExact()
    for number, (score, truth) in enumerate(zip(scores, truths, strict=True)):
        metric.update(number, score, truth)
    result = metric.compute()
    return 100 * np.array([result.ap, result.fpr95])


def round_trip(maps: Sequence[np.ndarray], folder: Path) -> tuple[list[np.ndarray], float, float]:
    """Return what is read back, and seconds and megabytes a frame."""
    began = time.perf_counter()
    sketch = RankSketch()
    for score in maps:
        sketch.update(score)
    to_half = sketch.fit()
    stored = []
    for number, score in enumerate(maps):
        half, path = to_half(score), folder / f"{number}.hdf5"
        write_hdf5(path, half)
        stored.append(verify_map(path, half))
    seconds = (time.perf_counter() - began) / len(maps)
    size = sum(path.stat().st_size for path in folder.iterdir()) / len(maps)
    return stored, seconds, size / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="espnetv2_s_2.0_city_1024x512.pth")
    parser.add_argument("--scale", type=float, default=2.0)
    parser.add_argument("--detectors", default="energy,msp,entropy")
    parser.add_argument("--limit", type=int, default=None, help="frames; default all")
    given = parser.parse_args()
    print(machine())
    frames = list(RoadAnomaly())[: given.limit]
    truths = [frame.truth.numpy() for frame in frames]
    segmenter = ra.segmenter("espnetv2", scale=given.scale, weights=given.weights)
    print(f"{len(frames)} frames; change of AP and FPR95 in points")
    print(f"{'detector':<10} {'scores':<12} {'rounded':>20} {'exported':>20} {'s':>6} {'MB':>6}")
    for name in given.detectors.split(","):
        model = ra.Model(segmenter, ra.detector(name))
        scores = [model(frame.image).score for frame in frames]
        for title, change in CHANGES.items():
            maps = [change(score) for score in scores]
            before = points(maps, truths)
            with np.errstate(over="ignore"):
                rounded = points([score.astype(np.float16) for score in maps], truths) - before
            with tempfile.TemporaryDirectory() as folder:
                stored, seconds, size = round_trip(maps, Path(folder))
            exported = points(stored, truths) - before
            columns = [f"{change[0]:+10.5f}{change[1]:+10.5f}" for change in (rounded, exported)]
            print(f"{name:<10} {title:<12} {' '.join(columns)} {seconds:6.2f} {size:6.2f}")


if __name__ == "__main__":
    main()
