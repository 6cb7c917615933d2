"""`roadanomaly evaluate`: score detectors, or stored score maps, as the benchmarks do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from roadanomaly.cli.computing import add_computing, check_computing
from roadanomaly.cli.evaluation_jobs import (
    Task,
    gather_jobs,
    tasks_of,
    with_calibrations,
)
from roadanomaly.cli.parsing import DEVICES, add_size, new_parser, parse
from roadanomaly.cli.progress import View, watch
from roadanomaly.cli.which_model import add_model
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.base import Region
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.evaluate import evaluate, scored_before
from roadanomaly.evaluation.findings import Findings
from roadanomaly.evaluation.folder import EvaluationFolder
from roadanomaly.evaluation.job import MODES
from roadanomaly.evaluation.precision_check import check_precision
from roadanomaly.evaluation.spool import FrameSpool, drop_others
from roadanomaly.evaluation.team import Team, gathered_team
from roadanomaly.locks import holding
from roadanomaly.metrics.checks import check_name
from roadanomaly.metrics.component import SIZE_RULES
from roadanomaly.report.page import write_pages
from roadanomaly.report.spread import format_spread
from roadanomaly.report.table import format_table, format_thresholds
from roadanomaly.training.record import run_record

EXAMPLES = """
roadanomaly evaluate --on roadanomaly
roadanomaly evaluate --on roadanomaly --limit 5
roadanomaly evaluate runs/densehybrid_espnetv2_camvid --on roadanomaly
roadanomaly evaluate runs/a runs/b --detectors msp,energy --on roadanomaly,laf --root /data
roadanomaly evaluate --segmenter.name espnetv2 --segmenter.scale 2.0 \\
    --segmenter.weights espnetv2_s_2.0_city_1024x512.pth --on roadanomaly
roadanomaly evaluate --scores my/score_maps --on smiyc-anomaly --root /data --workers 2
roadanomaly evaluate runs/a --on roadanomaly --validate_on laf --rates 0.01,0.05
roadanomaly evaluate runs/a --on folder --data.images my/images --data.labels my/masks
roadanomaly evaluate runs/jsrnet_camvid --on camvid --data.split val --region road \\
    --negatives.name paste --negatives.root coco128seg --negatives.part held_out
roadanomaly evaluate runs/a --on laf --root /data --precision bf16 --batch 8
torchrun --nproc-per-node 4 -m roadanomaly evaluate runs/a --on laf --root /data
"""

AUTO = "auto"
"""Of `--detectors`: those that need no preparation and suit the network."""

MOST_AT_ONCE = 1024
"""Processes, or threads; of far more, the system's own libraries crash."""


def run(arguments: Sequence[str]) -> None:
    """Evaluate and print, then write numbers, findings and pictures."""
    parser = _parser()
    given = parse(parser, arguments)
    _check(given)
    out = EvaluationFolder(given.out)
    command = ["evaluate", *arguments]
    threads = torch.get_num_threads()
    with holding(out.path, command) as leads:
        if leads:
            out.require_usable()
        torch.set_num_threads(given.threads)
        record = run_record(config=given.as_dict(), seed=given.seed, mode=given.mode)
        try:
            with gathered_team(given.workers, command) as team:
                _run(given, out, team, record)
        finally:
            torch.set_num_threads(threads)


def _parser() -> ArgumentParser:
    parser = new_parser("evaluate", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly evaluate [RUN ...] --on SET[,SET...] [options]"
    add = parser.add_argument
    add("runs", nargs="*", help="folders of trained or fitted models")
    add("--on", required=True, type=str, help=f"data sets, by comma: {', '.join(DATASETS)}")
    add("--root", type=str, default=None, help="folder that holds the sets' folders, or is the set")
    add("--data", type=dict[str, Any], default={}, help="options of the set: --data.split")
    add_size(parser, "height and width to resize frames to, those of --validate_on too")
    add(
        "--limit",
        type=PositiveInt,
        default=None,
        help="frames of each set, evenly spaced, to try on; default all",
    )
    add(
        "--negatives",
        type=dict[str, Any],
        default={},
        help="put into the frames of a set with class labels: --negatives.name paste "
        "--negatives.part held_out",
    )
    add(
        "--region",
        type=str,
        default="image",
        help="where scores count: image, or road: what is labelled road or sidewalk, and the "
        "anomalies on it",
    )
    add_model(parser, "folder of a run or a saved model, besides the runs")
    add("--segmenter", type=dict[str, Any], default=None, help="a network, besides the runs")
    add(
        "--detectors",
        type=str,
        default=AUTO,
        help="besides the runs' own, by comma, or `none`; auto: untrained ones that the network "
        f"suits; known: {', '.join(DETECTORS)}",
    )
    add("--scores", type=str, default=None, help="folder of score maps named by frame id, no model")
    add("--mode", type=str, default="both", help=f"numbers: {', '.join(MODES)}")
    add("--track", type=str, default=None, help="component sizes: anomaly or obstacle")
    add("--rates", type=str, default=None, help="false-positive rates of calibrated thresholds")
    add("--validate_on", type=str, default=None, help="set that thresholds are transferred from")
    add("--validation", type=dict[str, Any], default={}, help="its options: --validation.split")
    add("--validation_scores", type=str, default=None, help="its score maps, with --scores")
    add_computing(parser)
    add(
        "--precision_check",
        type=int,
        default=5,
        help="frames that are scored in f32 too, to say what half precision changed; 0: none",
    )
    add("--workers", type=int, default=1, help="processes; torchrun sets its own number")
    add("--threads", type=int, default=1, help="of each process; other numbers change last digits")
    add("--pictures", type=int, default=5, help="frames to draw large; 0: no picture at all")
    add("--out", type=str, default="runs/evaluation", help="folder to write into")
    add("--seed", type=int, default=0, help="of what is drawn at random")
    add("--device", type=str, default="auto", help=DEVICES)
    return parser


def _check(given: Namespace) -> None:
    """Refuse options that make no sense, before any work is done."""
    check_name("mode", given.mode, MODES)
    check_name("region", given.region, get_args(Region))
    if given.track is not None:
        check_name("track", given.track, SIZE_RULES)
    check_computing(given.precision, given.batch)
    least_of = {"workers": 1, "threads": 1, "pictures": 0, "seed": 0, "precision_check": 0}
    for name, least in least_of.items():
        if getattr(given, name) < least:
            msg = f"--{name} is {getattr(given, name)}; give a whole number of at least {least}."
            raise OptionError(msg)
    for name in ("workers", "threads"):
        if getattr(given, name) > MOST_AT_ONCE:
            msg = f"--{name} is {getattr(given, name)}; give at most {MOST_AT_ONCE}."
            raise OptionError(msg)
    if given.scores:
        _check_stored(given)
    if given.validation_scores and not (given.scores and given.validate_on):
        msg = "--validation_scores belongs to --scores and --validate_on; give all three."
        raise OptionError(msg)
    if given.scores and given.validate_on and not given.validation_scores:
        msg = "--validate_on needs the maps of that set too: --validation_scores DIR."
        raise OptionError(msg)


def _check_stored(given: Namespace) -> None:
    """Refuse beside stored score maps what only networks heed, or what the maps know nothing of."""
    if given.runs or given.segmenter or given.model:
        msg = (
            "--scores takes maps from files; leave out the runs, --model and --segmenter, or "
            "--scores."
        )
        raise OptionError(msg)
    if given.precision != "f32":
        msg = "--precision is of networks, and --scores takes maps from files; leave out one."
        raise OptionError(msg)
    if given.detectors != AUTO:
        msg = (
            f"--detectors {given.detectors} is put on networks, and --scores takes maps from "
            "files; leave out one."
        )
        raise OptionError(msg)
    if given.negatives:
        msg = (
            "--negatives changes the frames, and the maps of --scores are of the frames as they "
            "are; leave out one."
        )
        raise OptionError(msg)


def _run(given: Namespace, out: EvaluationFolder, team: Team, record: dict[str, Any]) -> None:
    torch.manual_seed(given.seed)
    tasks, validation = team.agree(lambda: tasks_of(given, gather_jobs(given, team)))
    tasks, validation = _as_led(tasks, team), _as_led(validation, team)
    keys = [one.key for one in (*tasks, *validation)]
    dropped = team.lead(lambda: drop_others(out.partial, keys))
    if dropped and team.leads:
        sys.stderr.write(
            f"{dropped} frames that an earlier, unfinished evaluation scored with other models, "
            "data or options were dropped.\n"
        )
    tasks = with_calibrations(tasks, validation, out, team)
    findings = [found for task in tasks for found in _score(task, given, out, team)]
    if team.leads:
        known = {
            "processes": team.size,
            "data": [task.job.frames.record() for task in tasks],
            "protocols": {task.job.protocol.name: task.job.protocol.source for task in tasks},
            "scores": [task.job.source.record for task in tasks],
            "batch": max(task.job.batch for task in tasks),
        }
        _write(out, tasks, findings, {**record, **known})


def _as_led(tasks: Sequence[Task], team: Team) -> list[Task]:
    """Take the first process's keys, whose data may lie elsewhere than another machine's."""
    keys = team.lead(lambda: [one.key for one in tasks])
    return [replace(one, key=key) for one, key in zip(tasks, keys, strict=True)]


def _score(task: Task, given: Namespace, out: EvaluationFolder, team: Team) -> list[Findings]:
    folder, frames = out.scored(task.key), task.job.frames
    before = len(scored_before(task.job, FrameSpool(folder))) if folder.is_dir() else 0
    if before and team.leads:
        sys.stderr.write(f"{before} of {len(frames)} frames were scored before; going on.\n")
    view = View(task.job, out.result(task.key))
    with watch(view, given.pictures, team, before) as seen:
        found = evaluate(task.job, folder=folder, team=team, seen=seen)
    if given.precision == "f32" or not given.precision_check:
        return found
    effect = team.lead(lambda: check_precision(task.job, folder, given.precision_check))
    return [replace(one, precision_effect=effect[one.detector]) for one in found]


def _write(
    out: EvaluationFolder,
    tasks: Sequence[Task],
    findings: list[Findings],
    record: dict[str, Any],
) -> None:
    order = [task.job.protocol.name for task in tasks]
    findings.sort(key=lambda found: order.index(found.set))
    title = out.path.resolve().name
    keys = [task.key for task in tasks]
    out.publish(findings, record, keys, lambda new: write_pages(new, findings, title))
    for text in (format_table(findings), format_spread(findings), format_thresholds(findings)):
        if text:
            sys.stdout.write(text + "\n\n")
    shown = [path for path in out.path.iterdir() if not path.name.startswith(".")]
    held = sorted(path.name + "/" * path.is_dir() for path in shown)
    sys.stdout.write(f"written to {out.path}: {', '.join(held)}\n")
