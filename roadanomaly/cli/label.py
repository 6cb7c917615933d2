"""`roadanomaly label`: class maps of unlabelled images, by a segmenter, where it is sure.

Widens what counts as an inlier: train on the result as a set `folder` of kind `classes`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import DEVICES, new_parser, parse
from roadanomaly.cli.predict import find_images
from roadanomaly.data.images import read_image, write_image
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.progress import progress
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.segmenters.teacher import Teacher
from roadanomaly.types import IGNORE, INLIER

UNSURE = {"ignore": IGNORE, "inlier": INLIER}

EXAMPLES = """
roadanomaly label drives/ --segmenter.name espnetv2 --segmenter.scale 2.0 \\
    --segmenter.weights espnetv2_s_2.0_city_1024x512.pth --out drives_labels
roadanomaly label "drives/*.jpg" --segmenter.name espnetv2 --segmenter.scale 2.0 \\
    --segmenter.weights espnetv2_s_2.0_city_1024x512.pth --agree --unsure inlier --out sure_labels
"""


def run(arguments: Sequence[str]) -> None:
    """Label each image; nothing is written where a name would be taken twice."""
    parser = new_parser("label", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly label IMAGE [IMAGE ...] --segmenter.name NAME [options]"
    parser.add_argument("images", nargs="+", help="files, folders or quoted globs")
    parser.add_argument("--segmenter", type=dict[str, Any], required=True, help="and its weights")
    parser.add_argument(
        "--least",
        type=float,
        default=0.5,
        help="softmax below which a class is unsure; 0..1",
    )
    parser.add_argument(
        "--agree",
        action="store_true",
        help="unsure too where the mirrored image, or one of 3/4 or 5/4 the size, says otherwise",
    )
    parser.add_argument(
        "--unsure",
        type=str,
        default="ignore",
        help="what becomes of unsure pixels: `ignore` (255), or `inlier` (252), of ordinary roads",
    )
    parser.add_argument("--out", type=str, default="runs/labels", help="folder to write into")
    parser.add_argument("--device", type=str, default="auto", help=DEVICES)
    given = parse(parser, arguments)
    if not 0 <= given.least <= 1:
        msg = f"--least {given.least:g} must lie between 0 and 1."
        raise OptionError(msg)
    if given.unsure not in UNSURE:
        msg = f"--unsure {given.unsure}: {nearest(given.unsure, UNSURE)}"
        raise OptionError(msg)
    paths = find_images(given.images)
    _refuse_doubles(paths)
    segmenter = SEGMENTERS.from_spec(given.segmenter).to(pick_device(given.device)).eval()
    teacher = Teacher(segmenter, given.least, agree=given.agree)
    with holding(Path(given.out), ["label", *arguments]):
        share = _label_all(teacher, paths, Path(given.out), UNSURE[given.unsure])
    sys.stdout.write(
        f"{len(paths)} class maps in {given.out}; {100 * share:.1f} % of the pixels are labelled, "
        f"the rest is {UNSURE[given.unsure]}\n"
    )


def _label_all(teacher: Teacher, paths: Sequence[Path], out: Path, unsure_id: int) -> float:
    """Write the class map of each image; return the mean share of pixels that are labelled."""
    labelled = 0.0
    Ledger(out).claim([f"{path.stem}.png" for path in paths])
    for path in progress(paths, "label", "image"):
        try:
            label = teacher.label(read_image(path))
        except ArithmeticError as error:
            msg = f"{path}: {error}"
            raise DataError(msg) from error
        unsure = label == IGNORE
        label[unsure] = unsure_id
        write_image(out / f"{path.stem}.png", label)
        labelled += float((~unsure).mean())
    return labelled / len(paths)


def _refuse_doubles(paths: Sequence[Path]) -> None:
    names = Counter(path.stem for path in paths)
    double = sorted(name for name, count in names.items() if count > 1)
    if double:
        msg = (
            f"{len(double)} names occur twice ({', '.join(double[:3])}), and a class map is named "
            "by its image: label each folder by itself, with its own --out."
        )
        raise OptionError(msg)
