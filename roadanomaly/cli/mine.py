"""`roadanomaly mine`: the strangest events of many hours of video, with an index to look at."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from tqdm import tqdm

from roadanomaly.cli import video_options as options
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.errors import DataError, OptionError
from roadanomaly.extras import require
from roadanomaly.files import check_writable
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.mining.clip import Task, mine_clip
from roadanomaly.mining.index import INDEX, is_mined, write_index
from roadanomaly.mining.spread import Worker, find_clips, mine_here, mine_on_ray
from roadanomaly.runtimes import Runtime
from roadanomaly.video.source import Source
from roadanomaly.video.sources import open_source

EXAMPLES = """
roadanomaly mine runs/a drives/ --out mined
roadanomaly mine runs/a "drives/2026-*/front.mp4" --top 20 --false_alarms 0.0001 --out mined
roadanomaly mine runs/a drives/ --backend openvino --size 640x360 --out mined
roadanomaly mine runs/a /shared/drives --ray_workers 16 --out /shared/mined
"""


def run(arguments: Sequence[str]) -> None:
    """Mine what is not mined yet, then write the index of everything."""
    parser = new_parser("mine", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly mine MODEL SOURCE [SOURCE ...] --out DIR [options]"
    parser.add_argument("model", help="folder of a saved model, a run or an export")
    parser.add_argument("sources", nargs="+", help="clips, folders or quoted globs")
    parser.add_argument("--out", type=str, required=True, help="folder of the index; resumes there")
    parser.add_argument("--top", type=int, default=10, help="events kept of a clip")
    parser.add_argument(
        "--ray_workers", type=int, default=0, help="processes on a Ray cluster; 0: here, without"
    )
    options.add_model_options(parser)
    options.add_source_options(parser)
    given = parse(parser, arguments)
    if given.top < 1:
        msg = f"--top must be at least 1, not {given.top}."
        raise OptionError(msg)
    if given.ray_workers < 0:
        msg = f"--ray_workers must be at least 0, not {given.ray_workers}."
        raise OptionError(msg)
    require("pyarrow", "`mine`")
    with holding(Path(given.out), ["mine", *arguments]):
        _mine(given)


def _mine(given: Namespace) -> None:
    out = Path(given.out)
    check_writable(out / "index.html")
    tasks = find_clips(given.sources, out)
    Ledger(out).claim(INDEX, INDEX if is_mined(out) else ())
    waiting = [task for task in tasks if not task.record.exists()]
    sys.stderr.write(f"{len(tasks)} clips, {len(tasks) - len(waiting)} of them mined before\n")
    new_worker = functools.partial(_worker, given)
    mined = (
        mine_on_ray(tasks, new_worker, given.ray_workers)
        if given.ray_workers
        else mine_here(tasks, new_worker)
    )
    silent = not sys.stderr.isatty()
    records = list(tqdm(mined, total=len(tasks), unit="clip", disable=silent, leave=False))
    write_index(out, records, f"Model {given.model}")
    events = sum(len(record["events"]) for record in records)
    sys.stdout.write(
        f"{events} events from {len(records)} clips: {out}/index.parquet, {out}/index.html\n"
    )
    broken = [record for record in records if record["error"]]
    if broken:
        lines = "\n  ".join(f"{record['clip']}: {record['error']}" for record in broken)
        msg = f"{len(broken)} clips could not be used:\n  {lines}"
        raise DataError(msg)


def _worker(given: Namespace) -> Worker:
    """Load the model and return what mines a clip; runtimes are kept for each size."""
    opened = options.open_model(given)
    options.judge(given, opened)
    reading = options.reading(given)

    @functools.lru_cache(maxsize=4)
    def runtime(size: tuple[int, int]) -> Runtime:
        return opened.runtime(size)

    def runtime_for(source: Source) -> Runtime:
        return runtime(options.scored_size(given, opened, source.size))

    def work(task: Task) -> dict[str, Any]:
        torch.manual_seed(0)
        opener: Callable[[str], Source] = functools.partial(open_source, reading=reading)
        return mine_clip(
            task, opener, runtime_for, functools.partial(options.judge, given, opened), given.top
        )

    return work
