"""What the scripts of a page read: findings as plain values, pictures as base64."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from roadanomaly.evaluation.findings import Findings, FrameFinding, PlotCurve
from roadanomaly.report.pictures import heat
from roadanomaly.report.table import by_set, describe
from roadanomaly.report.tables.results import learned_from
from roadanomaly.report.thumbnails import read_explanation, read_frame, read_score

PICTURE_BUDGET = 9_000_000
"""Bytes of base64 that a page spends on pictures; frames beyond stay without."""


def report_data(folder: Path, findings: Sequence[Findings]) -> dict[str, Any]:
    """Return all sets of an evaluation with their curves, frames and pictures.

    Args:
        folder: of the evaluation.
        findings: of that folder.
    """
    sets = by_set(findings)
    share = PICTURE_BUDGET // max(1, len(sets))
    return {
        "heat": heat_colours(),
        "sets": [
            {
                "name": name,
                "title": members[0].title,
                "about": describe(members[0]),
                "detectors": [detector_data(found) for found in members],
                **pictures_of(folder, members, worst_first(members), share),
            }
            for name, members in sets.items()
        ],
    }


def heat_colours() -> str:
    """Return the 256 colours of a heat map, dark to bright, as `RRGGBB` one after another."""
    return heat(np.arange(256, dtype=np.float32)[None], 0, 255).tobytes().hex()


def detector_data(found: Findings) -> dict[str, Any]:
    """Return one detector's numbers on one set."""
    objects = [
        [place, int(size), float(overlap)]
        for place, frame in enumerate(found.per_frame)
        for size, overlap in zip(frame.objects.truth_size, frame.objects.siou, strict=True)
    ]
    return {
        "name": found.detector,
        "learned": learned_from(found.supervision),
        "official": found.official,
        "exact": found.exact,
        "thresholds": [asdict(row) for row in found.thresholds],
        "curves": {mode: _curve(curve) for mode, curve in found.curves.items()},
        "histogram": {
            "edges": _rounded(found.histogram.edges, 7),
            "inlier": found.histogram.inlier.tolist(),
            "anomaly": found.histogram.anomaly.tolist(),
        },
        "frames": [frame_data(frame) for frame in found.per_frame],
        "objects": objects,
    }


def frame_data(frame: FrameFinding) -> dict[str, Any]:
    """Return one frame's row: fractions, and counts of objects."""
    objects = frame.objects
    return {
        "id": frame.id,
        "ap": frame.ap,
        "fpr95": frame.fpr95,
        "f1": frame.f1,
        "siou": float(objects.siou.mean()) if objects.siou.size else float("nan"),
        "ppv": float(objects.ppv.mean()) if objects.ppv.size else float("nan"),
        "objects": int(objects.siou.size),
        "found": int(objects.ppv.size),
        "pixels": int(frame.curve.tp.sum()),
        "ms": frame.ms,
    }


def _curve(curve: PlotCurve) -> dict[str, list[float]]:
    return {name: _rounded(getattr(curve, name), 7) for name in curve.__dataclass_fields__}


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in values]


def worst_first(findings: Sequence[Findings]) -> list[str]:
    """Order frames by their lowest AP under any detector; those without one come last."""
    lowest: dict[str, float] = {}
    for found in findings:
        for frame in found.per_frame:
            ap = 2.0 if math.isnan(frame.ap) else frame.ap
            lowest[frame.id] = min(ap, lowest.get(frame.id, 2.0))
    return sorted(lowest, key=lambda name: (lowest[name], name))


def pictures_of(
    folder: Path, findings: Sequence[Findings], ids: Sequence[str], budget: int
) -> dict[str, Any]:
    """Return the pictures of frames, first come first served, until `budget` bytes are spent."""
    set_name = findings[0].set
    images: dict[str, dict[str, str]] = {}
    scores: dict[str, dict[str, Any]] = {found.detector: {} for found in findings}
    explained: dict[str, dict[str, str]] = {found.detector: {} for found in findings}
    left, missing = budget, 0
    for name in ids:
        picture = read_frame(folder, set_name, name)
        if picture is None or left <= 0:
            missing += picture is not None
            continue
        images[name] = {"image": _base64(picture.image)}
        if picture.truth is not None:
            images[name]["truth"] = _base64(picture.truth)
        left -= sum(map(len, images[name].values()))
        for detector, held in scores.items():
            score = read_score(folder, set_name, detector, name)
            if score is not None:
                held[name] = {"grey": _base64(score.grey), "levels": score.levels.tolist()}
                left -= len(held[name]["grey"]) + 10 * score.levels.size
            sheet = read_explanation(folder, set_name, detector, name)
            if sheet is not None:
                explained[detector][name] = _base64(sheet)
                left -= len(explained[detector][name])
    return {"images": images, "scores": scores, "explained": explained, "left_out": missing}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def to_json(value: Any) -> str:
    """Write values so that they may stand inside a page: NaN and infinity become null."""
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
