"""What the Fishyscapes container runs: every image of a folder to scores and classes.

`run.py` in the exported recipe is a copy of this file. Of an input `DDDD_*.png` it writes
`DDDD_anomaly.npy` and `DDDD_segmentation.npy`, as fishyscapes.com/submission asks.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.images import list_images, read_image
from roadanomaly.errors import UserError
from roadanomaly.evaluation.classes import class_table
from roadanomaly.model import Model, Result, load
from roadanomaly.precision import PRECISIONS
from roadanomaly.scores.write import write_fishyscapes
from roadanomaly.seeded import score_image


def train_ids(model: Model, result: Result) -> np.ndarray:
    """Return the classes as Cityscapes train ids, `(H, W)` uint8.

    Raises:
        DataError: no map from the segmenter's classes to Cityscapes' is known.
    """
    return class_table(model.segmenter.classes, CITYSCAPES)[result.classes]


def output_name(image: Path) -> str:
    """Return the number that an image's name begins with, or its stem where it has none.

    >>> output_name(Path("0000_04_Maurener_Weg_8_000000_000030_rgb.png"))
    '0000'
    """
    numbered = re.match(r"(\d+)_", image.stem)
    return numbered[1] if numbered else image.stem


def main(arguments: Sequence[str] | None = None) -> int:
    """Score a folder; returns 0, or 2 with the reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, default=Path("/input"))
    parser.add_argument("--output", type=Path, default=Path("/output"))
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--precision", choices=PRECISIONS, default="f32")
    given = parser.parse_args(arguments)
    try:
        model = load(given.model, "cuda" if torch.cuda.is_available() else "cpu")
        model.precision = given.precision
        images = list_images(given.input)
        for number, image in enumerate(images, 1):
            result = score_image(model, read_image(image, upright=False), image.stem)
            classes = train_ids(model, result)
            write_fishyscapes(given.output, output_name(image), result.score, classes)
            sys.stdout.write(f"{number} of {len(images)}: {image.name}\n")
            sys.stdout.flush()
    except (UserError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
