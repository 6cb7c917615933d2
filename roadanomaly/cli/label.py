"""`roadanomaly label`: class maps of unlabelled images, by a segmenter, where it is sure.

Widens what counts as an inlier: train on the result as a set `folder` of kind `classes`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from roadanomaly.cli.models import pick_device
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.cli.predict import find_images
from roadanomaly.data.images import read_image, write_image
from roadanomaly.errors import DataError, OptionError
from roadanomaly.ledger import Ledger
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.types import IGNORE

EXAMPLES = """
roadanomaly label drives/ --segmenter.name espnetv2 --segmenter.scale 2.0 \\
    --segmenter.weights espnetv2_s_2.0_city_1024x512.pth --out drives_labels
roadanomaly label "drives/*.jpg" --segmenter.name espnetv2 --segmenter.scale 2.0 \\
    --segmenter.weights espnetv2_s_2.0_city_1024x512.pth --least 0.9 --out sure_labels
"""


def run(arguments: Sequence[str]) -> None:
    """Label each image; nothing is written where a name would be taken twice."""
    parser = new_parser("label", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly label IMAGE [IMAGE ...] --segmenter.name NAME [options]"
    parser.add_argument("images", nargs="+", help="files, folders or quoted globs")
    parser.add_argument("--segmenter", type=dict[str, Any], required=True, help="and its weights")
    parser.add_argument(
        "--least", type=float, default=0.5, help="softmax below this becomes 255, ignored; 0..1"
    )
    parser.add_argument("--out", type=str, default="runs/labels", help="folder to write into")
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, cuda:1 or auto")
    given = parse(parser, arguments)
    if not 0 <= given.least <= 1:
        msg = f"--least {given.least:g} must lie between 0 and 1."
        raise OptionError(msg)
    paths = find_images(given.images)
    _refuse_doubles(paths)
    segmenter = SEGMENTERS.from_spec(given.segmenter).to(pick_device(given.device)).eval()
    out, labelled = Path(given.out), 0.0
    Ledger(out).claim([f"{path.stem}.png" for path in paths])
    for path in tqdm(paths, unit="image", disable=not sys.stderr.isatty(), leave=False):
        try:
            label = sure_classes(segmenter, read_image(path), given.least)
        except ArithmeticError as error:
            msg = f"{path}: {error}"
            raise DataError(msg) from error
        write_image(out / f"{path.stem}.png", label)
        labelled += float((label != IGNORE).mean())
    sys.stdout.write(
        f"{len(paths)} class maps in {given.out}; {100 * labelled / len(paths):.1f} % of the "
        f"pixels are labelled, the rest is {IGNORE}\n"
    )


@torch.inference_mode()
def sure_classes(segmenter: Segmenter, image: torch.Tensor, least: float) -> np.ndarray:
    """Return `(H, W)` uint8: the most likely class, `IGNORE` where its softmax is below `least`.

    Args:
        segmenter: in inference mode.
        image: `(3, H, W)` uint8.
        least: 0..1.

    Raises:
        ArithmeticError: the network answers NaN.
    """
    logits = segmenter(image[None].to(segmenter.device).float() / 255).image_logits()[0]
    sureness, classes = logits.softmax(0).max(0)
    if not torch.isfinite(sureness).all():
        msg = (
            "the network's answer is not finite, so no class is sure; its weights may come from a "
            "training that diverged. Use others."
        )
        raise ArithmeticError(msg)
    return classes.to(torch.uint8).masked_fill(sureness < least, IGNORE).cpu().numpy()


def _refuse_doubles(paths: Sequence[Path]) -> None:
    names = [path.stem for path in paths]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        msg = (
            f"{len(double)} names occur twice ({', '.join(double[:3])}), and a class map is named "
            "by its image: label each folder by itself, with its own --out."
        )
        raise OptionError(msg)
