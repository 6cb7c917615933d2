"""Look-up tables from one set's label ids to another's, and `remap`, which refuses unknown ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import cv2
import numpy as np
import torch
from torch import Tensor

from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.errors import DataError
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID

UNDEFINED = -1
"""What a table holds for an id that the set does not define; no label has this value."""


def table(targets: Mapping[int, int]) -> np.ndarray:
    """Return a read-only table of 256 int16: `targets`, and `UNDEFINED` for every other id."""
    values = np.full(256, UNDEFINED, np.int16)
    values[list(targets)] = list(targets.values())
    values.setflags(write=False)
    return values


def remap(label: Tensor, to: np.ndarray, name: str) -> Tensor:
    """Look each id up in a table.

    Args:
        label: `(H, W)` uint8.
        to: table of 256 int16, as `table` makes it.
        name: the label's file, for the message.

    Returns:
        `(H, W)` uint8, a new tensor.

    Raises:
        DataError: the label holds ids that the table does not define: names them.
    """
    mapped = cv2.LUT(label.numpy(), to)
    if (mapped == UNDEFINED).any():
        unknown = np.flatnonzero(
            (np.bincount(label.numpy().ravel(), minlength=256) > 0) & (to == UNDEFINED)
        ).tolist()
        defined = np.flatnonzero(to != UNDEFINED)
        msg = (
            f"the label {name} holds the ids {unknown}, which its set does not define; it defines "
            f"{_ranges(defined.tolist())}. Check that these are id files of this very set, not "
            "colours, instances or another set's ids."
        )
        raise DataError(msg)
    return torch.from_numpy(mapped.astype(np.uint8))


def with_void(to: np.ndarray, ids: Iterable[int]) -> np.ndarray:
    """Return a table that gives void ids as `VOID`, for who learns from them."""
    changed = to.copy()
    changed[list(ids)] = VOID
    changed.setflags(write=False)
    return changed


def _ranges(ids: list[int]) -> str:
    """Write sorted ids in short.

    >>> _ranges([0, 1, 2, 7])
    '0 to 2, 7'
    """
    cuts = [0, *(i for i in range(1, len(ids)) if ids[i] != ids[i - 1] + 1), len(ids)]
    runs = [ids[a:b] for a, b in pairwise(cuts)]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _by_name(
    pairs: Mapping[str, str], source: tuple[str, ...], target: tuple[str, ...]
) -> dict[int, int]:
    return {source.index(a): target.index(b) for a, b in pairs.items()}


CAMVID_VOID = 11
"""Id of void in CamVid's label files."""

CAMVID_IDS = table({**{i: i for i in range(len(CAMVID))}, CAMVID_VOID: IGNORE})
"""CamVid label files to CamVid classes 0..10; void to `IGNORE`."""

CAMVID_TO_CITYSCAPES = table(
    {
        **_by_name(
            {
                "sky": "sky",
                "building": "building",
                "pole": "pole",
                "road": "road",
                "pavement": "sidewalk",
                "tree": "vegetation",
                "sign symbol": "traffic sign",
                "fence": "fence",
                "car": "car",
                "pedestrian": "person",
                "bicyclist": "bicycle",
            },
            CAMVID,
            CITYSCAPES,
        ),
        CAMVID_VOID: IGNORE,
    }
)
"""CamVid label files to Cityscapes train ids; its one bicyclist class goes to bicycle."""

CITYSCAPES_TO_CAMVID = table(
    {
        **_by_name(
            {
                "road": "road",
                "sidewalk": "pavement",
                "building": "building",
                "wall": "building",
                "fence": "fence",
                "pole": "pole",
                "traffic light": "sign symbol",
                "traffic sign": "sign symbol",
                "vegetation": "tree",
                "terrain": "tree",
                "sky": "sky",
                "person": "pedestrian",
                "rider": "bicyclist",
                "car": "car",
                "truck": "car",
                "bus": "car",
                "train": "car",
                "motorcycle": "bicyclist",
                "bicycle": "bicyclist",
            },
            CITYSCAPES,
            CAMVID,
        ),
        **{one: one for one in (INLIER, VOID, NEGATIVE, IGNORE)},
    }
)
"""Cityscapes train ids to CamVid classes, to judge a Cityscapes network on CamVid.

It follows the usual grouping of CamVid's 32 original classes into 11: Wall counts as building,
TrafficLight as sign symbol, Truck_Bus and Train as car, VegetationMisc (grass: terrain) as tree,
MotorcycleScooter as bicyclist.
"""

_CITYSCAPES_EVALUATED = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)

CITYSCAPES_LABEL_IDS = table(
    {
        **dict.fromkeys(range(34), IGNORE),
        **{label_id: i for i, label_id in enumerate(_CITYSCAPES_EVALUATED)},
        255: IGNORE,
    }
)
"""Cityscapes label ids 0..33 to train ids; -1 (licence plate) is stored as 255."""

CITYSCAPES_VOID = tuple(set(range(4, 34)) - set(_CITYSCAPES_EVALUATED))
"""Cityscapes label ids that show something and have no train id; 0 to 3 are borders, the own car
and what lies outside the frame."""

CITYSCAPES_TRAIN_IDS = table(
    {**{i: i for i in range(len(CITYSCAPES))}, NEGATIVE: NEGATIVE, IGNORE: IGNORE}
)
"""Cityscapes train ids to themselves, to refuse other ids."""
