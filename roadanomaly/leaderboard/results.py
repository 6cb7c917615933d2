"""What a leaderboard has so far, read from its folder: one value a row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.evaluation.findings import Findings, load_findings
from roadanomaly.folders import standing
from roadanomaly.leaderboard.config import Board
from roadanomaly.leaderboard.measuring import measured_bare, measured_of
from roadanomaly.leaderboard.ordinary import false_a_frame, left_on_ordinary
from roadanomaly.leaderboard.places import (
    asked_of,
    evaluation_folder,
    evaluation_stamp,
    failure_file,
    key_of,
    measured_name,
    read_values,
)
from roadanomaly.leaderboard.plan import Run, folder_name
from roadanomaly.leaderboard.state import progress_of
from roadanomaly.report.published import PublishedRow, published

SEVERAL = "several heads"
COSTS = ("plain_ms", "scored_ms", "plain_mb", "scored_mb")


@dataclass(frozen=True)
class Scored:
    """One run on one set.

    Args:
        seed: of the run.
        folder: of the evaluation.
        key: of what was scored.
        found: the findings.
    """

    seed: int
    folder: Path
    key: str
    found: Findings


@dataclass(frozen=True)
class Trained:
    """What a training saw.

    Args:
        title: of what was trained.
        images: crops, over all steps.
        crop: height and width.
    """

    title: str
    images: int
    crop: tuple[int, int]


@dataclass(frozen=True)
class RowResult:
    """One row.

    Args:
        name: in the config.
        title: in tables.
        family: room of its detector.
        note: what is not as in the other rows.
        seeds: how many the config asks for.
        missing: why it has no figures, or not of all seeds; empty where it has.
        chosen: on what its checkpoint was chosen; empty of what is fitted.
        scored: by set, one a seed.
        ordinary: by set without an anomaly, false components a frame at the own threshold, one a
            seed that was scored there; NaN of one without a threshold.
        images: crops that its own trainings saw, over all steps.
        crops: those trainings.
        pretraining: flows and generators that were trained before.
        trained: numbers that its own trainings moved, each once, those of a source of negatives
            too; NaN where a training did not record it.
        measured: figures of its cost by its first seed, by name; empty where not measured.
        machine: that they were measured on.
        miou_before: of the segmenter that all rows begin with, on the known classes.
        miou: of the row's own, one a seed.
        published: the papers' row, if any.
    """

    name: str
    title: str
    family: str
    note: str
    seeds: int
    missing: str
    chosen: str
    scored: dict[str, list[Scored]] = field(repr=False)
    ordinary: dict[str, tuple[float, ...]] = field(default_factory=dict)
    images: int = 0
    crops: tuple[Trained, ...] = ()
    pretraining: tuple[Trained, ...] = ()
    trained: float = math.nan
    measured: dict[str, float] = field(default_factory=dict)
    machine: str = ""
    miou_before: float = math.nan
    miou: tuple[float, ...] = ()
    published: PublishedRow | None = None


def read_rows(board: Board, runs: Sequence[Run]) -> list[RowResult]:
    """Return all rows, in the order of the config.

    Args:
        board: the config.
        runs: its plan.
    """
    by_name = {run.name: run for run in runs}
    papers = {row.method: row for row in published(board.published) if row.split == "test"}
    before = _number(measured_bare(board, runs), "miou")
    return [
        replace(_row(board, by_name, name), miou_before=before, published=papers.get(one.published))
        for name, one in board.rows.items()
    ]


def _row(board: Board, runs: dict[str, Run], name: str) -> RowResult:
    member = board.rows[name]
    own = [runs[folder_name(name, seed)] for seed in member.seeds]
    missing = {run.seed: why for run in own if (why := _missing(board, run))}
    first = own[0]
    behind = [runs[one] for one in _all_needs(runs, first)]
    trainings = [run for run in (*behind, first) if run.how == "train" and not _begins(board, run)]
    held = [measured_of(board, run) for run in own]
    return RowResult(
        name=name,
        title=member.title or name,
        family=family_of(first),
        note=member.note,
        seeds=len(own),
        missing=_of_seeds(missing, len(own)),
        chosen=_chosen(first),
        scored={key: _scored(board, key, own) for key in board.sets},
        ordinary={key: _counted(board, key, own) for key in board.ordinary},
        images=sum(_seen(board, run).images for run in trainings),
        crops=tuple(_seen(board, run) for run in trainings),
        pretraining=tuple(_seen(board, run) for run in behind if run.how in ("flow", "generator")),
        trained=float(sum(trained_parameters(run) for run in _that_move_more(trainings))),
        measured={key: _number(held[0], key) for key in COSTS if held[0].get(key) is not None},
        machine=held[0].get("machine", ""),
        miou=tuple(_number(one, "miou") for one in held if one.get("miou") is not None),
    )


def _of_seeds(reasons: Mapping[int, str], seeds: int) -> str:
    """Say what each seed lacks; what all of them lack is said once.

    >>> _of_seeds({0: "not made yet", 1: "not made yet"}, seeds=2)
    'not made yet'
    >>> _of_seeds({1: "not made yet"}, seeds=2)
    'seed 1: not made yet'
    """
    if len(reasons) == seeds and len(set(reasons.values())) == 1:
        return reasons[min(reasons)]
    return "; ".join(f"seed {seed}: {why}" for seed, why in reasons.items())


def _missing(board: Board, run: Run) -> str:
    """Say why a run has no figures; empty where it has all."""
    progress, told = progress_of(run)
    scored = progress == "done" and all(_holds(board, name, run) for name in board.sets)
    counted = scored and not left_on_ordinary(board, run)
    if counted:
        reason = read_values(failure_file(board, measured_name(run))).get("reason")
        return f"measuring its cost and known classes failed: {reason}" if reason else ""
    if progress == "changed":
        return f"made by another config: {told}"
    if reason := read_values(failure_file(board, run.name)).get("reason"):
        return f"failed: {reason}"
    if progress == "begun":
        return f"begun, {told}"
    if scored:
        return "not scored on ordinary frames yet"
    return "not evaluated yet" if progress == "done" else "not made yet"


def _holds(board: Board, set_name: str, run: Run) -> str:
    """Return the key of an evaluation that is there and still holds, or nothing."""
    if not (evaluation_folder(board, set_name, run) / "record.json").exists():
        return ""
    stamp = read_values(evaluation_stamp(board, set_name, run))
    try:
        key = key_of(run, asked_of(board.sets[set_name]))
    except (OSError, ValueError):
        return ""
    return key if stamp.get("key") == key else ""


def _scored(board: Board, set_name: str, runs: Sequence[Run]) -> list[Scored]:
    found = []
    for run in runs:
        key = _holds(board, set_name, run) if progress_of(run)[0] == "done" else ""
        if key:
            folder = evaluation_folder(board, set_name, run)
            found.append(Scored(run.seed, folder, key, load_findings(folder)[0]))
    return found


def _counted(board: Board, set_name: str, runs: Sequence[Run]) -> tuple[float, ...]:
    """Return false components a frame on ordinary frames, one a run that was scored there."""
    done = [run for run in runs if progress_of(run)[0] == "done"]
    found = [false_a_frame(board, set_name, run) for run in done]
    return tuple(one for one in found if one is not None)


def _all_needs(runs: dict[str, Run], run: Run) -> list[str]:
    """Return the names of all runs behind one, each once."""
    found: dict[str, None] = {}
    for name in run.needs:
        found |= dict.fromkeys([*_all_needs(runs, runs[name]), name])
    return list(found)


def _begins(board: Board, run: Run) -> bool:
    """Tell whether a run is the segmenter that all rows begin with."""
    return board.segmenter in (f"@{run.member}", f"@{run.member}/{run.seed}")


def _seen(board: Board, run: Run) -> Trained:
    values = run.values
    images = int(values["steps"] * values["batch_size"] * values["accumulate"])
    member = (board.rows | board.first)[run.member]
    height, width = values["crop"]
    return Trained(member.title or run.member, images, (height, width))


def _that_move_more(trainings: Sequence[Run]) -> list[Run]:
    """Leave out trainings that move what one of them moved already, or nothing."""
    folders = {str(run.folder) for run in trainings}
    return [
        run
        for run in trainings
        if not (run.values["detector"] is None and run.values["start"] in folders)
        and not _moves_nothing(run)
    ]


def _moves_nothing(run: Run) -> bool:
    """Tell whether all rates of a training are 0, so that it scores what others trained."""
    values = run.values
    kind = DETECTORS.get(values["detector"]["name"]) if values["detector"] else Detector
    if kind.learners is not Detector.learners:
        return False  # what it declares has rates of its own
    rates = [values["head_lr"]]
    if kind.kind != "train":
        rates += [values["lr"], values["encoder_lr"]]
    if values["negatives"]:
        rates.append(values["source_lr"])
    return not any(rates)


def trained_parameters(run: Run) -> float:
    """Return how many numbers a training moved; NaN where its record does not say."""
    record = read_values(standing(run.folder / "model") / "model.json").get("record") or {}
    return _number(record, "trained_parameters")


def _chosen(run: Run) -> str:
    """Say on what a training chose its checkpoint."""
    if run.how != "train":
        return ""
    data, source = run.values["val_data"], run.values.get("val_negatives")
    by = f"with {source['name']}" if source else "by known classes"
    return " ".join(str(one) for one in (data["name"], data.get("split"), by) if one)


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    return math.nan if value is None else float(value)


def family_of(run: Run) -> str:
    """Return the room of a run's detector, in words."""
    detector = run.values.get("detector") or {}
    path = DETECTORS.entries.get(detector.get("name", ""), "")
    rooms = path.split(":")[0].split(".")
    return rooms[2] if len(rooms) > 3 else SEVERAL
