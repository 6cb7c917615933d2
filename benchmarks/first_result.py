"""How long `roadanomaly predict` takes for one picture, as a multiple of `import torch`.

    python benchmarks/first_result.py [--model NAME|FOLDER] [--times 5]

Both run in fresh interpreters, in turns, so that a busy machine slows both alike; of each the
median is taken, in processor time (user and system) and on the clock. The picture is a drawn street
of 720x1280. Without a model of the package, a small network with random weights is saved and used;
its scores mean nothing, its imports are the same.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import roadanomaly as ra
from roadanomaly import models
from roadanomaly.calibration import calibrate
from roadanomaly.data.streets import Streets
from roadanomaly.training.record import machine

LIMIT = 3.0


def stand_in(folder):
    """Save a model of the kind that comes with the package, and return its folder."""
    network = ra.segmenter("smp", architecture="fpn", encoder="tu-tf_efficientnet_lite0")
    model = ra.Model(network, ra.detector("energy"))
    score = model(np.zeros((64, 96, 3), np.uint8)).score
    model.calibration = calibrate([score.ravel()], 0.05, "a black image")
    return model.save(folder / "model")


def measured(words, folder):
    """Run a program; return its seconds of processor time and on the clock."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, env=environment, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    spent, after = time.perf_counter() - start, os.times()
    used = after.children_user - before.children_user
    return used + after.children_system - before.children_system, spent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="default: the package's own, else one made here")
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = given.model or (None if models.names() else stand_in(folder))
        image = Streets("test", count=1, height=720, width=1280)[0].image.permute(1, 2, 0).numpy()
        cv2.imwrite(str(folder / "photo.png"), image[..., ::-1])
        predict = ["-m", "roadanomaly", "predict", "photo.png", "--out", "found"]
        predict += (
            ["--model", Path(made).resolve() if Path(made).exists() else made] if made else []
        )
        measured(predict, folder)
        pairs = [
            (measured(["-c", "import torch"], folder), measured(predict, folder))
            for _ in range(given.times)
        ]
    print(machine())
    for place, title in enumerate(("processor time", "clock")):
        torch, whole = (statistics.median(pair[side][place] for pair in pairs) for side in (0, 1))
        ratio = whole / torch
        print(
            f"{title}: import torch {torch:.2f} s, predict {whole:.2f} s: {ratio:.2f}x, "
            f"{'within' if ratio <= LIMIT else 'over'} {LIMIT:g}x"
        )


if __name__ == "__main__":
    main()
