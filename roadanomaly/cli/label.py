"""`roadanomaly label`: class maps of unlabelled images, by a segmenter, where it is sure.

Widens what counts as an inlier: train on the result as a set `folder` of kind `classes`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
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
    """Label each image; a broken one is reported and the rest goes on.

    Nothing is written where a name would be taken twice.
    """
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
    paths = _without_maps(find_images(given.images))
    _refuse_doubles(paths)
    segmenter = SEGMENTERS.from_spec(given.segmenter).to(pick_device(given.device)).eval()
    teacher = Teacher(segmenter, given.least, agree=given.agree)
    with holding(Path(given.out), ["label", *arguments]):
        shares, broken = _label_all(teacher, paths, Path(given.out), UNSURE[given.unsure])
    if shares:
        sys.stdout.write(
            f"{len(shares)} class maps in {given.out}; {100 * fmean(shares):.1f} % of the pixels "
            f"are labelled, the rest is {UNSURE[given.unsure]}\n"
        )
    if broken:
        msg = f"{len(broken)} of {len(paths)} images could not be used:\n  " + "\n  ".join(broken)
        raise DataError(msg)


def _label_all(
    teacher: Teacher, paths: Sequence[Path], out: Path, unsure_id: int
) -> tuple[list[float], list[str]]:
    """Write the class map of each image.

    Returns:
        the share of pixels that are labelled of each, and what went wrong, a line each.
    """
    shares, broken = [], []
    Ledger(out).claim([f"{path.stem}.png" for path in paths])
    for path in progress(paths, "label", "image"):
        try:
            label = teacher.label(read_image(path))
        except DataError as error:
            broken.append(str(error))
            continue
        except ArithmeticError as error:
            broken.append(f"{path}: {error}")
            continue
        unsure = label == IGNORE
        label[unsure] = unsure_id
        write_image(out / f"{path.stem}.png", label)
        shares.append(float((~unsure).mean()))
    return shares, broken


def _without_maps(paths: Sequence[Path]) -> list[Path]:
    """Leave out the class maps of an earlier call, where they lie beside their images."""
    ours = {folder: Ledger(folder).names() for folder in {path.parent for path in paths}}
    beside = Counter((path.parent, path.stem) for path in paths)
    return [
        path
        for path in paths
        if path.name not in ours[path.parent] or beside[path.parent, path.stem] == 1
    ]


def _refuse_doubles(paths: Sequence[Path]) -> None:
    names = Counter(path.stem for path in paths)
    double = sorted(name for name, count in names.items() if count > 1)
    if double:
        msg = (
            f"{len(double)} names occur twice ({', '.join(double[:3])}), and a class map is named "
            "by its image: label each folder by itself, with its own --out."
        )
        raise OptionError(msg)
