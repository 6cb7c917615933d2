"""A small picture of every detector's scores on the same three drawn frames, and its figures there.

    python benchmarks/method_pictures.py
    python benchmarks/method_pictures.py --only msp densehybrid

Trains one small segmenter on the embedded streets, and a small mask network; then each detector of
the catalogue for 40 steps, or fits it, as the rows of `configs/leaderboard_streets.yaml` and of
`method_pictures.yaml` beside this file say; scores twelve test frames, and writes into
`docs/methods/` a picture a method, `figures.csv`, the frames with their labels, and the scale of
the colours. The pages of the site show them. Nothing is downloaded.

A colour is a rarity: `-log10` of the share of all pixels of the twelve frames that score at least
as high, from 0 (black) to 3 (brightest: one pixel in a thousand). So all methods share a scale,
whatever the units of their scores, and a score that is the same everywhere is black.

What is made already is not made again, so a stopped run goes on where it stood; `--again` scores
anew. A method that fails is told with its reason, also in `figures.csv`, and the others go on.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
import yaml

import roadanomaly as ra
from roadanomaly.cli.main import INTERRUPTED
from roadanomaly.cli.main import main as command
from roadanomaly.data import DATASETS
from roadanomaly.data.memory import Memory
from roadanomaly.data.streets import Streets
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import OptionError, UserError, nearest
from roadanomaly.evaluation.cost import in_turns, scored
from roadanomaly.evaluation.truth import truth_of
from roadanomaly.files import write_bytes, write_text
from roadanomaly.leaderboard.children import reason_of
from roadanomaly.leaderboard.config import Board, board_of
from roadanomaly.leaderboard.merging import merged
from roadanomaly.leaderboard.places import key_of, log_file, read_values, write_values
from roadanomaly.leaderboard.plan import Run, folder_name, plan_of
from roadanomaly.leaderboard.results import trained_parameters
from roadanomaly.leaderboard.state import progress_of
from roadanomaly.metrics.exact import PixelExact
from roadanomaly.report.pictures import FONT, column, heat, rgb, row, truth_picture
from roadanomaly.report.tables.results import learned_from
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.types import Frame

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"
BOARD = CONFIGS / "leaderboard_streets.yaml"
FURTHER = HERE / "method_pictures.yaml"
OUT = HERE.parent / "docs" / "methods"

SET = "streets"
"""Of the board's sets, the one that is scored."""

SHOWN = (0, 10, 11)
"""Frames of the pictures: between them an animal far off, one near, and debris large and small."""

RAREST = 3.0
"""Rarity that is drawn brightest: one pixel in a thousand."""

HEIGHT = 128
QUALITY = 80
REPEATS = 3
COLUMNS = (
    "method",
    "ap",
    "fpr95",
    "plain_ms",
    "scored_ms",
    "trained",
    "seconds",
    "steps",
    "seed",
    "network",
    "recipe",
    "learned_from",
    "note",
    "reason",
)


class KeptStreets(Streets):
    """Streets that keep what they drew for all runs of this process; drawing takes longest."""

    kept: ClassVar[dict[str, Memory[np.ndarray]]] = {}

    def __getitem__(self, index: int) -> Frame:
        """Draw one frame, or take it from another set of the same kind."""
        kind = json.dumps({**self.record(), "count": None})
        self._drawn = self.kept.setdefault(kind, self._drawn)
        return super().__getitem__(index)


@dataclass(frozen=True)
class Studio:
    """Makes, scores and draws one method after the other.

    Args:
        board: the streets' leaderboard with the further rows.
        out: folder of pictures and figures.
        again: score and draw what has been drawn.
    """

    board: Board
    out: Path
    again: bool = False

    @cached_property
    def runs(self) -> dict[str, Run]:
        """All runs by name, each after those that it needs."""
        return {run.name: run for run in plan_of(self.board, CONFIGS)}

    @cached_property
    def frames(self) -> list[Frame]:
        """The test frames."""
        return list(DATASETS.from_spec(dict(self.board.sets[SET].data)))

    def go(self, names: Sequence[str]) -> dict[str, str]:
        """Make the pictures of some methods; return why any could not be had."""
        self._draw_shared()
        failed = {}
        for number, name in enumerate(names, 1):
            began = time.perf_counter()
            reason = self._one(name)
            if reason:
                failed[name] = reason
                self._keep({"method": name, "reason": reason})
            took = time.perf_counter() - began
            say(f"{number}/{len(names)} {name}: {reason or 'done'}, {took:.0f} s")
        return failed

    def _one(self, name: str) -> str:
        """Make one method's picture; return why that cannot be, or nothing."""
        run = self.runs[folder_name(name, self.board.rows[name].seeds[0])]
        if reason := self._make(run):
            return reason
        stamp = Path(self.board.out) / "figures" / f"{name}.json"
        key = key_of(run, [SHOWN, dict(self.board.sets[SET].data)])
        if not self.again and read_values(stamp).get("key") == key and self._is_kept(name):
            return ""
        try:
            figures = self._score(name, run)
        except (UserError, RuntimeError, ValueError) as error:
            return str(error).splitlines()[0]
        self._keep(figures)
        write_values(stamp, {"key": key})
        return ""

    def _make(self, run: Run) -> str:
        """Make a run and what it needs; return why it cannot be had, or nothing."""
        for need in run.needs:
            if reason := self._make(self.runs[need]):
                return f"it needs {need}, which failed: {reason}"
        progress, _ = progress_of(run)
        if progress == "done":
            return ""
        words = run.words
        if progress == "begun" and RunFolder(run.folder).last.exists():
            words = (*words, "--resume")
        say(f"  roadanomaly {' '.join(words)}")
        write_text(run.file, yaml.safe_dump(run.values, sort_keys=False))
        began = time.perf_counter()
        reason = run_here(words, log_file(self.board, run.name))
        if not reason:
            write_values(self._clock(run), {"seconds": time.perf_counter() - began})
        return reason

    def _clock(self, run: Run) -> Path:
        return Path(self.board.out) / "seconds" / f"{run.name}.json"

    def _score(self, name: str, run: Run) -> dict[str, Any]:
        """Score all frames, draw the shown ones, and return the row of the table."""
        model = ra.load(run.folder)
        model.networks.eval()
        exact, scores = PixelExact(), []
        for frame in self.frames:
            model.detector.reset()
            score = model.score(frame.image[None].float() / 255)[0][0].detach().numpy()
            exact.update(frame.id, score, truth_of(frame))
            scores.append(score)
        result = exact.compute()
        size = self.board.cost.size if self.board.cost else scores[0].shape
        torch.manual_seed(0)
        plain_ms, scored_ms = in_turns(model, torch.rand(1, 3, *size), REPEATS, scored)
        maps = rarity(np.stack(scores))
        picture = row([heat(maps[index], 0, RAREST) for index in self._shown], HEIGHT)
        write_picture(self.out / f"{name}.webp", picture)
        return {
            "method": name,
            "ap": f"{100 * result.ap:.1f}",
            "fpr95": f"{100 * result.fpr95:.1f}",
            "plain_ms": f"{plain_ms:.0f}",
            "scored_ms": f"{scored_ms:.0f}",
            "trained": f"{trained_parameters(run):.0f}" if run.how == "train" else 0,
            "seconds": f"{read_values(self._clock(run)).get('seconds', float('nan')):.0f}",
            "steps": run.values.get("steps", 0),
            "seed": run.seed,
            "network": type(model.segmenter).__name__,
            "recipe": self.board.rows[name].recipe,
            "learned_from": learned_from(model.detector.learned_from),
            "note": self.board.rows[name].note,
        }

    @property
    def _shown(self) -> list[int]:
        return [index for index in SHOWN if index < len(self.frames)]

    def _draw_shared(self) -> None:
        """Draw the frames, their labels below them, and the colours' scale."""
        shown = [self.frames[index] for index in self._shown]
        images = row([rgb(one) for one in shown], HEIGHT)
        truths = row([truth_picture(rgb(one), truth_of(one)) for one in shown], HEIGHT)
        write_picture(self.out / "frames.webp", column([images, truths]))
        write_picture(self.out / "scale.webp", scale(images.shape[1]))

    def _is_kept(self, name: str) -> bool:
        kept = {one["method"]: one for one in read_figures(self.out)}
        drawn = (self.out / f"{name}.webp").exists()
        return drawn and name in kept and not kept[name]["reason"]

    def _keep(self, figures: dict[str, Any]) -> None:
        """Put a method's row into the table, in the place of an older one."""
        if figures.get("reason"):
            (self.out / f"{figures['method']}.webp").unlink(missing_ok=True)
        kept = {one["method"]: one for one in read_figures(self.out)}
        kept[figures["method"]] = {key: str(figures.get(key, "")) for key in COLUMNS}
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept[name] for name in sorted(kept))
        write_text(self.out / "figures.csv", text.getvalue())


def run_here(words: Sequence[str], log: Path) -> str:
    """Run a command of the package in this process, where drawn streets are kept from run to run.

    Args:
        words: the command, without `roadanomaly`.
        log: file that its output goes into.

    Returns:
        why it failed; empty where it did not.

    Raises:
        KeyboardInterrupt: it was asked to stop, and has.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as told, redirect_stdout(told), redirect_stderr(told):
        try:
            code = command(words)
        except (RuntimeError, ValueError, TypeError) as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return reason_of(log, code) if code else ""


def rarity(scores: np.ndarray) -> np.ndarray:
    """Return `-log10` of the share of all values that are at least as large, of the same shape.

    >>> rarity(np.array([[1.0, 2.0], [2.0, 7.0]])).round(2).tolist()
    [[-0.0, 0.12], [0.12, 0.6]]
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    above = counts[::-1].cumsum()[::-1]
    return -np.log10(above / scores.size)[place].reshape(scores.shape)


def scale(width: int) -> np.ndarray:
    """Draw the colours from rarity 0 to `RAREST`, and below them what they mean."""
    ramp = heat(np.tile(np.linspace(0, RAREST, width)[None], (12, 1)), 0, RAREST)
    words = np.full((18, width, 3), 255, np.uint8)
    for rare in range(int(RAREST) + 1):
        text = f"1 in {10**rare}" if rare else "every pixel"
        room = cv2.getTextSize(text, FONT, 0.4, 1)[0][0]
        place = round(rare / RAREST * (width - room))
        cv2.putText(words, text, (place, 13), FONT, 0.4, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate([ramp, words])


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write an RGB picture as WebP."""
    options = [cv2.IMWRITE_WEBP_QUALITY, QUALITY]
    done, content = cv2.imencode(".webp", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    assert done
    write_bytes(path, content.tobytes())


def read_figures(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a folder's table; none where there is no table."""
    path = folder / "figures.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def board_with_all(out: str) -> Board:
    """Return the streets' board with the further rows and those that go without saying.

    Args:
        out: folder of its runs.
    """
    held = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (BOARD, FURTHER)]
    values = merged(*held) | {"out": out}
    for name in DETECTORS:
        if name not in values["rows"] and DETECTORS.get(name).kind in ("posthoc", "fit"):
            values["rows"][name] = {"how": "fit", "options": {"detector": {"name": name}}}
    return board_of(values, f"{BOARD.name} with {FURTHER.name}")


def say(text: str) -> None:
    print(text, flush=True)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="METHOD")
    parser.add_argument("--work", default="runs/method_pictures", help="folder of the runs")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of pictures and figures")
    parser.add_argument("--again", action="store_true", help="score what has been scored")
    given = parser.parse_args(words)
    board = board_with_all(given.work)
    for name in given.only:
        if name not in board.rows:
            msg = f"--only {name}: no such method; {nearest(name, board.rows)}"
            raise OptionError(msg)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    DATASETS.entries["streets"] = f"{__name__}:KeptStreets"
    given.out.mkdir(parents=True, exist_ok=True)
    failed = Studio(board, given.out, given.again).go(given.only or list(board.rows))
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"method_pictures: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
