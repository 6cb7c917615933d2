"""Runs side by side: each against a reference on the frames that both share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.evaluation.findings import Findings, FrameFinding, load_findings
from roadanomaly.metrics.bootstrap import (
    ComponentStatistic,
    Difference,
    Interval,
    PixelStatistic,
    bootstrap,
    bootstrap_difference,
)
from roadanomaly.metrics.component import FrameObjects
from roadanomaly.metrics.keyed import FrameId
from roadanomaly.metrics.pixel import FrameCurve
from roadanomaly.report.tables.results import main_mode


@dataclass(frozen=True)
class Entry:
    """One detector of one run on one set.

    Args:
        run: name of the run, unique among those compared.
        folder: of the run.
        found: what was found.
    """

    run: str
    folder: Path
    found: Findings

    @property
    def name(self) -> str:
        """Run and detector, for legends."""
        return f"{self.run}: {self.found.detector}"


@dataclass(frozen=True)
class Pair:
    """An entry against its reference.

    Args:
        first: the reference.
        second: the entry.
        shared: frames that both scored, in order.
        before: the reference's numbers on the shared frames, by metric.
        after: the entry's numbers there.
        differences: after minus before, with intervals.
        notes: why the two may not be comparable.
    """

    first: Entry
    second: Entry
    shared: tuple[str, ...]
    before: dict[str, float]
    after: dict[str, float]
    differences: dict[str, Difference]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All that a comparison found.

    Args:
        entries: in the order of sets, runs and detectors.
        intervals: one an entry, by metric.
        pairs: entries against their references.
        confidence: of all intervals.
        resamples: draws behind them.
    """

    entries: tuple[Entry, ...]
    intervals: tuple[dict[str, Interval], ...]
    pairs: tuple[Pair, ...]
    confidence: float
    resamples: int


def read_runs(folders: Sequence[Path], detectors: Sequence[str] = ()) -> list[Entry]:
    """Read the findings of several runs, sorted by set in the order of first occurrence.

    Args:
        folders: of evaluations; the first is the reference.
        detectors: names to keep; empty keeps all.

    Raises:
        DataError: a folder holds no evaluation, or broken findings.
        OptionError: a detector that no run holds.
    """
    names = _unique_names(folders)
    entries = [
        Entry(name, folder, found)
        for name, folder in zip(names, folders, strict=True)
        for found in load_findings(folder)
    ]
    present = {entry.found.detector for entry in entries}
    for detector in detectors:
        if detector not in present:
            msg = f"no run holds a detector called {detector!r}; {nearest(detector, present)}"
            raise OptionError(msg)
    kept = [entry for entry in entries if not detectors or entry.found.detector in detectors]
    order = list(dict.fromkeys(entry.found.set for entry in kept))
    return sorted(kept, key=lambda entry: order.index(entry.found.set))


def _unique_names(folders: Sequence[Path]) -> list[str]:
    """Name runs by their last folders, as many as it takes to tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        msg = "a run is named twice; name each once (one run alone compares its own detectors)."
        raise OptionError(msg)
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def pair_up(entries: Sequence[Entry], against: str | None = None) -> list[tuple[Entry, Entry]]:
    """Choose the reference of each entry: first run, same detector where it has that.

    Without a detector of that name in the set's first run, and among the first run's own
    detectors, the reference is that run's first one. `against` names one reference for all.

    Returns:
        Reference and entry; the references themselves are in no pair.

    Raises:
        OptionError: the first run has no detector called `against` on some set.
        DataError: there is nothing to compare.
    """
    pairs = []
    for set_name in dict.fromkeys(entry.found.set for entry in entries):
        members = [entry for entry in entries if entry.found.set == set_name]
        first = [entry for entry in members if entry.run == members[0].run]
        own = {entry.found.detector: entry for entry in first}
        if against and against not in own:
            msg = (
                f"the run {first[0].run} has no detector {against!r} on {set_name} to compare "
                f"with; {nearest(against, own)}"
            )
            raise OptionError(msg)
        default = own[against] if against else first[0]
        for entry in members:
            same = None if against or entry in first else own.get(entry.found.detector)
            reference = same or default
            if reference is not entry:
                pairs.append((reference, entry))
    if not pairs:
        msg = (
            "there is nothing to compare: every set was scored by one detector of one run only. "
            "Name a second run that was scored on the same set."
        )
        raise DataError(msg)
    return pairs


def compare(
    entries: Sequence[Entry],
    *,
    against: str | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    step: Callable[[], object] = lambda: None,
) -> Comparison:
    """Compare entries with their references by a paired bootstrap over frames.

    Args:
        entries: as `read_runs` returns them.
        against: detector of the first run that all are compared with; None for the same one.
        resamples: draws of frames.
        confidence: share of draws inside an interval.
        seed: of the draws; every entry and pair sees the same ones.
        step: called after each entry and pair, for progress.

    Raises:
        OptionError: an option outside its range.
        DataError: nothing to compare, or an entry without frames.
    """
    chosen = pair_up(entries, against)
    intervals = []
    for entry in entries:
        intervals.append(intervals_of(entry, resamples, confidence, seed))
        step()
    pairs = []
    for first, second in chosen:
        pairs.append(pair_of(first, second, resamples, confidence, seed))
        step()
    return Comparison(tuple(entries), tuple(intervals), tuple(pairs), confidence, resamples)


def intervals_of(
    entry: Entry, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Return each number of an entry with its interval over frames, by metric."""
    found: dict[str, Interval] = {}
    for statistic in _statistics(_by_id(entry)):
        found |= bootstrap(statistic, np.random.default_rng(seed), resamples, confidence)
    return found


def pair_of(
    first: Entry, second: Entry, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Pair:
    """Compare an entry with its reference on the frames that both share, as `compare` does."""
    runs = _by_id(first), _by_id(second)
    shared = tuple(name for name in runs[0] if name in runs[1])
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    found: dict[str, Difference] = {}
    if shared:
        once = np.ones(len(shared), np.int64)
        kept = [_statistics({name: run[name] for name in shared}) for run in runs]
        for one, other in zip(*kept, strict=True):
            generator = np.random.default_rng(seed)
            found |= bootstrap_difference(one, other, generator, resamples, confidence)
            before |= one(once)
            after |= other(once)
    doubts = tuple(_doubts(first, second, *runs))
    return Pair(first, second, shared, before, after, found, doubts)


def _by_id(entry: Entry) -> dict[str, FrameFinding]:
    return {frame.id: frame for frame in entry.found.per_frame}


def _statistics(
    frames: dict[str, FrameFinding],
) -> tuple[PixelStatistic, ComponentStatistic]:
    curves: dict[FrameId, FrameCurve] = {name: frame.curve for name, frame in frames.items()}
    objects: dict[FrameId, FrameObjects] = {name: frame.objects for name, frame in frames.items()}
    return PixelStatistic(curves), ComponentStatistic(objects, curves)


def _doubts(
    first: Entry,
    second: Entry,
    before: dict[str, FrameFinding],
    after: dict[str, FrameFinding],
) -> list[str]:
    """Say why two entries may not be comparable: frames, labels, numbers, rules."""
    about = f"{second.name} against {first.name} on {first.found.set}"
    shared = before.keys() & after.keys()
    doubts = []
    if before.keys() != after.keys():
        doubts.append(
            f"{about}: {len(shared)} frames are shared, {len(before) - len(shared)} belong to the "
            f"first only and {len(after) - len(shared)} to the second; differences are of the "
            "shared frames."
        )
    unequal = [name for name in sorted(shared) if _pixels(before[name]) != _pixels(after[name])]
    if unequal:
        doubts.append(
            f"{about}: the labels of {len(unequal)} frames hold different numbers of anomaly or "
            f"inlier pixels (first: {unequal[0]}); another version or class mapping of the set?"
        )
    modes = [main_mode([entry.found]) for entry in (first, second)]
    if modes[0] != modes[1]:
        doubts.append(
            f"{about}: the first's numbers are {modes[0]} and the second's {modes[1]}; evaluate "
            "both by one --mode."
        )
    for rule in ("track", "averaging", "title", "precision"):
        values = getattr(first.found, rule), getattr(second.found, rule)
        if values[0] != values[1]:
            doubts.append(f"{about}: the {rule} differs, {values[0]!r} and {values[1]!r}.")
    return doubts


def _pixels(frame: FrameFinding) -> tuple[int, int]:
    return int(frame.curve.tp.sum()), int(frame.curve.fp.sum())


def is_clear(difference: Difference) -> bool:
    """Tell whether an interval leaves out zero."""
    return not math.isnan(difference.low) and (difference.low > 0 or difference.high < 0)
