"""All that an evaluation found of one detector on one set: what tables, pages and comparisons read.

An evaluation's folder holds one pair of files for each, `findings/<set>/<detector>.json` with the
numbers and `.npz` with the arrays, so that a report can be made again, or two runs compared,
without scoring anything.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.files import shortened, write_bytes, write_text
from roadanomaly.metrics.component import FrameObjects
from roadanomaly.metrics.pixel import FrameCurve
from roadanomaly.scores.arrays import UNREADABLE
from roadanomaly.swap import settle

FOLDER = "findings"
CURVE_ARRAYS = ("thresholds", "tp", "fp")
OBJECT_ARRAYS = ("siou", "truth_size", "ppv", "predicted_size")
FRAME_NUMBERS = ("ap", "fpr95", "f1", "ms")
PLOT_ARRAYS = ("thresholds", "recall", "precision", "fpr", "f1")


@dataclass(frozen=True)
class FrameFinding:
    """One frame under one detector.

    Args:
        id: name of the frame.
        ap: exact average precision of this frame alone; NaN without an anomaly.
        fpr95: exact, of this frame alone; NaN where undefined.
        f1: pixel F1 at the set's best threshold; NaN without an anomaly and a prediction.
        ms: time of segmenter and detector, milliseconds; NaN for stored maps.
        curve: its bins, as the official pixel metric pools them.
        objects: its components at the official threshold.
    """

    id: str
    ap: float
    fpr95: float
    f1: float
    ms: float
    curve: FrameCurve
    objects: FrameObjects


@dataclass(frozen=True)
class ThresholdFinding:
    """What one way to choose a threshold gives on a set; fractions, NaN where undefined.

    Args:
        way: `best F1`, `validation F1`, `false-positive rate` or `conformal`.
        fitted_on: the data that chose it, in words; `this set` for the benchmark's own way.
        stated: the rate that it promises, or NaN.
        threshold: the score.
        tpr: share of anomaly pixels above it.
        fpr: share of inlier pixels above it: what the stated rate turned out to be.
        precision: share of pixels above it that are anomalies.
        f1: pixel F1.
        siou: mean component overlap.
        ppv: mean component precision.
        component_f1: mean component F1.
        found: share of the objects with sIoU >= 0.25; NaN of evaluations by 0.1.
        false_a_frame: predicted components a frame of which less than a quarter lies on objects;
            NaN of evaluations by 0.1.
        clean: share of the frames without such a component; NaN of evaluations by 0.1.
    """

    way: str
    fitted_on: str
    stated: float
    threshold: float
    tpr: float
    fpr: float
    precision: float
    f1: float
    siou: float
    ppv: float
    component_f1: float
    found: float = float("nan")
    false_a_frame: float = float("nan")
    clean: float = float("nan")


@dataclass(frozen=True)
class PlotCurve:
    """A pixel curve thinned for drawing, from the highest threshold down; `(P,)` each, P <= 1000.

    Args:
        thresholds: scores.
        recall: true-positive rate.
        precision: 1 where nothing is predicted.
        fpr: false-positive rate.
        f1: at each threshold.
    """

    thresholds: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    fpr: np.ndarray
    f1: np.ndarray


@dataclass(frozen=True)
class Histogram:
    """Scores by label.

    Args:
        edges: `(N + 1,)` rising; the outermost bins also hold what lies beyond them.
        inlier: `(N,)` pixels.
        anomaly: `(N,)` pixels.
    """

    edges: np.ndarray
    inlier: np.ndarray
    anomaly: np.ndarray


@dataclass(frozen=True)
class PrecisionEffect:
    """One detector's scores in half precision beside those in float32, on the same frames.

    Args:
        frames: how many were compared.
        ap_f32: exact average precision of the float32 scores, pooled; NaN without an anomaly.
        ap: of the scores that the evaluation is of.
        fpr95_f32: false-positive rate at 95 % recall, likewise.
        fpr95: of the scores that the evaluation is of.
        largest_difference: of two scores of a pixel, absolute.
        rank_correlation: Spearman's, over pixels drawn from all frames; NaN where one side is
            constant.
    """

    frames: int
    ap_f32: float
    ap: float
    fpr95_f32: float
    fpr95: float
    largest_difference: float
    rank_correlation: float


@dataclass(frozen=True)
class Findings:
    """One detector on one set.

    Args:
        set: name of the protocol, as in `--on`.
        title: of the set, for people, with its split.
        detector: name in tables.
        supervision: what it learned from: `none`, `negatives`, ..., `unknown` for stored maps.
        track: size rules of components.
        averaging: `pooled`, or `per image` where that set's literature averages so.
        data: the data set's record.
        frames: how many were scored.
        listed: how many the split has.
        official: keys of `score_frames`, fractions, NaN where undefined.
        exact: the same, by a full sort.
        extra: further numbers by group: `per image`, `open set`, `instances`, `size ranges`, ...
        thresholds: one a way to choose it.
        warnings: why a number cannot be trusted, a sentence each.
        curves: `official` and `exact`.
        histogram: of exact scores by label.
        per_frame: one a frame, sorted by id.
        precision: what network and detector computed in.
        precision_effect: what that changed, where it is half precision and was checked.
    """

    set: str
    title: str
    detector: str
    supervision: str
    track: str
    averaging: str
    data: dict[str, Any]
    frames: int
    listed: int
    official: dict[str, float]
    exact: dict[str, float]
    extra: dict[str, dict[str, float]]
    thresholds: tuple[ThresholdFinding, ...]
    warnings: tuple[str, ...]
    curves: dict[str, PlotCurve]
    histogram: Histogram
    per_frame: tuple[FrameFinding, ...] = field(repr=False)
    precision: str = "f32"
    precision_effect: PrecisionEffect | None = None


def save_findings(folder: Path, found: Findings, place: int = 0) -> None:
    """Write one detector's findings into an evaluation's folder, each file whole or not at all.

    Args:
        folder: of the evaluation.
        found: what was found.
        place: of the row in the evaluation's table; of equal places names decide.

    Raises:
        UserError: the folder cannot be written.
    """
    name = shortened(quote(found.detector, safe="", errors="surrogateescape"))
    base = folder / FOLDER / found.set / name
    content = io.BytesIO()
    np.savez_compressed(content, **_arrays(found))  # type: ignore[arg-type]
    write_bytes(base.with_name(f"{base.name}.npz"), content.getvalue())
    left_out = {"curves", "histogram", "per_frame"}
    values = {key: value for key, value in asdict_shallow(found).items() if key not in left_out}
    values["thresholds"] = [asdict(row) for row in found.thresholds]
    values["precision_effect"] = found.precision_effect and asdict(found.precision_effect)
    values["place"] = place
    write_text(base.with_name(f"{base.name}.json"), json.dumps(values, indent=1) + "\n")


def load_findings(folder: Path) -> list[Findings]:
    """Read all findings of an evaluation's folder, in the order of its table.

    Older evaluations kept no order: theirs are sorted by the names of sets and detectors. A result
    that was cut off while it was put in its place is put there first.

    Raises:
        DataError: the folder holds none, or a file of it is broken.
        UserError: an evaluation is putting its result there just now.
    """
    settle(folder)
    paths = sorted((folder / FOLDER).glob("*/*.json"))
    if not paths:
        msg = (
            f"{folder} holds no evaluation: there is no `{FOLDER}/` in it. Give a folder that "
            "`roadanomaly evaluate --out` wrote."
        )
        raise DataError(msg)
    placed = [_read_placed(path) for path in paths]
    return [found for _, found in sorted(placed, key=lambda one: one[0])]


def asdict_shallow(found: Findings) -> dict[str, Any]:
    """Return the fields by name, without going into them."""
    return {name: getattr(found, name) for name in found.__dataclass_fields__}


def read_findings(path: Path) -> Findings:
    """Read one detector's findings on one set, `<detector>.json` with the arrays beside it.

    Raises:
        DataError: a file of the two is missing or broken.
    """
    return _read_placed(path)[1]


def _read_placed(path: Path) -> tuple[int, Findings]:
    """Return findings with their place in the table; 0 of those that kept none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        with np.load(path.with_suffix(".npz")) as arrays:
            held = {name: arrays[name] for name in arrays.files}
        values["thresholds"] = tuple(ThresholdFinding(**row) for row in values["thresholds"])
        values["warnings"] = tuple(values["warnings"])
        if effect := values.get("precision_effect"):
            values["precision_effect"] = PrecisionEffect(**effect)
        place = int(values.pop("place", 0))
        return place, Findings(**values, **_from_arrays(held))
    except UNREADABLE as error:
        msg = f"{path} is broken: {error}. Run that evaluation again."
        raise DataError(msg) from error


def _arrays(found: Findings) -> dict[str, np.ndarray]:
    """Flatten curves, histogram and frames; frames of unequal length are laid end to end."""
    frames = found.per_frame
    arrays = {
        "ids": np.array([frame.id for frame in frames], dtype=str),
        "frame_numbers": np.array(
            [[getattr(frame, name) for name in FRAME_NUMBERS] for frame in frames]
        ).reshape(-1, len(FRAME_NUMBERS)),
        "histogram_edges": found.histogram.edges,
        "histogram_inlier": found.histogram.inlier,
        "histogram_anomaly": found.histogram.anomaly,
    }
    for mode, curve in found.curves.items():
        arrays |= {f"plot_{mode}_{name}": getattr(curve, name) for name in PLOT_ARRAYS}
    for name in CURVE_ARRAYS:
        arrays |= _laid(f"curve_{name}", [getattr(frame.curve, name) for frame in frames])
    for name in OBJECT_ARRAYS:
        arrays |= _laid(f"objects_{name}", [getattr(frame.objects, name) for frame in frames])
    return arrays


def _from_arrays(held: dict[str, np.ndarray]) -> dict[str, Any]:
    curves = {name: _cut(held, f"curve_{name}") for name in CURVE_ARRAYS}
    objects = {name: _cut(held, f"objects_{name}") for name in OBJECT_ARRAYS}
    frames = tuple(
        FrameFinding(
            str(frame_id),
            **dict(zip(FRAME_NUMBERS, held["frame_numbers"][place].tolist(), strict=True)),
            curve=FrameCurve(**{name: curves[name][place] for name in CURVE_ARRAYS}),
            objects=FrameObjects(**{name: objects[name][place] for name in OBJECT_ARRAYS}),
        )
        for place, frame_id in enumerate(held["ids"])
    )
    modes = sorted({name.split("_")[1] for name in held if name.startswith("plot_")})
    return {
        "per_frame": frames,
        "histogram": Histogram(
            *(held[f"histogram_{name}"] for name in ("edges", "inlier", "anomaly"))
        ),
        "curves": {
            mode: PlotCurve(**{name: held[f"plot_{mode}_{name}"] for name in PLOT_ARRAYS})
            for mode in modes
        },
    }


def _laid(name: str, parts: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    listed = list(parts)
    whole = np.concatenate(listed) if listed else np.empty(0)
    return {name: whole, f"{name}_size": np.array([part.size for part in listed], np.int64)}


def _cut(held: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    return np.split(held[name], np.cumsum(held[f"{name}_size"])[:-1])
