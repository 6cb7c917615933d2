"""`roadanomaly mine`: the strangest events of many hours of video, with an index to look at."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from tqdm import tqdm

from roadanomaly.cli import video_options as options
from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.cli.thresholds import check_thresholds
from roadanomaly.errors import DataError, OptionError
from roadanomaly.extras import require
from roadanomaly.files import check_writable
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.mining.asked import ASKED, keep_asked, model_hash
from roadanomaly.mining.clip import Task, mine_clip
from roadanomaly.mining.index import INDEX, is_mined, write_index
from roadanomaly.mining.spread import Worker, find_clips, mine_here, mine_on_ray, others_found
from roadanomaly.runtimes import Runtime, Scorer
from roadanomaly.runtimes.gathering import Gathering
from roadanomaly.runtimes.ready import Opened
from roadanomaly.video.source import SUFFIXES, Source
from roadanomaly.video.sources import open_source

EXAMPLES = """
roadanomaly mine drives/ --model fast --out mined
roadanomaly mine runs/a drives/ --out mined
roadanomaly mine runs/a "drives/2026-*/front.mp4" --top 20 --false_alarms 0.0001 --out mined
roadanomaly mine drives/ --frames --out mined
roadanomaly mine runs/a drives/ --backend openvino --size 640x360 --out mined
roadanomaly mine runs/a drives/ --device cuda --precision bf16 --at_once 8 --out mined
roadanomaly mine exported drives/ --provider tensorrt --out mined
roadanomaly mine runs/a /shared/drives --ray_workers 16 --out /shared/mined
"""
DECIDE = (
    *("sensitivity", "false_alarms", "size", "precision", "widen", "min_area", "guard_s", "where"),
    *("smooth_s", "motion", "start_s", "start_frames", "end_s", "fps", "from_s", "loop", "top"),
)
"""Options that decide which events are found and kept."""

FOR_A_GPU = 4
"""Clips mined at a time on CUDA: one decoder is slower than the network there."""


def run(arguments: Sequence[str]) -> None:
    """Mine what is not mined yet, then write the index of everything."""
    parser = new_parser("mine", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly mine [RUN] SOURCE [SOURCE ...] --out DIR [options]"
    parser.add_argument(
        "sources", nargs="+", help=f"{options.BEFORE}clips, folders or quoted globs"
    )
    parser.add_argument("--out", type=str, required=True, help="folder of the index; resumes there")
    parser.add_argument("--top", type=int, default=10, help="events kept of a clip")
    parser.add_argument(
        "--frames",
        action="store_true",
        help="keep the frame of each event's peak whole, in frames/, to label and learn from",
    )
    parser.add_argument(
        "--at_once",
        type=int | None,
        default=None,
        help="clips mined at a time, frames of equal size in one batch; default: 4 on CUDA, else 1",
    )
    parser.add_argument(
        "--ray_workers", type=int, default=0, help="processes on a Ray cluster; 0: here, without"
    )
    options.add_model_options(parser)
    options.add_source_options(parser)
    options.add_playing_options(parser)
    given = parse(parser, arguments)
    check_thresholds(given)
    readings = options.inputs("clip", SUFFIXES, recursive=True)
    given.model, given.sources = readings.split(given.sources, given.model)
    if given.top < 1:
        msg = f"--top must be at least 1, not {given.top}."
        raise OptionError(msg)
    if given.ray_workers < 0:
        msg = f"--ray_workers must be at least 0, not {given.ray_workers}."
        raise OptionError(msg)
    if given.at_once is not None and (given.at_once < 1 or given.ray_workers):
        msg = f"--at_once must be at least 1, not {given.at_once}, and goes without --ray_workers."
        raise OptionError(msg)
    require("pyarrow", "`mine`")
    with holding(Path(given.out), ["mine", *arguments]):
        _mine(given)


def _mine(given: Namespace) -> None:
    out = Path(given.out)
    check_writable(out / "index.html")
    tasks = find_clips(given.sources, out)
    files = (*INDEX, ASKED)
    Ledger(out).claim(files, files if is_mined(out) else ())
    keep_asked(out, {"model": model_hash(given.model), **{key: given[key] for key in DECIDE}})
    waiting = [task for task in tasks if task.found is None]
    sys.stderr.write(f"{len(tasks)} clips, {len(tasks) - len(waiting)} of them mined before\n")
    at_once = _at_once(given)
    new_worker = functools.partial(_worker, given, at_once)
    mined = (
        mine_on_ray(tasks, new_worker, given.ray_workers)
        if given.ray_workers
        else mine_here(tasks, new_worker, at_once)
    )
    silent = not sys.stderr.isatty()
    own = list(tqdm(mined, total=len(tasks), unit="clip", disable=silent, leave=False))
    records = [*own, *others_found(out, tasks)]
    write_index(out, records, f"Model {given.model}")
    events = sum(len(record["events"]) for record in records)
    sys.stdout.write(
        f"{events} events from {len(records)} clips: {out}/index.parquet, {out}/index.html\n"
    )
    if given.frames and any("frame" not in one for record in records for one in record["events"]):
        sys.stderr.write(
            "note: clips that were mined before without --frames have no frames; mine them into "
            "another folder for these.\n"
        )
    broken = [record for record in own if record["error"]]
    if broken:
        lines = "\n  ".join(f"{record['clip']}: {record['error']}" for record in broken)
        msg = f"{len(broken)} clips could not be used:\n  {lines}"
        raise DataError(msg)


def _at_once(given: Namespace) -> int:
    """Return how many clips are mined at a time in a process."""
    if given.ray_workers:
        return 1
    return given.at_once or (FOR_A_GPU if pick_device(given.device).type == "cuda" else 1)


def _worker(given: Namespace, at_once: int) -> Worker:
    """Load the model and return what mines a clip."""
    opened = options.open_model(given)
    options.judge(given, opened)
    reading = replace(options.reading(given), whole=given.frames)
    scorer_of = _Scorers(opened, at_once)
    if given.size is not None or opened.fixed_size is not None:
        scorer_of.make_ready(options.scored_size(given, opened, own=(0, 0)))

    def scorer_for(source: Source) -> Scorer:
        return scorer_of(options.scored_size(given, opened, source.size))

    def work(task: Task) -> dict[str, Any]:
        torch.manual_seed(0)
        opener: Callable[[str], Source] = functools.partial(open_source, reading=reading)
        return mine_clip(
            task,
            opener,
            scorer_for,
            functools.partial(options.judge, given, opened),
            given.top,
            given.frames,
        )

    return work


class _Scorers:
    """What clips are given to; runtimes are kept for the last few sizes of frames.

    Clips that are mined at a time share a runtime and its batches, unless the model keeps
    something from frame to frame: then each has its own.
    """

    def __init__(self, opened: Opened, at_once: int) -> None:
        self._opened = opened
        self._at_once = at_once
        self._lock = threading.Lock()
        self._kept = functools.lru_cache(maxsize=4)(self._made)
        self._shared = functools.lru_cache(maxsize=4)(lambda size: Gathering(self._kept(size)))

    def __call__(self, size: tuple[int, int]) -> Scorer:
        """Return what a clip with frames of `(H, W)` is given to."""
        with self._lock:
            if self._at_once == 1:
                return self._kept(size)
            if self._opened.keeps_state:
                return self._opened.runtime(size)
            return self._shared(size).join()

    def make_ready(self, size: tuple[int, int]) -> None:
        """Open the runtime for the one size of all clips, before any of them is blamed for it.

        Raises:
            UserError: as `Opened.runtime`.
        """
        with self._lock:
            self._kept(size)

    def _made(self, size: tuple[int, int]) -> Runtime:
        runtime = self._opened.runtime(size)
        runtime.make_ready(self._at_once)
        sys.stderr.write(options.readiness(runtime))
        return runtime
