"""How long the benchmark's metrics take here, beside its own tool and scikit-learn.

    python benchmarks/metrics_speed.py

The official tool does not install beside a current numpy, so its seconds are constants: measured
once with SegmentMeIfYouCan/road-anomaly-benchmark at commit 1c7804e and its pinned numpy 1.23.3,
one process, scores in memory, median of 3 (for c19 the lowest), on a 2-core machine whose model
was not recorded. scikit-learn runs here, on the same pixels, in the same minute.
"""

import os
import platform
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/metrics"))

from official_cases import CASES

from roadanomaly.metrics import Components, PixelExact, PixelOfficial

RUNS = 5
OFFICIAL_SECONDS = {
    ("c20_large", "float16", "pixel, official"): 0.931,
    ("c20_large", "float32", "pixel, official"): 0.657,
    ("c20_large", "float16", "components, anomaly"): 0.929,
    ("c20_large", "float32", "components, anomaly"): 0.713,
    ("c20_large", "float16", "components, obstacle"): 0.938,
    ("c20_large", "float32", "components, obstacle"): 0.741,
    ("c19_noisy_components", "float16", "components, anomaly"): 2.7,
    ("c19_noisy_components", "float16", "components, obstacle"): 2.7,
}


def main():
    """Print one row for each case, precision and metric."""
    print(f"{cpu()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; ", end="")
    print(f"Python {platform.python_version()}, numpy {np.__version__}; median of {RUNS} runs")
    print(f"{'case':22s}{'scores':9s}{'what':24s}{'seconds':>9s}{'official':>10s}{'ratio':>8s}")
    for case in ("c19_noisy_components", "c20_large"):
        for precision in ("float16", "float32"):
            frames = [(score.astype(precision), label) for score, label in CASES[case]()]
            for what, seconds in measure(frames):
                official = OFFICIAL_SECONDS.get((case, precision, what))
                ratio = f"{official:10.3f}{official / seconds:7.1f}x" if official else ""
                print(f"{case:22s}{precision:9s}{what:24s}{seconds:9.3f}{ratio}")


def measure(frames):
    """Yield what was measured and its seconds."""
    threshold = accumulate(PixelOfficial(), frames).best_f1_threshold
    yield "pixel, official", median(lambda: accumulate(PixelOfficial(), frames))
    for track in ("anomaly", "obstacle"):
        seconds = median(lambda t=track: accumulate(Components(t, threshold), frames))
        yield f"components, {track}", seconds
    yield "pixel, exact", median(lambda: accumulate(PixelExact(), frames))
    yield "scikit-learn AP, AUROC", median(lambda: scikit_learn(frames), 1)


def accumulate(metric, frames):
    """Feed all frames and compute."""
    for index, frame in enumerate(frames):
        metric.update(index, *frame)
    return metric.compute()


def scikit_learn(frames):
    """Average precision and AUROC of the pooled pixels."""
    score = np.concatenate([score[label < 255] for score, label in frames]).astype(np.float32)
    truth = np.concatenate([label[label < 255] for _, label in frames])
    return average_precision_score(truth, score), roc_auc_score(truth, score)


def median(run, runs=RUNS):
    """Seconds of `run`, the median of several."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def cpu():
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
