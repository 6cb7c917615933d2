"""Whole benchmark sets of tiny frames, and score maps for them, to be exported in tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from roadanomaly.data.smiyc import SmiycAnomaly
from tests import layouts

SHAPE = (layouts.HEIGHT, layouts.WIDTH)
ANOMALY_IDS = sorted(SmiycAnomaly.official("all"))


def anomaly_track(root: Path) -> Path:
    """Make all 110 frames of AnomalyTrack; the truth of 10 is public."""
    test = [i for i in ANOMALY_IDS if not i.startswith("validation")]
    return layouts.smiyc_anomaly(root, test)


def obstacle_ids() -> list[str]:
    """Return as many ids as ObstacleTrack has: 327 + 55 + 30, besides the 30 of validation."""
    by_day = [f"gravel_boot_{i}" for i in range(327)]
    snow = [f"snowstorm1_00_{i // 60:02d}_{i % 60:02d}.{i + 101}" for i in range(55)]
    return by_day + snow + [f"driveway_carton_{i}" for i in range(30)]


def laf_ids(count: int, part: int) -> list[str]:
    """Return ids formed as LostAndFound's."""
    return [f"{part:02d}_Hanns_Klemm_Str_44_{i // 50:06d}_{i % 50:06d}" for i in range(count)]


def score(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Return a map whose second quarter, which the layouts label an anomaly, is a little higher."""
    rng = np.random.default_rng(seed)
    made = rng.normal(0, 1, shape).astype(np.float32)
    made[:, shape[1] // 4 : shape[1] // 2] += rng.random() * 2
    return made


def write_scores(folder: Path, ids: list[str]) -> Path:
    """Write a `.npy` map for each id."""
    folder.mkdir(parents=True)
    for seed, frame_id in enumerate(ids):
        np.save(folder / f"{frame_id}.npy", score(seed))
    return folder
