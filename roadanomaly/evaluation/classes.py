"""Which class of a data set a segmenter's prediction counts as."""

from __future__ import annotations

import numpy as np

from roadanomaly.data.class_maps import CAMVID_TO_CITYSCAPES, CITYSCAPES_TO_CAMVID, UNDEFINED
from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.errors import DataError
from roadanomaly.types import IGNORE

TABLES = {
    (CITYSCAPES, CAMVID): CITYSCAPES_TO_CAMVID,
    (CAMVID, CITYSCAPES): CAMVID_TO_CITYSCAPES,
}


def class_table(predicted: tuple[str, ...], labelled: tuple[str, ...]) -> np.ndarray:
    """Return a table of 256 uint8 from predicted classes to those of the labels, else `IGNORE`.

    Args:
        predicted: the segmenter's class names.
        labelled: the data set's class names.

    Raises:
        DataError: no map between the two is known.
    """
    if predicted == labelled:
        return np.arange(256, dtype=np.uint8)
    if (predicted, labelled) not in TABLES:
        msg = (
            f"no map from the segmenter's {len(predicted)} classes ({', '.join(predicted[:3])}, "
            f"...) to the data set's {len(labelled)} ({', '.join(labelled[:3])}, ...) is known; "
            "add one to evaluation/classes.py, or give the set in the segmenter's classes."
        )
        raise DataError(msg)
    known = TABLES[predicted, labelled]
    return np.where(known == UNDEFINED, IGNORE, known).astype(np.uint8)
