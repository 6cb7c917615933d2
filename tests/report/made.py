"""Findings made from arrays through the metrics themselves, for tables and pages to show."""

from __future__ import annotations

import numpy as np
import torch

from roadanomaly.evaluation.findings import (
    Findings,
    FrameFinding,
    Histogram,
    PlotCurve,
    ThresholdFinding,
)
from roadanomaly.metrics import PixelExact, PixelOfficial, PixelResult, score_frames
from roadanomaly.metrics.component import SIZE_RULES, frame_objects
from roadanomaly.metrics.per_image import run_score
from roadanomaly.metrics.pixel import frame_curve
from roadanomaly.metrics.runs import frame_run
from roadanomaly.types import Frame

NAN = float("nan")


def make_frames(count: int, height: int = 90, width: int = 160, seed: int = 0) -> list[Frame]:
    """Return frames with two bright boxes as anomalies, an ignored border, and one empty frame."""
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(count):
        image = rng.integers(0, 200, (3, height, width), dtype=np.uint8)
        truth = np.zeros((height, width), np.uint8)
        for _ in range(2 if index else 0):
            y, x = rng.integers(5, height - 30), rng.integers(5, width - 45)
            truth[y : y + rng.integers(12, 25), x : x + rng.integers(15, 40)] = 1
        truth[-4:] = 255
        frames.append(
            Frame(f"street_{index:03d}", torch.from_numpy(image), anomaly=torch.from_numpy(truth))
        )
    return frames


def make_scores(frames: list[Frame], strength: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Return noise that rises by `strength` on anomalies; `(H, W)` float32 by frame id."""
    rng = np.random.default_rng(seed)
    scores = {}
    for frame in frames:
        truth = frame.truth.numpy()
        score = rng.normal(0, 1, truth.shape) + strength * (truth == 1)
        scores[frame.id] = score.astype(np.float32)
    return scores


def make_findings(
    frames: list[Frame],
    scores: dict[str, np.ndarray],
    *,
    detector: str = "energy",
    set_name: str = "roadanomaly",
    supervision: str = "none",
    ms: float = 12.0,
    **changes,
) -> Findings:
    """Score frames; `changes` replace fields."""
    pairs = [(scores[f.id].astype(np.float16), f.truth.numpy()) for f in frames]
    exact_pairs = [(scores[f.id], f.truth.numpy()) for f in frames]
    official, exact = PixelOfficial(), PixelExact()
    for frame, half, full in zip(frames, pairs, exact_pairs, strict=True):
        official.update(frame.id, *half)
        exact.update(frame.id, *full)
    curves = {"official": official.compute(), "exact": exact.compute()}
    numbers = {
        "official": score_frames(pairs, "anomaly", "official"),
        "exact": score_frames(exact_pairs, "anomaly", "exact"),
    }
    threshold = numbers["official"]["best_f1_threshold"]
    inlier = np.concatenate([score[truth == 0] for score, truth in exact_pairs])
    anomaly = np.concatenate([score[truth == 1] for score, truth in exact_pairs])
    fixed = float(np.quantile(inlier, 0.95, method="higher"))
    found = {
        "set": set_name,
        "title": f"{set_name} made",
        "detector": detector,
        "supervision": supervision,
        "track": "anomaly",
        "averaging": "pooled",
        "data": {"name": set_name, "frames": len(frames)},
        "frames": len(frames),
        "listed": len(frames),
        **numbers,
        "extra": {"per image": {"ap": 0.375, "images": len(frames) - 1}},
        "thresholds": (
            _threshold("best F1", "this set", NAN, threshold, inlier, anomaly, numbers["official"]),
            _threshold("false-positive rate", "streets train", 0.05, fixed, inlier, anomaly, {}),
        ),
        "warnings": (),
        "curves": {mode: _plot(curve) for mode, curve in curves.items()},
        "histogram": _histogram(inlier, anomaly),
        "per_frame": tuple(
            _frame(f, half, full, threshold, ms)
            for f, half, full in zip(frames, pairs, exact_pairs, strict=True)
        ),
    }
    return Findings(**{**found, **changes})


def _frame(frame, half, full, threshold: float, ms: float) -> FrameFinding:
    mask = half[0] > np.float16(threshold)
    truth = half[1]
    hits = int((mask & (truth == 1)).sum())
    wrong = int((mask & (truth == 0)).sum())
    counted = hits + wrong + int((truth == 1).sum())
    alone = run_score(frame.id, frame_run(*full))
    return FrameFinding(
        id=frame.id,
        ap=alone.ap,
        fpr95=alone.fpr95,
        f1=2 * hits / counted if counted else NAN,
        ms=ms,
        curve=frame_curve(*half),
        objects=frame_objects(mask, truth, SIZE_RULES["anomaly"]),
    )


def _threshold(way, on, stated, threshold, inlier, anomaly, components) -> ThresholdFinding:
    hits, wrong = int((anomaly >= threshold).sum()), int((inlier >= threshold).sum())
    return ThresholdFinding(
        way=way,
        fitted_on=on,
        stated=stated,
        threshold=threshold,
        tpr=_ratio(hits, anomaly.size),
        fpr=_ratio(wrong, inlier.size),
        precision=_ratio(hits, hits + wrong),
        f1=_ratio(2 * hits, hits + wrong + anomaly.size),
        siou=components.get("siou", NAN),
        ppv=components.get("ppv", NAN),
        component_f1=components.get("f1", NAN),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def _plot(result: PixelResult) -> PlotCurve:
    if result.tpr.size == 0:
        return PlotCurve(*[np.empty(0)] * 5)
    kept = np.unique(np.linspace(0, result.tpr.size - 1, 900).astype(int))
    best = np.searchsorted(-result.thresholds, -result.best_f1_threshold)
    kept = np.union1d(kept, best)
    recall, precision = result.tpr[kept], result.precision[kept]
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * recall * precision / (recall + precision))
    return PlotCurve(result.thresholds[kept], recall, precision, result.fpr[kept], f1)


def _histogram(inlier: np.ndarray, anomaly: np.ndarray) -> Histogram:
    scores = np.concatenate([inlier, anomaly])
    edges = np.linspace(*np.quantile(scores[np.isfinite(scores)], (0.001, 0.999)), 61)
    return Histogram(
        edges,
        *(
            np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
            for values in (inlier, anomaly)
        ),
    )
