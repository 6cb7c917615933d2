"""Time and memory of a whole evaluation from HDF5 files, beside scikit-learn on the same pixels.

    python benchmarks/evaluation_speed.py                       # 100 frames, 2 processes
    python benchmarks/evaluation_speed.py --more 1000           # memory at 1000 frames as well
    python benchmarks/evaluation_speed.py --frames 4 --size 320x180

Ours is the command `roadanomaly evaluate --scores ... --mode both` from start to exit: reading,
pixel and component metrics in both modes, writing. scikit-learn's time is average_precision_score
and roc_curve alone, on the pooled pixels, which lie in memory.
"""

import argparse
import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import h5py
import numpy as np
import psutil
from sklearn.metrics import average_precision_score, roc_curve

ROOT = Path(__file__).resolve().parents[1]
DISTINCT = 100
"""So many frames are made; further ones are the same files under other names."""


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--more", type=int, default=0, help="frames of a second run, for memory")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--type", default="float16", help="of the maps: float16 or float32")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    print(f"{machine()}; {given.type}, {given.size}, {given.workers} processes")
    with tempfile.TemporaryDirectory(prefix="evaluation-speed-") as folder:
        root = Path(folder)
        make(root, given.frames, (height, width), given.type)
        seconds, peak = ours(root, given.workers)
        print(f"ours, {given.frames} frames: {seconds:.1f} s, {peak / 1e6:.0f} MB at most")
        theirs = scikit_learn(root)
        print(f"scikit-learn's AP and ROC curve on the same pixels: {theirs:.1f} s")
        print(f"ours takes {seconds / theirs:.2f} of scikit-learn's time")
        if given.more:
            make(root, given.more, (height, width), given.type)
            seconds, more = ours(root, given.workers)
            print(f"ours, {given.more} frames: {seconds:.1f} s, {more / 1e6:.0f} MB at most")
            print(f"memory: {more / peak:.2f} of that at {given.frames} frames")


def make(root, count, size, kind):
    """Write images, labels and score maps that look like a detector's: smooth, with noise."""
    for number in range(count):
        name = f"frame{number:05d}"
        paths = [root / "images" / f"{name}.jpg", root / "labels" / f"{name}.png"]
        paths.append(root / "scores" / f"{name}.hdf5")
        for path in paths:
            path.parent.mkdir(exist_ok=True)
        if paths[2].exists():
            continue
        if number >= DISTINCT:
            for path in paths:
                first = path.with_name(f"frame{number % DISTINCT:05d}{path.suffix}")
                os.link(first, path)
            continue
        rng = np.random.default_rng(number)
        label = np.zeros(size, np.uint8)
        label[: size[0] // 4] = 255
        for _ in range(rng.integers(1, 4)):
            centre = int(rng.integers(size[1])), int(rng.integers(size[0] // 3, size[0]))
            axes = int(rng.integers(8, size[1] // 12)), int(rng.integers(8, size[0] // 8))
            cv2.ellipse(label, centre, axes, 0, 0, 360, 1, -1)
        smooth = cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), 12) * 20
        score = smooth + 0.2 * rng.normal(size=size) + 1.5 * (label == 1)
        image = np.clip(128 + 40 * smooth, 0, 255).astype(np.uint8)
        cv2.imwrite(str(paths[0]), cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        cv2.imwrite(str(paths[1]), label)
        with h5py.File(paths[2], "w") as file:
            value = score.astype(kind)
            file.create_dataset("value", data=value, compression="gzip", compression_opts=9)


def ours(root, workers):
    """Return seconds of the command, and the most memory that its processes held together."""
    out = root / "out"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "roadanomaly", "evaluate", "--scores", root / "scores"]
    command += ["--on", "folder", "--root", root, "--mode", "both", "--pictures", "0"]
    command += ["--workers", workers, "--out", out]
    began = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.DEVNULL)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process, peak))
    watcher.start()
    if process.wait():
        sys.exit("the evaluation failed")
    seconds = time.perf_counter() - began
    watcher.join()
    return seconds, peak[0]


def watch(process, peak):
    """Sample the memory of a process and its children, shared pages counted once (PSS)."""
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):  # a process may end while it is looked at
            parent = psutil.Process(process.pid)
            members = [parent, *parent.children(recursive=True)]
            peak[0] = max(peak[0], sum(one.memory_full_info().pss for one in members))
        time.sleep(0.5)


def scikit_learn(root):
    """Return the seconds that scikit-learn takes for the pooled pixels."""
    scores, truths = [], []
    for path in sorted((root / "scores").glob("*.hdf5")):
        label = cv2.imread(str(root / "labels" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        with h5py.File(path) as file:
            scores.append(file["value"][()][label < 255].astype(np.float32))
        truths.append(label[label < 255])
    score, truth = np.concatenate(scores), np.concatenate(truths)
    began = time.perf_counter()
    average_precision_score(truth, score)
    roc_curve(truth, score)
    return time.perf_counter() - began


def machine():
    """Name processor, cores and load."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor()
    return f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
