"""Mine many clips: one after the other, or on Ray Data across machines, by the same code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from roadanomaly.extras import require
from roadanomaly.files import files_in, files_named
from roadanomaly.mining.clip import CLIPS, Task, clip_key, read_record
from roadanomaly.video.source import SUFFIXES

Worker = Callable[[Task], dict[str, Any]]


def find_clips(words: Sequence[str], out: Path) -> list[Task]:
    """Return the clips that files, folders (with what lies in them) and globs name, each once.

    Raises:
        DataError: a word that names no clip.
    """
    found: dict[str, Task] = {}
    for path in files_named(words, SUFFIXES, "clip", recursive=True):
        key = clip_key(path)
        found.setdefault(key, Task(str(path), out, key))
    return list(found.values())


def others_found(out: Path, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Return what was found in other clips before, in those that still are as they were.

    Args:
        out: folder of the index.
        tasks: clips that are mined now.
    """
    keys = {task.key for task in tasks}
    paths = (path for path in files_in(out / CLIPS, (".json",)) if path.stem not in keys)
    held = ((path.stem, read_record(path)) for path in paths)
    return [record for key, record in held if record is not None and _is_of(record, key)]


def _is_of(record: Mapping[str, Any], key: str) -> bool:
    """Whether a record's clip is there, and has that key now."""
    try:
        return clip_key(Path(str(record.get("place", record["clip"])))) == key
    except OSError:
        return False


def mine_here(
    tasks: Sequence[Task], new_worker: Callable[[], Worker], at_once: int = 1
) -> Iterator[dict[str, Any]]:
    """Mine in this process, and give the records in the order of the clips.

    Args:
        tasks: the clips.
        new_worker: makes what mines a clip; called once.
        at_once: clips that are mined at a time, each in a thread.
    """
    worker = new_worker()
    if at_once == 1:
        for task in tasks:
            yield worker(task)
        return
    with ThreadPoolExecutor(at_once, "mine") as pool:
        try:
            yield from pool.map(worker, tasks)
        except BaseException:
            for task in tasks:
                task.stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def mine_on_ray(
    tasks: Sequence[Task], new_worker: Callable[[], Worker], workers: int
) -> Iterator[dict[str, Any]]:
    """Mine on a Ray cluster; the index folder must be one that all machines see.

    Args:
        tasks: the clips.
        new_worker: makes what mines a clip; called once in each process.
        workers: processes.

    Raises:
        UserError: ray is not installed.
    """
    require("ray", "mining on Ray")
    data = require("ray.data", "mining on Ray")
    rows = [{"path": task.path, "out": str(task.out), "key": task.key} for task in tasks]

    class Miner:
        """One process, with its own model."""

        def __init__(self) -> None:
            self._worker = new_worker()

        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            self._worker(Task(row["path"], Path(row["out"]), row["key"]))
            return {"key": row["key"]}

    pool = data.ActorPoolStrategy(size=workers)
    done = data.from_items(rows, override_num_blocks=len(rows)).map(Miner, compute=pool)
    by_key = {task.key: task for task in tasks}
    for row in done.iter_rows():
        yield json.loads(by_key[row["key"]].record.read_text())
