"""`roadanomaly predict`: score, mask, overlay and components of images."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jsonargparse.typing import NonNegativeInt
from torch import Tensor

from roadanomaly.ahead import ahead
from roadanomaly.calibration import WAYS
from roadanomaly.cli.computing import add_computing, check_computing
from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import DEVICES, new_parser, parse
from roadanomaly.cli.predict_formats import Findings, formats_of, require_threshold
from roadanomaly.cli.thresholds import add_thresholds, check_thresholds, with_threshold
from roadanomaly.cli.which_model import Inputs, add_model
from roadanomaly.data.image_arrays import SUFFIXES
from roadanomaly.data.images import read_image, to_array, write_image
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.detectors.explanation import explanation
from roadanomaly.errors import DataError, OptionError
from roadanomaly.files import files_named, shortened, write_array, write_text
from roadanomaly.image_input import as_tensor
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.model import Model, Result, load
from roadanomaly.precision import autocast
from roadanomaly.progress import progress
from roadanomaly.report.class_colours import class_legend, class_picture
from roadanomaly.report.explanation_sheet import explanation_sheet
from roadanomaly.report.pictures import heat, overlay
from roadanomaly.scores.finite import require_finite
from roadanomaly.seeded import score_image
from roadanomaly.video.source import SUFFIXES as VIDEOS

EXAMPLES = """
roadanomaly predict street.jpg
roadanomaly predict photos/ --model fast --sensitivity low
roadanomaly predict runs/a photos/ --out found
roadanomaly predict runs/a "drives/*/front_*.png" --false_alarms 0.001
roadanomaly predict runs/a street.jpg --threshold_by conformal --false_alarms 0.05
roadanomaly predict runs/synboost street.jpg --explain
roadanomaly predict runs/a photos/ --precision bf16
roadanomaly predict photos/ --format coco,cvat
"""
RESULTS = (
    "_score.npy",
    "_heat.png",
    "_classes.png",
    "_classes_colour.png",
    "_mask.png",
    "_overlay.png",
    "_components.json",
)
"""How the files of a result end; the first four are always there."""
EXPLAINED = "_explained.png"
LEGEND = "classes_legend.png"
"""Names the colours of `_classes_colour.png` and of the labels in a sheet, once a folder."""


def run(arguments: Sequence[str]) -> None:
    """Score each image; a broken one is reported and the rest goes on.

    One that is alone and broken is told before anything is loaded or written.
    """
    parser = new_parser("predict", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly predict [RUN] IMAGE [IMAGE ...] [options]"
    parser.add_argument(
        "images",
        nargs="+",
        help="files, folders or quoted globs; before them the folder of a trained or fitted model",
    )
    add_model(parser)
    parser.add_argument("--out", type=str, default="runs/prediction", help="folder to write into")
    add_thresholds(parser, ways=True)
    parser.add_argument(
        "--min_area", type=NonNegativeInt, default=None, help="smallest component, pixels"
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="write a sheet of what the score rests on, of detectors that say so",
    )
    parser.add_argument(
        "--format",
        type=str,
        default="",
        help="write all findings as `coco` or `cvat` too: for other tools, and to correct them",
    )
    add_computing(parser, batch=False)
    parser.add_argument("--seed", type=int, default=0, help="of detectors that draw numbers")
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    given = parse(parser, arguments)
    check_computing(given.precision)
    check_thresholds(given)
    formats = formats_of(given.format)
    chosen, images = Inputs("image", SUFFIXES).split(given.images, given.model)
    out = Path(given.out)
    paths = without_results(find_images(images))
    read = lru_cache(maxsize=1)(read_image)
    if len(paths) == 1:
        read(paths[0])
    model = load(chosen, pick_device(given.device))
    model.precision = given.precision
    model.calibration = with_threshold(model.calibration, given)
    require_threshold(formats, model)
    if given.min_area is not None:
        model.min_area = given.min_area
    if given.explain:
        require_explaining(model)
    findings = Findings(out, formats, paths)
    with holding(out, ["predict", *arguments]):
        _claim(out, _distinct_names(paths).values(), given.explain, findings.names)
        broken = _predict_all(
            model, paths, out, findings, read, explain=given.explain, seed=given.seed
        )
    done = len(paths) - len(broken)
    told = f"; {findings.in_words()}" if done else ""
    sys.stdout.write(f"{done} of {len(paths)} images written to {given.out}{told}\n")
    if broken:
        some = "1 image" if len(broken) == 1 else f"{len(broken)} images"
        msg = f"{some} could not be used:\n  " + "\n  ".join(broken)
        raise DataError(msg)


def find_images(words: Sequence[str]) -> list[Path]:
    """Return the image files that files, folders and globs name, each once, in order.

    Raises:
        DataError: a word that names no image, or a video.
    """
    for word in words:
        if word.lower().endswith(VIDEOS):
            msg = f"{word} is a video; `roadanomaly video {word} --out found.mp4` takes these."
            raise DataError(msg)
    return files_named(words, SUFFIXES, "image")


def without_results(paths: Sequence[Path]) -> list[Path]:
    """Leave out what earlier calls wrote, where results lie beside their images.

    Pictures that other commands made, such as the samples of a flow, stay.

    Raises:
        DataError: nothing else is left.
    """
    ours = {folder: Ledger(folder).names() for folder in {path.parent for path in paths}}
    left = [path for path in paths if path.name not in ours[path.parent] or not _is_result(path)]
    if not left:
        folders = ", ".join(sorted(map(str, ours)))
        msg = f"all that is named is results of an earlier call in {folders}; name the images."
        raise DataError(msg)
    return left


def _is_result(path: Path) -> bool:
    return path.name == LEGEND or path.name.endswith((*RESULTS, EXPLAINED))


def require_explaining(model: Model) -> None:
    """Refuse `--explain` of a detector that shows nothing but its score.

    Raises:
        OptionError: names those that show more.
    """
    if not model.detector.explains:
        name = DETECTORS.name_of(model.detector)
        telling = [one for one in DETECTORS if DETECTORS.get(one).explain is not Detector.explain]
        msg = (
            f"--explain: the detector `{name}` has no maps of its own to show beside its score. "
            f"Those that have some: {', '.join(telling)}."
        )
        raise OptionError(msg)


def _claim(out: Path, names: Collection[str], explain: bool, further: Sequence[str]) -> None:
    """Refuse a folder in which another's file would be replaced, such as an image of that name.

    Results of versions that listed nothing are known by what always lies together.

    Raises:
        UserError: names the file.
    """
    endings = RESULTS + (EXPLAINED,) * explain
    own = {
        name + ending
        for name in names
        if all((out / f"{name}{always}").exists() for always in RESULTS[:4])
        for ending in (*RESULTS, EXPLAINED)
    }
    Ledger(out).claim([LEGEND, *further, *(name + end for name in names for end in endings)], own)


def _predict_all(
    model: Model,
    paths: Sequence[Path],
    out: Path,
    findings: Findings,
    read: Callable[[Path], Tensor],
    *,
    explain: bool,
    seed: int,
) -> list[str]:
    """Write the results of each image, then of all; return what went wrong, a line each."""
    broken = []
    names = _distinct_names(paths)
    shown = progress(paths, "predict", "image")
    for path, coming in ahead(read, shown):
        try:
            image = coming.result()
            result = score_image(model, image, names[path], seed)
            require_finite(result.score, str(path))
            findings.add(path, result)
        except DataError as error:
            broken.append(str(error))
            continue
        write_result(out, names[path], to_array(image), result, model.segmenter.classes)
        if explain:
            sheet = explained(model, image, result, seed)
            write_image(out / f"{names[path]}{EXPLAINED}", sheet)
    if len(broken) < len(paths):
        write_image(out / LEGEND, class_legend(model.segmenter.classes))
    findings.close()
    return broken


def explained(model: Model, image: Tensor, result: Result, seed: int) -> np.ndarray:
    """Return the sheet of what a result rests on, `(H, W, 3)` uint8.

    Args:
        model: whose detector explains its score.
        image: `(3, H, W)` uint8.
        result: of that image.
        seed: that its draws began from; the same are shown.
    """
    torch.manual_seed(seed)
    model.detector.reset()
    batch = as_tensor(image)[None].to(model.device)
    with autocast(model.precision, model.device):
        with model.head.inference():
            segmentation = model.head.look(model.segmenter, batch)
        found = explanation(model.detector, segmentation, batch)
    assert found is not None
    return explanation_sheet(to_array(image), found, result.score, model.segmenter.classes)


def _distinct_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Name each result by its image's stem, with the folder before it where stems repeat."""
    stems = Counter(path.stem for path in paths)
    names = {
        path: path.stem if stems[path.stem] == 1 else f"{path.parent.name}_{path.stem}"
        for path in paths
    }
    if len(set(names.values())) < len(paths):
        names = {path: f"{number:06d}_{path.stem}" for number, path in enumerate(paths)}
    return {path: shortened(name) for path, name in names.items()}


def write_result(
    out: Path, name: str, image: np.ndarray, result: Result, classes: Sequence[str]
) -> None:
    """Write `<name>_score.npy`, `_heat.png`, `_classes.png` (ids), `_classes_colour.png`.

    If the model is calibrated, `<name>_mask.png` (255 anomaly), `_overlay.png` and
    `_components.json` too.

    Args:
        out: folder.
        name: of the image.
        image: `(H, W, 3)` uint8 RGB.
        result: what the model said of it.
        classes: names of the model's known classes.

    Raises:
        UserError: the folder cannot be written.
    """
    write_array(out / f"{name}_score.npy", result.score)
    write_image(out / f"{name}_heat.png", heat(result.score))
    write_image(out / f"{name}_classes.png", result.classes)
    write_image(out / f"{name}_classes_colour.png", class_picture(result.classes, classes))
    if result.calibration is None:
        return
    write_image(out / f"{name}_mask.png", result.mask.astype(np.uint8) * 255)
    write_image(out / f"{name}_overlay.png", overlay(image, result.mask, result.components))
    description = {
        "image": name,
        "size": {"height": image.shape[0], "width": image.shape[1]},
        "threshold": result.calibration.threshold,
        "threshold_by": WAYS[result.calibration.way],
        "false_alarms": None if result.calibration.way == "f1" else result.calibration.rate,
        "components": [component.as_dict() for component in result.components],
    }
    write_text(out / f"{name}_components.json", json.dumps(description, indent=1) + "\n")
