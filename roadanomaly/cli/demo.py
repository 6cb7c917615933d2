"""`roadanomaly demo`: train a detector, score it before and after, and draw what it found.

Without data it runs on the embedded streets. With ROADANOMALY_DATA set to a folder that holds
camvid, roadanomaly, coco128seg and the ESPNetv2 weights, it runs on those instead.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jsonargparse import Namespace

from roadanomaly.cli.models import pick_device, suited
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.cli.recipes import RECIPES
from roadanomaly.cli.train import read_config
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.images import write_image
from roadanomaly.data.subset import Subset
from roadanomaly.detectors import DETECTORS
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
from roadanomaly.objects import find_components
from roadanomaly.report.gallery import Exhibit, draw_gallery
from roadanomaly.report.page import write_pages
from roadanomaly.report.table import format_table
from roadanomaly.report.thumbnails import write_thumbnails
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.training.loop import Interrupted, Trainer
from roadanomaly.training.record import run_record
from roadanomaly.types import Frame

EXAMPLES = """
roadanomaly demo
roadanomaly demo --out runs/demo --seed 1
ROADANOMALY_DATA=/data roadanomaly demo
"""
FIT_FRAMES = 60
EXHIBITS = 6
STREETS_TEST = {"name": "streets", "split": "test", "count": 40}
"""What is scored where there is no data; tests/test_worlds_apart.py keeps it out of all else."""
GALLERY = "before_and_after.png"
SCORED = "demo"
"""Key of the scored frames in the folder of an evaluation."""


def run(arguments: Sequence[str]) -> None:
    """Run the demonstration."""
    parser = new_parser("demo", __doc__ or "", EXAMPLES)
    parser.add_argument("--out", type=str, default="runs/demo", help="folder to write into")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda or auto")
    parser.add_argument("--quick", action="store_true", help="hardly train: to see that it runs")
    given = parse(parser, arguments)
    out = Path(given.out)
    with holding(out, ["demo", *arguments]):
        for title in ("before", "after"):
            EvaluationFolder(out / title).require_usable()
        Ledger(out).claim([GALLERY], [GALLERY] if (out / "after" / "findings").is_dir() else [])
        _demonstrate(given, out)


def _demonstrate(given: Namespace, out: Path) -> None:
    began = time.perf_counter()
    words = ["--seed", str(given.seed), "--device", "cpu" if given.device == "cpu" else "auto"]
    words += ["--steps", "4", "--validate_every", "0"] if given.quick else []
    real = has_real_data()
    trained, before, test = (_real if real else _streets)(out, words)
    after = load(trained, pick_device(given.device))
    _compare(out, before.to(after.device), after, test)
    minutes = (time.perf_counter() - began) / 60
    sys.stdout.write(
        f"\nDone in {minutes:.1f} minutes.\n"
        f"pictures      {out}/{GALLERY}\n"
        f"pages         {out}/before/report.html, {out}/after/report.html\n"
        f"tables        {out}/before/results.csv, {out}/after/results.csv\n"
        f"the model     {trained}/model\n"
        f"try it        roadanomaly predict {trained} YOUR_IMAGE.jpg\n"
    )


def has_real_data() -> bool:
    """Say whether ROADANOMALY_DATA holds what the demonstration on real roads needs."""
    root = os.environ.get("ROADANOMALY_DATA")
    if not root:
        return False
    missing = [n for n in ("camvid", "roadanomaly", "coco128seg") if not (Path(root) / n).is_dir()]
    if missing:
        sys.stderr.write(
            f"ROADANOMALY_DATA ({root}) lacks {', '.join(missing)}: the demo runs on streets.\n"
        )
    return not missing


def _recipe(name: str) -> str:
    return str(RECIPES / f"{name}.yaml")


def _train(words: list[str], out: Path) -> Path:
    """Run a recipe, or continue or reuse what an earlier demo left."""
    config, _ = read_config([*words, "--out", str(out)])
    resume = (out / "checkpoints" / "last.pt").exists()
    try:
        return Trainer(config, resume=resume).run()
    except Interrupted as stop:
        raise KeyboardInterrupt("stopped; the same command goes on from here.") from stop


def _streets(out: Path, words: list[str]) -> tuple[Path, Model, FrameSet]:
    """Train a segmenter on streets, then DenseHybrid on it."""
    say("1/3  a segmenter learns the classes of the embedded streets")
    first = _train([_recipe("streets_segmenter"), *words], out / "segmenter")
    say("2/3  DenseHybrid fine-tunes it with textured shapes as negatives")
    start = ["--start", str(first)]
    trained = _train([_recipe("streets_densehybrid"), *start, *words], out / "densehybrid")
    return trained, load(first), DATASETS.from_spec(STREETS_TEST)


def _real(out: Path, words: list[str]) -> tuple[Path, Model, FrameSet]:
    """Fine-tune a Cityscapes network on CamVid with pasted COCO cut-outs, briefly."""
    say("1/3  a Cityscapes-trained ESPNetv2 is at hand")
    say("2/3  DenseHybrid fine-tunes it on CamVid with pasted COCO cut-outs, briefly")
    short = ["--steps", "250", "--validate_every", "125", "--val_frames", "20"]
    recipe = _recipe("densehybrid_espnetv2_camvid")
    labelled = ["--train_data", '{"name": "camvid", "split": "train"}']
    trained = _train([recipe, *labelled, *short, *words], out / "densehybrid")
    config, _ = read_config([recipe])
    segmenter = SEGMENTERS.from_spec(config.segmenter or {})
    before = Model(segmenter, DETECTORS.build("max_logit"))
    return trained, before, DATASETS.from_spec({"name": "roadanomaly"})


def _compare(out: Path, before: Model, after: Model, test: FrameSet) -> None:
    """Score all detectors on both segmenters, print both tables and draw the gallery."""
    say("3/3  every detector on the segmenter before and after")
    inliers = Subset(_training_set(after), FIT_FRAMES)
    kept: dict[str, dict[str, np.ndarray]] = {}
    wanted = set(_shown(test))

    def keep(key: str, detector: str) -> Seen:
        place = EvaluationFolder(out / key).result(SCORED)

        def seen(_: int, frame: Frame, scores: dict[str, np.ndarray]) -> None:
            write_thumbnails(place, test.record()["name"], frame, scores)
            if frame.id in wanted:
                kept.setdefault(frame.id, {})[key] = scores[detector]

        return seen

    first = _evaluate(before, inliers, test, keep("before", "max_logit"))
    second = _evaluate(after, inliers, test, keep("after", "densehybrid"))
    for title, found in (("before", first), ("after", second)):
        write = functools.partial(write_pages, findings=found, title=title)
        EvaluationFolder(out / title).publish(
            found, run_record(data=test.record()), [SCORED], write
        )
        sys.stdout.write(f"\n{title.upper()} fine-tuning\n{format_table(found)}\n")
    exhibits = [_exhibit(frame, kept[frame.id], after) for frame in test if frame.id in kept]
    titles = ("image", "max logit before", "DenseHybrid after", "found at 1 % false alarms")
    write_image(out / GALLERY, draw_gallery(exhibits, titles))


def _training_set(model: Model) -> FrameSet:
    name = "camvid" if has_real_data() else "streets"
    return DATASETS.from_spec({"name": name, "split": "train"})


def _evaluate(model: Model, inliers: FrameSet, test: FrameSet, seen: Seen) -> list[Findings]:
    heads = {}
    for name in suited(model.segmenter):
        heads[name] = Model(model.segmenter, DETECTORS.build(name)).head
    fitted = Model(model.segmenter, DETECTORS.build("mahalanobis"))
    fit(fitted.to(model.device), inliers)
    heads["mahalanobis"] = fitted.head
    if model.detector.kind != "posthoc":
        heads["densehybrid"] = model.head
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
    """Print a step of the demonstration."""
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()
