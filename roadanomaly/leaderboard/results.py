"""What a leaderboard has so far, read from its folder: one value a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roadanomaly.detectors import DETECTORS
from roadanomaly.evaluation.findings import Findings, load_findings
from roadanomaly.leaderboard.config import Board
from roadanomaly.leaderboard.places import (
    asked_of,
    bare_file,
    evaluation_folder,
    evaluation_stamp,
    failure_file,
    key_of,
    measured_file,
    read_values,
)
from roadanomaly.leaderboard.plan import Run, folder_name
from roadanomaly.leaderboard.state import progress_of
from roadanomaly.report.published import PublishedRow, published

SEVERAL = "several heads"


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
        scored: by set, one a seed.
        images: crops that its own trainings saw, over all steps.
        crops: those trainings.
        pretraining: flows and generators that were trained before.
        trained: numbers that its own trainings moved; NaN where not measured.
        measured: figures of cost and known classes, by name; empty where not measured.
        published: the papers' row, if any.
    """

    name: str
    title: str
    family: str
    note: str
    seeds: int
    missing: str
    scored: dict[str, list[Scored]] = field(repr=False)
    images: int = 0
    crops: tuple[Trained, ...] = ()
    pretraining: tuple[Trained, ...] = ()
    trained: float = math.nan
    measured: dict[str, float] = field(default_factory=dict)
    published: PublishedRow | None = None


def read_rows(board: Board, runs: Sequence[Run]) -> list[RowResult]:
    """Return all rows, in the order of the config.

    Args:
        board: the config.
        runs: its plan.
    """
    by_name = {run.name: run for run in runs}
    papers = {row.method: row for row in published(board.published) if row.split == "test"}
    return [_row(board, by_name, name, papers) for name in board.rows]


def _row(
    board: Board, runs: dict[str, Run], name: str, papers: dict[str, PublishedRow]
) -> RowResult:
    member = board.rows[name]
    own = [runs[folder_name(name, seed)] for seed in member.seeds]
    missing = [f"seed {run.seed}: {why}" for run in own if (why := _missing(board, run))]
    if len(own) == 1:
        missing = [why.removeprefix(f"seed {own[0].seed}: ") for why in missing]
    first = own[0]
    behind = [runs[one] for one in _all_needs(runs, first)]
    trainings = [run for run in (*behind, first) if run.how == "train" and not _begins(board, run)]
    known = [read_values(measured_file(board, run)).get("trained", math.nan) for run in trainings]
    return RowResult(
        name=name,
        title=member.title or name,
        family=family_of(first),
        note=member.note,
        seeds=len(own),
        missing="; ".join(missing),
        scored={key: _scored(board, key, own) for key in board.sets},
        images=sum(_seen(board, run).images for run in trainings),
        crops=tuple(_seen(board, run) for run in trainings),
        pretraining=tuple(_seen(board, run) for run in behind if run.how in ("flow", "generator")),
        trained=float(sum(known)),
        measured=_measured(board, first),
        published=papers.get(member.published),
    )


def _missing(board: Board, run: Run) -> str:
    """Say why a run has no figures; empty where it has all."""
    progress, told = progress_of(run)
    complete = progress == "done" and all(_holds(board, name, run) for name in board.sets)
    if complete:
        return ""
    if progress == "changed":
        return f"made by another config: {told}"
    if reason := read_values(failure_file(board, run)).get("reason"):
        return f"failed: {reason}"
    if progress == "begun":
        return f"begun, {told}"
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


def family_of(run: Run) -> str:
    """Return the room of a run's detector, in words."""
    detector = run.values.get("detector") or {}
    path = DETECTORS.entries.get(detector.get("name", ""), "")
    rooms = path.split(":")[0].split(".")
    return rooms[2] if len(rooms) > 3 else SEVERAL


def _measured(board: Board, run: Run) -> dict[str, float]:
    """Return the figures of a row, and what its segmenter was worth before."""
    values = read_values(measured_file(board, run))
    keys = ("plain_ms", "scored_ms", "plain_mb", "scored_mb", "miou", "parameters")
    found = {key: float(values[key]) for key in keys if values.get(key) is not None}
    before = read_values(bare_file(board)).get("miou")
    return found | ({} if before is None else {"miou_before": float(before)})
