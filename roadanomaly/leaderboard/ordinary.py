"""False components of a run on ordinary frames: what is asked, and whether what was counted holds.

`roadanomaly worlds` scores and counts, at the run's own threshold.
"""

from __future__ import annotations

import math
from typing import Any

import yaml

from roadanomaly.errors import UserError
from roadanomaly.evaluation.worlds import open_world
from roadanomaly.evaluation.worlds.kept import FORMAT
from roadanomaly.files import write_text
from roadanomaly.leaderboard.config import Board, OrdinarySet
from roadanomaly.leaderboard.places import (
    key_of,
    ordinary_folder,
    ordinary_stamp,
    read_values,
    worlds_file,
    write_values,
)
from roadanomaly.leaderboard.plan import Run


def ordinary_words(board: Board, set_name: str, run: Run) -> list[str]:
    """Return the command that scores a run on ordinary frames, without `roadanomaly`."""
    out = str(ordinary_folder(board, set_name, run))
    config = str(worlds_file(board))
    return ["worlds", str(run.folder), "--config", config, "--only", set_name, "--out", out]


def write_worlds(board: Board) -> None:
    """Write what that command reads.

    Raises:
        UserError: the file cannot be written.
    """
    held = {name: one.world for name, one in board.ordinary.items()}
    write_text(worlds_file(board), yaml.safe_dump(held, sort_keys=False))


def why_not_there(board: Board, set_name: str) -> str:
    """Say why an ordinary set cannot be read on this machine; empty where it can."""
    try:
        _ids_now(board, set_name)
    except UserError as error:
        return f"{error} Put the set there, or take `{set_name}` out of `ordinary`."
    return ""


def missing_sets(board: Board) -> list[str]:
    """Say, before anything is made, which ordinary sets cannot be read on this machine, and why."""
    reasons = {name: why_not_there(board, name) for name in board.ordinary}
    return [f"on ordinary frames, {name}: {why}" for name, why in reasons.items() if why]


def take(board: Board, set_name: str, run: Run) -> str:
    """Note that what the command has written is of this run; return why it cannot be, or nothing.

    Raises:
        UserError: the note cannot be written.
    """
    result = _written(board, set_name, run)[1]
    if result.get("has_anomalies"):
        return (
            f"`{set_name}` of `ordinary` shows anomalies, and false components are counted where "
            "there are none: name frames without, such as {data: {name: folder, images: my_roads, "
            "kind: ordinary}}."
        )
    key = _key(board.ordinary[set_name], run)
    write_values(ordinary_stamp(board, set_name, run), {"key": key})
    return ""


def false_a_frame(board: Board, set_name: str, run: Run) -> float | None:
    """Return a run's false components a frame; None where they are not counted, or hold no more.

    They hold for the run's weights, options and threshold, the set's options and, where the set is
    there to look at, the ids of its frames.

    Returns:
        the number; NaN of a run without a threshold.
    """
    try:
        key = _key(board.ordinary[set_name], run)
    except (OSError, ValueError):
        return None
    if read_values(ordinary_stamp(board, set_name, run)).get("key") != key:
        return None
    ids, result = _written(board, set_name, run)
    if "false_a_frame" not in result or not _are_of(ids, board, set_name):
        return None
    value = result["false_a_frame"]
    return math.nan if value is None else float(value)


def left_on_ordinary(board: Board, run: Run) -> list[str]:
    """Return the ordinary sets that a run is still to be scored on; none where it is no row's."""
    if run.member not in board.rows:
        return []
    return [name for name in board.ordinary if false_a_frame(board, name, run) is None]


def _key(given: OrdinarySet, run: Run) -> str:
    return key_of(run, {"world": given.world, "format": FORMAT})


def _written(board: Board, set_name: str, run: Run) -> tuple[list[str], dict[str, Any]]:
    """Return the ids of the frames that were scored, and the result; empty where it is broken."""
    held = read_values(ordinary_folder(board, set_name, run) / "worlds.json")
    try:
        return held["worlds"][set_name]["ids"], held["models"][0]["worlds"][set_name]
    except (KeyError, IndexError, TypeError):
        return [], {}


def _are_of(ids: list[str], board: Board, set_name: str) -> bool:
    """Tell whether a set has these frames; one that is not on this machine counts as the same."""
    try:
        return _ids_now(board, set_name) == ids
    except UserError:
        return True


def _ids_now(board: Board, set_name: str) -> list[str]:
    """Return the ids of an ordinary set's frames.

    Raises:
        UserError: the set is not there, or an option is not possible.
    """
    return open_world(set_name, board.ordinary[set_name].world).frames.frame_ids()
