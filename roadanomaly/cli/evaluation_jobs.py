"""From the words of a command line to what an evaluation is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace

from roadanomaly.calibration import Calibration
from roadanomaly.cli.computing import frames_together
from roadanomaly.cli.models import Group, gather, pick_device, suited
from roadanomaly.cli.which_model import the_model
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.ground import OnGround
from roadanomaly.data.roots import data_root
from roadanomaly.data.subset import Subset
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.evaluate import calibrate_on
from roadanomaly.evaluation.folder import EvaluationFolder
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.protocols import PROTOCOLS
from roadanomaly.evaluation.sources import FolderScores, NetworkScores, ScoreSource
from roadanomaly.evaluation.spool import LAYOUT, fingerprint
from roadanomaly.evaluation.team import Team
from roadanomaly.evaluation.thresholds import check_rates
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.scores import open_scores
from roadanomaly.weights_hash import weights_hash


@dataclass(frozen=True)
class Task:
    """A job with the name of the folder in which its scored frames are kept.

    Args:
        job: what is scored.
        key: changes with whatever the scored frames depend on.
    """

    job: Job
    key: str


def gather_jobs(given: Namespace, team: Team) -> list[ScoreSource]:
    """Return the sources of scores that the command line names."""
    if given.scores:
        return [_stored(given.scores)]
    words = [word for word in given.detectors.split(",") if word and word != "none"]
    names = None if words == ["auto"] else words
    groups = gather(_runs(given), given.segmenter, names, _device(given.device, team))
    _require_detectors(groups, given.detectors)
    return [
        NetworkScores(
            one.segmenter, one.heads, one.calibrations, _weights(one), one.label, given.precision
        )
        for one in groups
    ]


def _require_detectors(groups: Sequence[Group], asked: str) -> None:
    """Refuse a network on which there is nothing to score.

    Raises:
        OptionError: names it.
    """
    bare = [group for group in groups if not group.heads]
    if bare:
        fitting = ", ".join(suited(bare[0].segmenter)) or "none without a training"
        msg = (
            f"--detectors {asked} puts no detector on the network {bare[0].label}, so nothing is "
            f"scored. Name some, by comma, or leave the option out (it suits: {fitting}); or give "
            "the folder of a trained or fitted run."
        )
        raise OptionError(msg)


def _runs(given: Namespace) -> list[str]:
    """Return the runs with `--model`; where nothing is named to be scored, the default model."""
    if given.runs:
        return [*given.runs, *([given.model] if given.model else [])]
    return [] if given.segmenter and not given.model else [the_model(None, given.model)]


def _weights(group: Group) -> dict[str, str]:
    heads = {name: weights_hash(one.networks) for name, one in group.heads.items()}
    return {"segmenter": weights_hash(group.segmenter), **heads}


def _stored(folder: str) -> FolderScores:
    return FolderScores(Path(folder).resolve().name, open_scores(Path(folder)))


def _device(name: str, team: Team) -> torch.device:
    """Return this process's device: with several GPUs, each process of a machine takes another."""
    if name == "auto" and torch.cuda.device_count() > 1:
        name = f"cuda:{team.host_rank % torch.cuda.device_count()}"
    return pick_device(name)


def tasks_of(given: Namespace, sources: Sequence[ScoreSource]) -> tuple[list[Task], list[Task]]:
    """Return a task for each set and source, and one for each source on the validation set.

    Raises:
        UserError: a set that is unknown, or whose files are not as they should be.
    """
    names = [name.strip() for name in given.on.split(",")]
    if len(set(names)) < len(names):
        msg = f"--on {given.on} names a set twice; name each once."
        raise OptionError(msg)
    common: dict[str, Any] = {"mode": given.mode, "rates": _rates(given.rates), "seed": given.seed}
    tasks = []
    for name in names:
        spec = _spec(name, given.root, given.data, given.track, alone=len(names) == 1)
        frames = _changed(DATASETS.from_spec(spec), given, given.negatives)
        jobs = [
            Job(
                source.on(frames),
                frames,
                PROTOCOLS[name],
                track=given.track or "",
                batch=frames_together(given.batch, source.device),
                **common,
            )
            for source in sources
        ]
        tasks += [Task(job, _key(job, given, spec, given.pictures)) for job in jobs]
    _check_rates(tasks)
    if not given.validate_on:
        return tasks, []
    spec = _spec(given.validate_on, given.root, given.validation, given.track, alone=False)
    frames = _changed(DATASETS.from_spec(spec), given, {})
    if given.validation_scores:
        name = next(iter(sources[0].supervision))
        sources = [FolderScores(name, open_scores(given.validation_scores))]
    protocol = PROTOCOLS[given.validate_on]
    jobs = [
        Job(
            source.on(frames),
            frames,
            protocol,
            batch=frames_together(given.batch, source.device),
            **common,
        )
        for source in sources
    ]
    return tasks, [Task(job, _key(job, given, spec, 0)) for job in jobs]


def _rates(text: str | None) -> tuple[float, ...]:
    """Read false-positive rates, by comma."""
    try:
        rates = tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError:
        rates = (float("nan"),)
    if not all(0 < rate < 1 for rate in rates):
        msg = f"--rates {text}: false-positive rates lie between 0 and 1, such as 0.01,0.05."
        raise OptionError(msg)
    return rates


def _spec(
    name: str, root: str | None, options: dict[str, Any], track: str | None, *, alone: bool
) -> dict[str, Any]:
    """Return a data set's name and options; of several, those that have no `root` do without it."""
    takes = DATASETS.options(name)
    if name not in PROTOCOLS:
        msg = f"{name} joins sets to train on, and no benchmark scores it; name the sets, by comma."
        raise OptionError(msg)
    spec: dict[str, Any] = {"name": name, **options}
    if root and (alone or "root" in takes):
        spec.setdefault("root", root)
    region = PROTOCOLS[name].region
    if track and region:
        spec.setdefault(region, track)
    return spec


def _changed(frames: FrameSet, given: Namespace, negatives: Mapping[str, Any]) -> FrameSet:
    """Resize the frames, put negatives into them, restrict them to the road and pick, as asked.

    Picking comes last, so that a picked frame is as it is among all.
    """
    if given.size:
        frames = Resized(frames, given.size)
    if negatives:
        frames = MixedFrames(frames, NEGATIVES.from_spec(negatives))
    if given.region == "road":
        frames = OnGround(frames)
    return Subset(frames, given.limit) if given.limit else frames


def _key(job: Job, given: Namespace, spec: Mapping[str, Any], pictures: int) -> str:
    return fingerprint(
        {
            "layout": LAYOUT,
            "set": job.protocol.name,
            "options": spec,
            "below": [str(Path.cwd()), str(data_root().resolve())],
            "data": job.frames.record(),
            "ids": job.frames.frame_ids(),
            "negatives": given.negatives,
            "source": job.source.fingerprint,
            "halves": job.mode == "official",
            "pictures": pictures,
            "label": job.source.label,
            "seed": job.seed,
            "batch": job.batch,
            "threads": torch.get_num_threads(),
        }
    )


def with_calibrations(
    tasks: Sequence[Task], validation: Sequence[Task], out: EvaluationFolder, team: Team
) -> list[Task]:
    """Fit thresholds on the validation set, and hand them to the tasks of the same detectors.

    Raises:
        OptionError: a rate that the validation set is too small for.
    """
    found: dict[str, Calibration] = {}
    for task in validation:
        rate = (task.job.rates or (0.01,))[0]
        place, data = out.scored(task.key), task.job.frames.told
        found |= calibrate_on(task.job, data, rate, folder=place, team=team)
    calibrations = {name: [one] for name, one in found.items()}
    knowing = [replace(one, job=replace(one.job, calibrations=calibrations)) for one in tasks]
    team.agree(lambda: _check_rates(knowing))
    return knowing


def _check_rates(tasks: Sequence[Task]) -> None:
    for task in tasks:
        check_rates(task.job)
