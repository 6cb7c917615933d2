"""Do what is left to do: make runs, evaluate and measure them, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from roadanomaly.errors import OptionError
from roadanomaly.files import write_text
from roadanomaly.leaderboard.at_once import AtOnce, Piece, Steps
from roadanomaly.leaderboard.children import Command
from roadanomaly.leaderboard.config import Board, TestSet
from roadanomaly.leaderboard.measuring import (
    bare_key,
    costs,
    measure_words,
    measured_bare,
    measured_key,
    measured_of,
    segmenter_run,
)
from roadanomaly.leaderboard.ordinary import (
    left_on_ordinary,
    ordinary_words,
    take,
    why_not_there,
    write_worlds,
)
from roadanomaly.leaderboard.places import (
    asked_of,
    bare_file,
    evaluation_folder,
    evaluation_stamp,
    failure_file,
    key_of,
    log_file,
    measured_file,
    measured_name,
    ordinary_stamp,
    read_values,
    write_values,
)
from roadanomaly.leaderboard.plan import Run, reference_folder
from roadanomaly.leaderboard.shares import shares
from roadanomaly.leaderboard.state import progress_of
from roadanomaly.locks import holding
from roadanomaly.training.run_folder import RunFolder

MEASURE = "roadanomaly.leaderboard.measure"
Say = Callable[[str], object]


@dataclass
class Worker:
    """Goes through a plan, leaves out what is done, and goes on where something fails.

    Args:
        board: the config.
        runs: in order.
        workers: processes of an evaluation.
        jobs: how many runs are made and evaluated at once; costs are measured alone.
        measuring: measure costs and known classes; else leave them to another call.
        say: tells what is done now.
        unmade: why a run is not to be had, by its name; filled on the way.
    """

    board: Board
    runs: Sequence[Run]
    workers: int = 1
    jobs: int = 1
    measuring: bool = True
    say: Say = field(default=lambda text: sys.stderr.write(f"{text}\n"))
    unmade: dict[str, str] = field(default_factory=dict)

    def go(self, wanted: Collection[str]) -> None:
        """Make, evaluate and measure the wanted runs.

        Args:
            wanted: names of runs, with all that they need.

        Raises:
            UserError: the folder cannot be written.
            KeyboardInterrupt: asked to stop; the run at work has saved its state.
        """
        self._bare()
        pieces = [piece for run in self.runs if run.name in wanted for piece in self._pieces(run)]
        AtOnce(pieces, self._ended, shares(self.jobs)).go()

    def _pieces(self, run: Run) -> list[Piece]:
        """Return what is to be done for a run: making and evaluating it, and measuring it."""
        made = Piece(run.name, lambda: self._made_and_judged(run), run.needs)
        if not self.measuring:
            return [made]
        return [
            made,
            Piece(measured_name(run), lambda: self._measured(run), (run.name,), alone=True),
        ]

    def _ended(self, name: str, reason: str) -> None:
        """Note how a piece of work ended."""
        path = failure_file(self.board, name)
        if reason:
            write_values(path, {"reason": reason})
            self.say(f"{name} failed: {reason}")
        else:
            path.unlink(missing_ok=True)

    def _made_and_judged(self, run: Run) -> Steps:
        """Make a run; where it is a row's, evaluate it on all sets, the ordinary ones last."""
        reason = yield from self._make(run)
        if reason:
            self.unmade[run.name] = reason
            return reason
        if run.how not in ("train", "fit") or run.member not in self.board.rows:
            return ""
        for name, given in self.board.sets.items():
            reason = yield from self._evaluate(run, name, given)
            if reason:
                return f"on {name}: {reason}"
        reasons = []
        for name in left_on_ordinary(self.board, run):
            reason = yield from self._count(run, name)
            if reason:
                reasons.append(f"on ordinary frames, {name}: {reason}")
        return "; ".join(reasons)

    def _measured(self, run: Run) -> Steps:
        """Measure a run that is there: its known classes, and a row's cost by its first seed."""
        if run.name in self.unmade or run.how not in ("train", "fit"):
            return ""
        return (yield from self._measure(run))

    def _make(self, run: Run) -> Steps:
        """Make a run that is not done; return why it cannot be had, or nothing."""
        missing = next((one for one in run.needs if one in self.unmade), None)
        if missing:
            return f"it needs {missing}, which failed: {self.unmade[missing]}"
        progress, told = progress_of(run)
        if progress == "done":
            return ""
        words = run.words
        if run.how != "fit" and progress == "begun":
            if RunFolder(run.folder).last.exists():
                words = (*words, "--resume")
            else:
                _delete(run.folder)  # what was killed before its first checkpoint
        self.say(f"{run.name}: roadanomaly {' '.join(words)}{f' ({told})' if told else ''}")
        write_text(run.file, yaml.safe_dump(run.values, sort_keys=False))
        return (yield Command("roadanomaly", words, log_file(self.board, run.name)))

    def _evaluate(self, run: Run, set_name: str, given: TestSet) -> Steps:
        folder = evaluation_folder(self.board, set_name, run)
        stamp = evaluation_stamp(self.board, set_name, run)
        key = key_of(run, asked_of(given))
        held = read_values(stamp)
        shown = held.get("pictures", self.board.frames) >= self.board.frames
        if held.get("key") == key and shown and (folder / "record.json").exists():
            return ""
        stamp.unlink(missing_ok=True)
        self.say(f"{run.name}: evaluated on {set_name}")
        words = evaluate_words(run, given, folder, self.board.frames, self.workers)
        log = log_file(self.board, f"{run.name}_on_{set_name}")
        reason = yield Command("roadanomaly", words, log)
        if not reason:
            write_values(stamp, {"key": key, "pictures": self.board.frames})
        return reason

    def _count(self, run: Run, set_name: str) -> Steps:
        """Count a run's false components on ordinary frames."""
        ordinary_stamp(self.board, set_name, run).unlink(missing_ok=True)
        reason = why_not_there(self.board, set_name)
        if reason:
            return reason
        self.say(f"{run.name}: false components on {set_name}")
        write_worlds(self.board)
        words = ordinary_words(self.board, set_name, run)
        log = log_file(self.board, f"{run.name}_ordinary_{set_name}")
        reason = yield Command("roadanomaly", words, log)
        return reason or take(self.board, set_name, run)

    def _measure(self, run: Run) -> Steps:
        if measured_of(self.board, run):
            return ""
        self.say(f"{run.name}: cost and known classes")
        out, bare = measured_file(self.board, run), bare_file(self.board)
        words = [str(out), "--model", str(run.folder), "--before", str(bare)]
        words += ["--key", measured_key(self.board, run)]
        words += measure_words(self.board, with_cost=costs(self.board, run))
        return (yield Command(MEASURE, words, log_file(self.board, measured_name(run))))

    def _bare(self) -> None:
        """Make and measure the segmenter alone.

        Raises:
            OptionError: it cannot be had, and no row begins without it.
        """

        def ended(name: str, reason: str) -> None:
            if reason:
                msg = f"{name} that all rows begin with cannot be had: {reason}"
                raise OptionError(msg)

        AtOnce([Piece("the segmenter", self._bare_measured)], ended).go()

    def _bare_measured(self) -> Steps:
        begins = segmenter_run(self.board, self.runs)
        for run in self.runs:
            if begins and run.name in _with_needs(self.runs, {begins.name}):
                reason = yield from self._make(run)
                if reason:
                    return reason
        if not self.measuring or measured_bare(self.board, self.runs):
            return ""
        self.say("the segmenter alone: known classes")
        network = json.dumps(reference_folder(self.board) or self.board.segmenter)
        words = [str(bare_file(self.board)), "--segmenter", network]
        words += ["--key", bare_key(self.board, self.runs)]
        words += measure_words(self.board, with_cost=False)
        return (yield Command(MEASURE, words, log_file(self.board, "segmenter")))


def evaluate_words(
    run: Run, given: TestSet, folder: Path, pictures: int, workers: int
) -> list[str]:
    """Return the command that evaluates a run on a set, without `roadanomaly`."""
    data = dict(given.data)
    words = ["evaluate", str(run.folder), "--detectors", "none", "--on", data.pop("name")]
    if data:
        words += ["--data", json.dumps(data)]
    if given.size:
        words += ["--size", json.dumps(list(given.size))]
    if given.negatives:
        words += ["--negatives", json.dumps(given.negatives)]
    return [*words, "--pictures", str(pictures), "--workers", str(workers), "--out", str(folder)]


def wanted_runs(board: Board, runs: Sequence[Run], only: Collection[str]) -> set[str]:
    """Return the names of the runs of some rows, with all that they need.

    Args:
        board: the config.
        runs: all.
        only: names of rows; empty for all.

    Raises:
        OptionError: a name that is no row's.
    """
    for name in only:
        if name not in board.rows:
            msg = f"--only {name}: the rows are {', '.join(board.rows)}."
            raise OptionError(msg)
    rows = {run.name for run in runs if run.member in (only or board.rows)}
    return _with_needs(runs, rows)


def _with_needs(runs: Sequence[Run], names: set[str]) -> set[str]:
    """Return names with those that they need; runs stand after what they need."""
    found = set(names)
    for run in reversed(runs):
        if run.name in found:
            found |= set(run.needs)
    return found


def refuse_changed(runs: Sequence[Run], wanted: Collection[str], *, retrain: bool) -> None:
    """Refuse wanted runs that another config made; or delete them, and all made from them.

    Args:
        runs: all.
        wanted: names of those that are to be made.
        retrain: delete.

    Raises:
        OptionError: names the runs, what differs, and what to do.
    """
    changed = {
        run.name: told
        for run in runs
        if run.name in wanted
        for progress, told in [progress_of(run)]
        if progress == "changed"
    }
    if not changed:
        return
    if not retrain:
        told = "\n".join(f"  {name}: {words}" for name, words in changed.items())
        msg = (
            f"these runs were made by another config:\n{told}\nSet it back, name another folder "
            "by --out, or delete and make them again, and all that was made from them, by "
            "--retrain."
        )
        raise OptionError(msg)
    gone = set(changed)
    for run in runs:
        if gone & set(run.needs):
            gone.add(run.name)
    for run in reversed(runs):
        if run.name in gone and run.folder.exists():
            _delete(run.folder)


def _delete(folder: Path) -> None:
    """Delete a run's folder, unless somebody is at work in it.

    Raises:
        UserError: somebody is.
    """
    with holding(folder, ["leaderboard"], what=f"the run {folder}"):
        shutil.rmtree(folder)
