"""`roadanomaly demo`: the package's own detector, scored before and after, and what it found.

Without data it learns the embedded streets for a few minutes, and is scored on strange objects of
kinds that it never saw, as it came and after. With ROADANOMALY_DATA set to a folder that holds
camvid and roadanomaly, it is scored as it came on those real roads, beside max logit of its own
segmenter.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml
from jsonargparse import Namespace

from roadanomaly.cli.models import pick_device, suited
from roadanomaly.cli.parsing import DEVICES, new_parser, parse
from roadanomaly.cli.recipes import RECIPES
from roadanomaly.cli.train import read_config
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.images import write_image
from roadanomaly.data.subset import Subset
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.evaluate import Seen, evaluate
from roadanomaly.evaluation.findings import Findings
from roadanomaly.evaluation.folder import EvaluationFolder
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.protocols import PROTOCOLS
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.fitting import fit
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.model import Model, load
from roadanomaly.models import DEFAULT
from roadanomaly.objects import find_components
from roadanomaly.report.gallery import Exhibit, draw_gallery
from roadanomaly.report.page import write_pages
from roadanomaly.report.table import format_table
from roadanomaly.report.thumbnails import write_thumbnails
from roadanomaly.training.loop import Interrupted, Trainer
from roadanomaly.training.pace import seconds_a_step, steps_within
from roadanomaly.training.record import run_record
from roadanomaly.training.run_config import RunConfig
from roadanomaly.types import Frame

EXAMPLES = """
roadanomaly demo
roadanomaly demo --out runs/demo --seed 1 --minutes 3
ROADANOMALY_DATA=/data roadanomaly demo
"""
FIT_FRAMES = 60
QUICK_FRAMES = 3
"""Frames to score, and to fit on, where `--quick` asks only whether it runs."""
EXHIBITS = 6
STREETS_TEST = {"name": "streets", "split": "test", "count": 40}
"""What is scored where there is no data; tests/test_worlds_apart.py keeps it out of all else."""
GALLERY = "before_and_after.png"
MINUTES = 7.0
BESIDE = 85
"""Steps of training that scoring, fitting, pages and pictures take as long as, on any processor."""
SCORED = "demo"
"""Key of the scored frames in the folder of an evaluation."""


def run(arguments: Sequence[str]) -> None:
    """Run the demonstration."""
    parser = new_parser("demo", __doc__ or "", EXAMPLES)
    parser.add_argument("--out", type=str, default="runs/demo", help="folder to write into")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--device", type=str, default="cpu", help=DEVICES)
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="for all of it; fewer steps rather than more"
    )
    parser.add_argument("--quick", action="store_true", help="hardly train: to see that it runs")
    given = parse(parser, arguments)
    out = Path(given.out)
    if given.minutes <= 0:
        msg = f"--minutes is {given.minutes:g}; give a time above 0."
        raise OptionError(msg)
    with holding(out, ["demo", *arguments]):
        for title in ("before", "after"):
            EvaluationFolder(out / title).require_usable()
        Ledger(out).claim([GALLERY], [GALLERY] if (out / "after" / "findings").is_dir() else [])
        _demonstrate(given, out)


def _demonstrate(given: Namespace, out: Path) -> None:
    began = time.perf_counter()
    shown = _real() if has_real_data() else _streets(out, given)
    _compare(out, shown, pick_device(given.device))
    minutes = (time.perf_counter() - began) / 60
    sys.stdout.write(
        f"\nDone in {minutes:.1f} minutes.\n"
        f"pictures        {out}/{GALLERY}\n"
        f"pages           {out}/before/report.html, {out}/after/report.html\n"
        f"tables          {out}/before/results.csv, {out}/after/results.csv\n"
        "your own photo  roadanomaly predict YOUR_IMAGE.jpg\n"
        "your own roads  roadanomaly adapt YOUR_DRIVE.mp4 --out mine\n"
    )


@dataclass(frozen=True)
class Shown:
    """What the demonstration compares.

    Args:
        before: model in the first column.
        judged: its detector that is drawn.
        after: model in the second column.
        test: frames that both are scored on.
        inliers: that statistics are fitted on.
        titles: of the gallery's columns.
    """

    before: Model
    judged: str
    after: Model
    test: FrameSet
    inliers: FrameSet
    titles: tuple[str, str, str, str]


def has_real_data() -> bool:
    """Say whether ROADANOMALY_DATA holds what the demonstration on real roads needs."""
    root = os.environ.get("ROADANOMALY_DATA")
    if not root:
        return False
    missing = [n for n in ("camvid", "roadanomaly") if not (Path(root) / n).is_dir()]
    if missing:
        sys.stderr.write(
            f"ROADANOMALY_DATA ({root}) lacks {', '.join(missing)}: the demo runs on streets.\n"
        )
    return not missing


def _streets(out: Path, given: Namespace) -> Shown:
    """Let the package's own detector learn the streets, as long as the time lasts."""
    say("1/3  the package's own detector, as it comes")
    before = load(DEFAULT)
    say("2/3  it learns the streets; strange objects and textured shapes are its negatives")
    trained = _train(_config(out / ("quick" if given.quick else "training"), given))
    test = {**STREETS_TEST, "count": QUICK_FRAMES} if given.quick else STREETS_TEST
    inliers = DATASETS.from_spec({"name": "streets", "split": "train"})
    return Shown(
        before,
        DETECTORS.name_of(before.detector),
        load(trained),
        DATASETS.from_spec(test),
        Subset(inliers, QUICK_FRAMES if given.quick else FIT_FRAMES),
        ("image", "score as it comes", "after learning streets", "found at 1 % false alarms"),
    )


def _config(out: Path, given: Namespace) -> RunConfig:
    """Return the run: what an earlier demo began, or as many steps as fit into the time."""
    words = [str(RECIPES / "streets_demo.yaml"), "--out", str(out), "--seed", str(given.seed)]
    words += ["--device", given.device]
    begun = out / "config.yaml"
    if begun.is_file():
        words += ["--steps", str(yaml.safe_load(begun.read_text())["steps"])]
    config, _ = read_config(words)
    if begun.is_file():
        say(f"     {out} holds a training of {config.steps} steps; another --out begins anew")
        return config
    if given.quick:
        return replace(config, steps=2)
    seconds = seconds_a_step(config)
    steps = steps_within(config.steps, seconds, given.minutes, beside=BESIDE)
    say(
        f"     a step takes {seconds:.1f} s here: {steps} of {config.steps} steps, about "
        f"{steps * seconds / 60:.1f} min, and {BESIDE * seconds / 60:.1f} min for the rest"
    )
    return replace(config, steps=steps)


def _train(config: RunConfig) -> Path:
    """Run it, or continue or reuse what an earlier demo left."""
    resume = (Path(config.out) / "checkpoints" / "last.pt").exists()
    try:
        return Trainer(config, resume=resume).run()
    except Interrupted as stop:
        raise KeyboardInterrupt("stopped; the same command goes on from here.") from stop


def _real() -> Shown:
    """Take the package's own detector as it comes to real roads with real anomalies."""
    say("1/3  the package's own detector, as it comes")
    after = load(DEFAULT)
    say("2/3  it is not trained further: nothing here learns from the frames that it is scored on")
    return Shown(
        Model(after.segmenter, DETECTORS.build("max_logit")),
        "max_logit",
        after,
        DATASETS.from_spec({"name": "roadanomaly"}),
        Subset(DATASETS.from_spec({"name": "camvid", "split": "train"}), FIT_FRAMES),
        ("image", "max logit", "the package's detector", "found at its threshold"),
    )


def _compare(out: Path, shown: Shown, device: torch.device) -> None:
    """Score all detectors on both segmenters, draw the gallery and print both tables."""
    say("3/3  every detector on both")
    test, inliers = shown.test, shown.inliers
    kept: dict[str, dict[str, np.ndarray]] = {}
    wanted = set(_shown(test))

    def keep(key: str, detector: str) -> Seen:
        place = EvaluationFolder(out / key).result(SCORED)

        def seen(_: int, frame: Frame, scores: dict[str, np.ndarray]) -> None:
            write_thumbnails(place, test.record()["name"], frame, scores)
            if frame.id in wanted:
                kept.setdefault(frame.id, {})[key] = scores[detector]

        return seen

    last = DETECTORS.name_of(shown.after.detector)
    first = _evaluate(shown.before.to(device), inliers, test, keep("before", shown.judged))
    second = _evaluate(shown.after.to(device), inliers, test, keep("after", last))
    both = {"before": first, "after": second}
    for title, found in both.items():
        write = functools.partial(write_pages, findings=found, title=title)
        EvaluationFolder(out / title).publish(
            found, run_record(data=test.record()), [SCORED], write
        )
    exhibits = [_exhibit(frame, kept[frame.id], shown.after) for frame in test if frame.id in kept]
    write_image(out / GALLERY, draw_gallery(exhibits, shown.titles))
    for title, found in both.items():
        sys.stdout.write(f"\n{title.upper()}\n{format_table(found)}\n")


def _evaluate(model: Model, inliers: FrameSet, test: FrameSet, seen: Seen) -> list[Findings]:
    heads = {}
    for name in suited(model.segmenter):
        heads[name] = Model(model.segmenter, DETECTORS.build(name)).head
    fitted = Model(model.segmenter, DETECTORS.build("mahalanobis"))
    fit(fitted.to(model.device), inliers)
    heads["mahalanobis"] = fitted.head
    if model.detector.kind != "posthoc":
        heads[DETECTORS.name_of(model.detector)] = model.head
    source = NetworkScores(model.segmenter, heads)
    return evaluate(Job(source, test, PROTOCOLS[test.record()["name"]]), seen=seen)


def _shown(test: FrameSet) -> list[str]:
    """Pick evenly spaced frames that hold an anomaly."""
    with_anomaly = [f.id for f in test if f.truth is not None and (f.truth == 1).sum() > 300]
    places = np.linspace(0, len(with_anomaly) - 1, min(EXHIBITS, len(with_anomaly)))
    return [with_anomaly[int(place)] for place in places.round()]


def _exhibit(frame: Frame, scores: dict[str, np.ndarray], model: Model) -> Exhibit:
    assert model.calibration is not None
    mask, components = find_components(scores["after"], model.calibration.threshold, model.min_area)
    return Exhibit(frame, scores["before"], scores["after"], mask, components)


def say(text: str) -> None:
    """Tell a step of the demonstration, beside its results."""
    sys.stderr.write(f"\n{text}\n")
