"""Score detectors on a data set by its protocol, in one process or several, and again after a kill.

Every frame is looked at twice: to score and measure it, and, once all frames together have given
the thresholds, to judge the masks. What the first look found lies on disk between the two.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Lock

import numpy as np

from roadanomaly.calibration import Calibration
from roadanomaly.data.groups import groups, helpers
from roadanomaly.errors import DataError
from roadanomaly.evaluation.assemble import Pooled, judging, pool, put_together
from roadanomaly.evaluation.findings import Findings
from roadanomaly.evaluation.further import KnownClasses
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.judge import Judged, Judging, judge
from roadanomaly.evaluation.measure import NO_CLASSES, measure
from roadanomaly.evaluation.sources import FrameScores
from roadanomaly.evaluation.spool import FrameMaps, FrameSpool, require_room
from roadanomaly.evaluation.team import Team
from roadanomaly.evaluation.thresholds import calibration_from, check_rates
from roadanomaly.evaluation.truth import require_truth, truth_of
from roadanomaly.types import Frame

Seen = Callable[[int, Frame, dict[str, np.ndarray]], None]


def evaluate(
    job: Job, *, folder: Path | None = None, team: Team | None = None, seen: Seen | None = None
) -> list[Findings]:
    """Score a set.

    Args:
        job: what to score.
        folder: where scored frames are kept until the end; those that lie there already are not
            scored again. None takes a temporary folder. All processes must see it.
        team: the processes that take part.
        seen: called once a frame with its number, the frame and its scores (as the source gives
            them), from a thread; not for frames that were scored before.

    Returns:
        one finding a detector; empty in all processes but the first.

    Raises:
        DataError: a frame has no truth, or cannot be scored.
        OptionError: a rate that a detector's calibration cannot tell.
        UserError: the folder cannot be written or has no room.
    """
    team = team or Team()
    team.agree(lambda: check_rates(job))
    holder = tempfile.TemporaryDirectory(prefix="roadanomaly-") if folder is None else None
    with holder or nullcontext():
        spool = FrameSpool(Path(holder.name) if holder else folder)  # type: ignore[arg-type]
        known = KnownClasses(job.frames, job.source.classes)
        count = score_all(job, spool, team, known, seen)
        pooled: list[Pooled] = []

        def sum_up() -> list[Judging]:
            pooled.extend(_pool(job, spool, i, count) for i in range(len(job.detectors)))
            return [judging(job, one, job.frames.classes) for one in pooled]

        wanted = team.lead(sum_up)
        numbers = team.share(range(count))
        parts = team.run(lambda: {n: _judge(job, spool, n, wanted) for n in numbers})
        if not team.leads:
            return []
        judged = {number: found for part in parts for number, found in part.items()}
        return [
            put_together(job, one, [judged[n][column] for n in range(count)], known)
            for column, one in enumerate(pooled)
        ]


def score_all(
    job: Job, spool: FrameSpool, team: Team, known: KnownClasses, seen: Seen | None = None
) -> int:
    """Score and measure the frames that are not in the spool yet, each in one process.

    Returns:
        the number of frames of the set.
    """
    ids = team.agree(lambda: require_truth(job.frames))
    team.agree(lambda: job.source.check(job.frames))
    finished = team.lead(lambda: scored_before(job, spool))
    left = sorted(set(range(len(ids))) - set(finished))
    team.agree(lambda: _score_share(job, spool, team.share(left), len(left), known, seen))
    return len(ids)


def scored_before(job: Job, spool: FrameSpool) -> list[int]:
    """Return the numbers of the frames that need not be scored again."""
    return spool.finished([job.source.mark(frame_id) for frame_id in job.frames.frame_ids()])


def _score_share(
    job: Job,
    spool: FrameSpool,
    numbers: Sequence[int],
    left: int,
    known: KnownClasses,
    seen: Seen | None,
) -> None:
    """Read ahead, score, and measure behind, so that disk, network and metrics work at once.

    What was scored before a mistake is measured and kept.
    """
    device = job.source.device
    with ThreadPoolExecutor(helpers(device)) as measuring:
        behind: deque[Future[None]] = deque()
        seen, first = seen and _in_turn(seen), True
        for group in groups(job.frames, numbers, job.batch, device):
            for number, frame, scored in _scored(job, group):
                behind.append(
                    measuring.submit(_measure, job, spool, number, frame, scored, known, seen)
                )
            while behind and (first or len(behind) > max(len(group), helpers(device))):
                behind.popleft().result()
            if first:
                require_room(spool.folder, spool.size(group[0][0]) * (left - len(group)))
            first = False
        for one in behind:
            one.result()


def _in_turn(seen: Seen) -> Seen:
    """Let one thread at a time call."""
    turn = Lock()

    def call(number: int, frame: Frame, scores: dict[str, np.ndarray]) -> None:
        with turn:
            seen(number, frame, scores)

    return call


def _scored(
    job: Job, group: Sequence[tuple[int, Frame]]
) -> Iterator[tuple[int, Frame, FrameScores]]:
    """Score frames together; one by one, where one of them cannot be, so that others are kept."""
    numbers, frames = zip(*group, strict=True)
    seeds = [seed_of(job, number) for number in numbers]
    try:
        found = job.source.score_together(frames, seeds)
    except DataError:
        if len(group) == 1:
            raise
        for number, frame, seed in zip(numbers, frames, seeds, strict=True):
            yield number, frame, job.source.score_together([frame], [seed])[0]
        return
    yield from zip(numbers, frames, found, strict=True)


def seed_of(job: Job, number: int) -> int:
    """Return what a frame's random numbers begin from."""
    return int(np.random.SeedSequence([job.seed, number]).generate_state(1)[0])


def _measure(
    job: Job,
    spool: FrameSpool,
    number: int,
    frame: Frame,
    scored: FrameScores,
    known: KnownClasses,
    seen: Seen | None,
) -> None:
    truth = truth_of(frame)
    label = None if frame.label is None else frame.label.numpy()
    open_set = "open set" in job.protocol.further
    confusions = known.confusions(scored.classes, label)
    found = [
        measure(
            frame.id,
            score,
            truth,
            scored.ms[name],
            official=job.mode == "official",
            enlarged=scored.enlarged,
            open_set=open_set,
            confusion=confusions.get(name, NO_CLASSES),
        )
        for name, score in scored.scores.items()
    ]
    if seen:
        seen(number, frame, scored.scores)
    maps = FrameMaps(truth)
    if open_set and label is not None:
        maps = FrameMaps(truth, label, known.by_column(scored.classes, job.detectors))
    measured, runs, scores = zip(*found, strict=True)
    spool.add(number, maps, scores, runs, measured, job.source.mark(frame.id))


def _pool(job: Job, spool: FrameSpool, column: int, count: int) -> Pooled:
    """Sum up the first look at all frames, sorted by their ids."""
    measured = [spool.measured(number, column) for number in range(count)]
    order = sorted(range(count), key=lambda number: str(measured[number].image.frame_id))
    runs = [spool.run(number, column) for number in order]
    return pool(job, job.detectors[column], [measured[number] for number in order], runs, order)


def _judge(job: Job, spool: FrameSpool, number: int, wanted: Sequence[Judging]) -> list[Judged]:
    """Take a second look at a frame, for every detector."""
    maps = spool.maps(number)
    frame_id = spool.frame_id(number)
    return [
        judge(
            frame_id,
            spool.score(number, column),
            maps.truth,
            spool.run(number, column),
            one,
            instances=instances_of(job, frame_id),
            label=maps.label,
            classes=spool.classes(number, column),
            enlarged=spool.measured(number, column).enlarged,
        )
        for column, one in enumerate(wanted)
    ]


def instances_of(job: Job, frame_id: str) -> np.ndarray | None:
    """Return a frame's instance map where the protocol asks for it and the set has one."""
    if "instances" not in job.protocol.further:
        return None
    found = job.frames.instances(frame_id)
    return None if found is None else found.numpy()


def calibrate_on(
    job: Job, data: str, rate: float, *, folder: Path, team: Team
) -> dict[str, Calibration]:
    """Fit every detector's thresholds on a validation set, scored as a test set is.

    Args:
        job: the validation set.
        data: what it is, in words.
        rate: false-positive rate of the threshold.
        folder: where scored frames are kept.
        team: the processes that take part.

    Returns:
        by detector; the same in all processes.
    """
    spool = FrameSpool(folder)
    known = KnownClasses(job.frames, job.source.classes)
    count = score_all(job, spool, team, known)

    def fit(column: int) -> Calibration:
        runs = [spool.run(number, column) for number in range(count)]
        inliers = (
            spool.score(number, column)[spool.maps(number).truth == 0] for number in range(count)
        )
        return calibration_from(runs, inliers, rate, data)

    return team.lead(lambda: {name: fit(i) for i, name in enumerate(job.detectors)})
