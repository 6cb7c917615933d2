"""`roadanomaly evaluate`: one table for several detectors on a labelled set."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from roadanomaly.cli.models import Group, gather, pick_device
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.images import write_image
from roadanomaly.detectors import DETECTORS
from roadanomaly.evaluation.evaluate import Evaluation, Seen, evaluate
from roadanomaly.evaluation.stored import evaluate_stored
from roadanomaly.model import build_part
from roadanomaly.report.evaluation_table import format_spread, format_table, write_results
from roadanomaly.report.pictures import caption, column, heat, overlay, rgb, row, truth_picture
from roadanomaly.scores import open_scores
from roadanomaly.types import Frame

EXAMPLES = """
roadanomaly evaluate runs/densehybrid_espnetv2_camvid --on roadanomaly
roadanomaly evaluate runs/a runs/b --detectors msp,energy --on roadanomaly --pictures 10
roadanomaly evaluate --segmenter.name espnetv2 --segmenter.scale 2.0 \\
    --segmenter.weights espnetv2_s_2.0_city_1024x512.pth --on roadanomaly
roadanomaly evaluate runs/a --on camvid --data.split val --data.classes camvid
roadanomaly evaluate --scores my/score_maps --on smiyc-anomaly --data.split validation
roadanomaly evaluate runs/a --on folder --data.images my/images --data.labels my/masks
"""
POSTHOC = ("msp", "max_logit", "entropy", "energy")
ROW_HEIGHT = 300


def run(arguments: Sequence[str]) -> None:
    """Evaluate and print, then write JSON, CSV and pictures."""
    parser = new_parser("evaluate", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly evaluate [RUN ...] --on DATA [options]"
    parser.add_argument("runs", nargs="*", help="folders of trained or fitted models")
    parser.add_argument("--on", required=True, type=str, help=f"data set: {', '.join(DATASETS)}")
    parser.add_argument("--root", type=str, default=None, help="folder of the set")
    parser.add_argument("--data", type=dict[str, Any], default={}, help="its options: --data.split")
    parser.add_argument("--segmenter", type=dict[str, Any], default=None, help="instead of a run")
    parser.add_argument(
        "--detectors",
        type=str,
        default=",".join(POSTHOC),
        help=f"besides the runs' own, comma-separated, or `none`; all: {', '.join(DETECTORS)}",
    )
    parser.add_argument(
        "--scores", type=str, default=None, help="folder of score maps named by frame id, no model"
    )
    parser.add_argument("--track", type=str, default="anomaly", help="or obstacle: size rules")
    parser.add_argument("--pictures", type=int, default=5, help="how many frames to draw")
    parser.add_argument("--out", type=str, default="runs/evaluation", help="folder to write into")
    parser.add_argument("--seed", type=int, default=0, help="of networks without weights")
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, cuda:1 or auto")
    given = parse(parser, arguments)
    torch.manual_seed(given.seed)
    root = {"root": given.root} if given.root else {}
    frames = build_part(DATASETS, {"name": given.on, **root, **given.data})
    if given.scores:
        _stored(given.scores, frames, given.track, given.pictures, given.out)
        return
    names = [name for name in given.detectors.split(",") if name and name != "none"]
    groups = gather(given.runs, given.segmenter, names, pick_device(given.device))
    found = [_evaluate(group, frames, given.track, given.pictures, given.out) for group in groups]
    for one in found:
        sys.stdout.write(format_table(one) + "\n\n")
    if spread := format_spread(found):
        sys.stdout.write(spread + "\n\n")
    for place, one in enumerate(found):
        write_results(_folder(given.out, place, len(found)), one)
    sys.stdout.write(f"written to {given.out}: results.json, results.csv, pictures/\n")


def _stored(scores: str, frames: FrameSet, track: str, pictures: int, out: str) -> None:
    """Score maps from files instead of a model."""
    maps = open_scores(Path(scores))
    with _seen(frames, pictures, out) as seen:
        found, doubts = evaluate_stored(
            maps, frames, name=Path(scores).name, track=track, seen=seen
        )
    sys.stdout.write(format_table(found) + "\n")
    sys.stdout.writelines(f"warning: {doubt}\n" for doubt in doubts)
    write_results(Path(out), found)
    sys.stdout.write(f"\nwritten to {out}: results.json, results.csv, pictures/\n")


def _folder(out: str, place: int, count: int) -> Path:
    return Path(out) if count == 1 else Path(out) / f"segmenter{place + 1}"


def _evaluate(group: Group, frames: FrameSet, track: str, pictures: int, out: str) -> Evaluation:
    with _seen(frames, pictures, out) as seen:
        return evaluate(group.segmenter, group.detectors, frames, track=track, seen=seen)


@contextmanager
def _seen(frames: FrameSet, pictures: int, out: str) -> Iterator[Seen]:
    """Show progress, and draw some frames as they pass."""
    bar = tqdm(total=len(frames), unit="frame", disable=not sys.stderr.isatty(), leave=False)
    step = max(1, len(frames) // pictures) if pictures else len(frames) + 1

    def seen(frame: Frame, scores: dict[str, np.ndarray]) -> None:
        if pictures and bar.n % step == 0:
            draw(Path(out) / "pictures", frame, scores)
        bar.n += 1
        bar.refresh()

    with bar:
        yield seen


def draw(folder: Path, frame: Frame, scores: dict[str, np.ndarray]) -> None:
    """Write `<id>.png`: image and label, then a heat map and a mask for each detector.

    The mask shows the pixels above the score that best separates this frame's own label where it
    holds an anomaly, and above the frame's top percent where not: a picture, not a measurement.
    """
    image = rgb(frame)
    assert frame.truth is not None
    truth = frame.truth.numpy()
    rows = [_pair((image, frame.id), (truth_picture(image, truth), "label"))]
    for name, score in scores.items():
        mask = overlay(image, score > frame_threshold(score, truth))
        rows.append(_pair((heat(score), name), (mask, f"{name}: best mask of this frame")))
    write_image(folder / f"{frame.id}.png", column(rows))


def _pair(*titled: tuple[np.ndarray, str]) -> np.ndarray:
    """Put two pictures side by side, `ROW_HEIGHT` high, each below its title."""
    scaled = [(row([picture], ROW_HEIGHT), title) for picture, title in titled]
    return row([caption(picture, title) for picture, title in scaled])


def frame_threshold(score: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold of the highest pixel F1 on one frame, or its 99th percentile."""
    counted = truth != 255
    values, wanted = score[counted], truth[counted] == 1
    if not wanted.any():
        return float(np.percentile(score, 99))
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(wanted[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    return float(np.nextafter(values[order][f1.argmax()], -np.inf, dtype=values.dtype))
