"""Small pictures keep what a page must draw: where a score lies above any threshold."""

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.report.thumbnails import (
    IMAGE_WIDTH,
    SCORE_WIDTH,
    encode_score,
    read_frame,
    read_score,
    small_truth,
    write_thumbnails,
)
from roadanomaly.types import Frame


def smooth_scores(seed=0, height=720, width=1280):
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (10, 18)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def decode(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


def decoded_scores(picture):
    grey = decode(picture.grey).astype(float)
    return np.interp(grey, np.linspace(0, 255, picture.levels.size), picture.levels)


@pytest.mark.parametrize("tail", ["even", "heavy"])
@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9, 0.99])
def test_mask_of_a_thumbnail_is_close_to_the_real_one(tail, quantile):
    score = smooth_scores()
    if tail == "heavy":
        score = np.sinh(2.5 * score)
    threshold = np.quantile(score, quantile)
    real = cv2.resize((score >= threshold).astype(np.float32), (320, 180), None, 0, 0, 3) >= 0.5
    drawn = decoded_scores(encode_score(score)) >= threshold
    assert (real & drawn).sum() / (real | drawn).sum() > 0.93


def test_levels_rise_and_reach_the_ends():
    score = smooth_scores()
    picture = encode_score(score.astype(np.float16))
    assert (np.diff(picture.levels) > 0).all()
    assert picture.levels[[0, -1]] == pytest.approx([score.min(), score.max()], abs=0.01)


def test_infinite_and_constant_scores_are_drawn():
    score = smooth_scores()
    score[:100] = np.inf
    picture = encode_score(score)
    assert np.isfinite(picture.levels).all()
    assert decode(picture.grey)[:20].min() > 240
    flat = encode_score(np.full((40, 60), 3.5, np.float32))
    assert set(flat.levels) == {3.5}
    assert decode(flat.grey).max() == 0
    assert np.isfinite(encode_score(np.full((40, 60), np.inf, np.float32)).levels).all()


def test_truth_keeps_small_objects_and_ignored_pixels():
    truth = np.zeros((720, 1280), np.uint8)
    truth[100:103, 200:203] = 1
    truth[600:] = 255
    small = small_truth(truth)
    assert small.shape == (180, 320)
    assert (small == 1).any()
    assert (small[151:] == 255).all()
    assert set(np.unique(small)) == {0, 1, 255}


def test_files_of_a_frame_stay_small_even_of_noise(tmp_path):
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 255, (3, 720, 1280), dtype=np.uint8))
    truth = torch.from_numpy((smooth_scores() > 1).astype(np.uint8))
    frame = Frame("night/street 1.a", image, anomaly=truth)
    scores = {"energy": rng.normal(0, 1, (720, 1280)), "a/b": smooth_scores()}
    write_thumbnails(tmp_path, "laf", frame, scores)
    kept = read_frame(tmp_path, "laf", frame.id)
    assert decode(kept.image).shape == (270, IMAGE_WIDTH, 3)
    assert (decode(kept.truth) == small_truth(truth.numpy())).all()
    score = read_score(tmp_path, "laf", "energy", frame.id)
    assert decode(score.grey).shape == (180, SCORE_WIDTH)
    assert len(kept.image) <= 22_000
    assert len(score.grey) <= 9_000
    assert read_score(tmp_path, "laf", "a/b", frame.id) is not None
    assert read_score(tmp_path, "laf", "b", frame.id) is None
    assert read_frame(tmp_path, "laf", "other") is None
    assert all(path.is_relative_to(tmp_path / "frames/laf") for path in tmp_path.rglob("*.*"))


def test_a_frame_without_label_and_below_thumbnail_size(tmp_path):
    frame = Frame("x", torch.full((3, 40, 60), 200, dtype=torch.uint8))
    write_thumbnails(tmp_path, "s", frame, {"m": np.zeros((40, 60), np.float32)})
    kept = read_frame(tmp_path, "s", "x")
    assert kept.truth is None
    assert decode(kept.image).shape == (40, 60, 3)
