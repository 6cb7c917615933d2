"""Score maps as the benchmarks read them, each file whole or absent, and read back to be sure."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from roadanomaly.errors import DataError
from roadanomaly.files import write_array, write_bytes
from roadanomaly.scores.read import KEY, load_map

_GZIP = 9


def write_hdf5(path: str | Path, score: np.ndarray) -> None:
    """Write a map in the official convention: data set `value`, float16, gzip 9, `(H, W)`.

    Args:
        path: `.../anomaly_p/<method>/<dset>/<fid>.hdf5`; folders are made.
        score: `(H, W)` float16, as `HalfMap` returns it.

    Raises:
        DataError: another type or shape, or a score that is not finite.
        UserError: the file cannot be written.
    """
    import h5py

    _check(score, np.float16)
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset(KEY, data=score, compression="gzip", compression_opts=_GZIP)
    write_bytes(Path(path), content.getvalue())


def write_fishyscapes(
    folder: str | Path, frame_id: str, score: np.ndarray, classes: np.ndarray
) -> None:
    """Write the pair that Fishyscapes reads, `<id>_anomaly.npy` and `<id>_segmentation.npy`.

    Args:
        folder: where to; it is made.
        frame_id: name of the input image without its ending.
        score: `(H, W)` float32, higher = more anomalous.
        classes: `(H, W)` integer Cityscapes train ids, 0..19.

    Raises:
        DataError: another type or shape, a score that is not finite, or another class.
        UserError: a file cannot be written.
    """
    _check(score, np.float32)
    if classes.shape != score.shape or classes.dtype.kind not in "iu":
        msg = (
            f"the classes are {classes.dtype} of shape {classes.shape}; they must be integers of "
            f"the score's shape {score.shape}."
        )
        raise DataError(msg)
    if classes.min() < 0 or classes.max() > 19:
        msg = (
            f"the classes reach from {classes.min()} to {classes.max()}; Fishyscapes takes "
            "Cityscapes train ids below 20. Map the segmenter's classes to these."
        )
        raise DataError(msg)
    write_array(Path(folder) / f"{frame_id}_segmentation.npy", classes)
    write_array(Path(folder) / f"{frame_id}_anomaly.npy", score)


def _check(score: np.ndarray, kind: type[np.floating]) -> None:
    if score.dtype != kind or score.ndim != 2 or score.size == 0:
        msg = (
            f"the score map is {score.dtype} of shape {score.shape}; this file holds "
            f"{np.dtype(kind)} of (H, W). Map the scores first."
        )
        raise DataError(msg)
    if not np.isfinite(score.astype(np.float32)).all():
        msg = (
            "the score map holds NaN or infinite scores; a benchmark cannot rank them. Map the "
            "scores to half precision with `HalfMap`, and look for an overflow in the detector."
        )
        raise DataError(msg)


def verify_map(path: str | Path, score: np.ndarray) -> np.ndarray:
    """Read a map back and compare it bit by bit.

    Args:
        path: what was written.
        score: `(H, W)` what it should hold.

    Returns:
        what was read.

    Raises:
        DataError: it cannot be read, or holds something else.
    """
    stored = load_map(Path(path))
    if stored.dtype != score.dtype or stored.shape != score.shape:
        msg = (
            f"{path} holds {stored.dtype} of shape {stored.shape} instead of {score.dtype} of "
            f"shape {score.shape}; delete it and write it again."
        )
        raise DataError(msg)
    changed = int((stored != score).sum())
    if changed:
        msg = (
            f"{path} differs from what was written in {changed} of {score.size} pixels: the disk "
            "or a copy damaged it. Delete it and write it again."
        )
        raise DataError(msg)
    return stored
