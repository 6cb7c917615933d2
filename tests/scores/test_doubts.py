"""Each doubt is raised where it should be and nowhere else."""

import numpy as np
import pytest

from roadanomaly.scores import ScoreDoubts, doubt_ap


def look(*maps):
    doubts = ScoreDoubts()
    for one in maps:
        doubts.update(one)
    return doubts.warnings()


def normal(seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(200, 300)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_good_maps_raise_no_doubt(dtype):
    assert look(normal(0, dtype), normal(1, dtype)) == ()
    assert ScoreDoubts().warnings() == ()


CASES = {
    "overflow": (normal() * 1e6, "half precision overflows: "),
    "negative overflow": (normal() * 60 - 65500, "half precision overflows"),
    "sigmoid": (1 / (1 + np.exp(-(10 * normal() + 5))), "saturate at the top"),
    "clip": (np.minimum(normal(), 1), "share the largest score 1,"),
    "8 bits": (np.round(normal() * 30), "tells only"),
    "shift": (normal() + 3000, "tells only"),
}


@pytest.mark.parametrize(("score", "words"), CASES.values(), ids=CASES)
def test_a_fault_is_doubted(score, words):
    assert any(words in warning for warning in look(score))


def test_overflow_counts_what_numpy_makes_infinite():
    score = normal() * 60000
    with np.errstate(over="ignore"):
        infinite = int(np.isinf(score.astype(np.float16)).sum())
    assert f": {infinite} of 60000 scores" in look(score)[0]


def test_the_top_is_that_of_all_frames():
    clipped = np.minimum(normal(), 1)
    assert any("saturate" in warning for warning in look(normal(1) - 9, clipped))
    assert not any("saturate" in warning for warning in look(clipped, normal(1) + 9))


def test_processes_merge_to_the_whole():
    maps = [np.minimum(normal(seed), 1) * 1e5 for seed in range(4)]
    first, second = ScoreDoubts(), ScoreDoubts()
    for index, one in enumerate(maps):
        (first if index % 2 else second).update(one)
    first.merge(second)
    assert first.warnings() == look(*maps)
    assert len(first.warnings()) == 2


def test_official_and_exact_ap_more_than_0_3_points_apart():
    assert doubt_ap(0.500, 0.5029) is None
    assert "official AP 50.00 and exact AP 50.40 lie 0.40 points" in doubt_ap(0.5, 0.504)
    assert doubt_ap(0.504, 0.5) is not None
    assert doubt_ap(float("nan"), 0.5) is None
