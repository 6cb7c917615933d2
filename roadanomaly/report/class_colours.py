"""Colours of classes: those of Cityscapes where the names are, and a legend that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from roadanomaly.data.class_maps import CAMVID_TO_CITYSCAPES
from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.files import readable
from roadanomaly.report.pictures import FONT, VOID, row

CITYSCAPES_COLOURS: Mapping[str, tuple[int, int, int]] = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
"""RGB by class name, as in Cityscapes' own scripts (`cityscapesscripts/helpers/labels.py`)."""

_SAME: Mapping[str, str] = {
    **{one: one for one in CITYSCAPES},
    **{one: CITYSCAPES[CAMVID_TO_CITYSCAPES[i]] for i, one in enumerate(CAMVID)},
}
"""Class names to the Cityscapes class that means the same."""

APART = 40
"""Least Euclidean distance in RGB of another class's colour from those of Cityscapes."""

LINE = 24
"""Height of a legend's line, pixels."""


def class_palette(names: Sequence[str]) -> np.ndarray:
    """Return the colour of each class, `(K, 3)` uint8 RGB.

    Classes of Cityscapes, and those of CamVid that mean the same, have Cityscapes' colours. Others
    get far-apart hues (golden angle) of three brightnesses in turn, by their number among the
    classes.

    Args:
        names: of the classes, in order.
    """
    found: dict[int, tuple[int, int, int]] = {}
    for number, name in enumerate(names):
        colour = CITYSCAPES_COLOURS.get(_SAME.get(name.lower(), ""))
        if colour is not None and colour not in found.values():
            found[number] = colour
    palette = _hues(len(names), list(found.values()))
    for number, colour in found.items():
        palette[number] = colour
    return palette


def _hues(count: int, taken: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Return distinct colours, as far as they go, not close to those taken; `(count, 3)` uint8."""
    index = np.arange(4 * count + 64)
    hue = (index * 0.381966 * 180) % 180
    value = np.array([230, 150, 190])[index % 3]
    drawn = np.stack([hue, np.full(len(index), 140), value], axis=1).astype(np.uint8)[None]
    colours = cv2.cvtColor(drawn, cv2.COLOR_HSV2RGB)[0]
    colours = colours[np.sort(np.unique(colours, axis=0, return_index=True)[1])]
    if taken:
        steps = colours[:, None].astype(int) - np.array(taken)
        colours = colours[(np.linalg.norm(steps, axis=2) > APART).all(axis=1)]
    return np.resize(colours, (count, 3))


def class_picture(classes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Colour a class map; what is no class, such as void, is grey.

    Args:
        classes: `(H, W)` uint8, indices of `names`.
        names: of the classes.

    Returns:
        `(H, W, 3)` uint8 RGB.
    """
    colours = np.full((256, 3), VOID, np.uint8)
    colours[: len(names)] = class_palette(names)
    return colours[classes]


def class_legend(names: Sequence[str]) -> np.ndarray:
    """Name the colour of every class, and its number, a line each; `(H, W, 3)` uint8 RGB."""
    texts = [f"{number} {readable(name)}" for number, name in enumerate(names)]
    width = 40 + max(cv2.getTextSize(text, FONT, LINE / 50, 1)[0][0] for text in texts)
    legend = np.full((LINE * len(names), width, 3), 255, np.uint8)
    _write_lines(legend, class_palette(names), texts, LINE)
    return legend


def class_sheet(image: np.ndarray, classes: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Show an image, its class map and the names of the classes that occur in it.

    Args:
        image: `(H, W, 3)` uint8 RGB.
        classes: `(H, W)` integers, indices of `names`.
        names: of the classes.
    """
    legend = np.full((*image.shape[:2], 3), 255, np.uint8)[:, : max(190, image.shape[1] // 5)]
    found, counts = np.unique(classes, return_counts=True)
    order = np.argsort(-counts)
    shares = 100 * counts / classes.size
    texts = [f"{readable(names[found[i]])} {shares[i]:.1f} %" for i in order]
    line = max(12, min(LINE, image.shape[0] // max(1, len(found))))
    _write_lines(legend, class_palette(names)[found[order]], texts, line)
    return row([image, class_picture(classes, names), legend])


def _write_lines(picture: np.ndarray, colours: np.ndarray, texts: Sequence[str], line: int) -> None:
    """Draw colours with their names into a picture, below each other, each `line` pixels high."""
    for place, (colour, text) in enumerate(zip(colours, texts, strict=True)):
        top = place * line
        picture[top + 2 : top + line - 2, 4:24] = colour
        corner = (30, top + line - 5)
        cv2.putText(picture, text, corner, FONT, line / 50, (20, 20, 20), 1, cv2.LINE_AA)
