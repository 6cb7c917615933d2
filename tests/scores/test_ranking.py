"""The map to half precision keeps ranking and AP, whatever monotone change the scores had."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from roadanomaly.errors import DataError
from roadanomaly.metrics import score_frames
from roadanomaly.scores import HalfMap, RankSketch, ScoreDoubts
from roadanomaly.scores.ranking import usable_halves

CHANGES = {
    "none": lambda score: score,
    "plus 1000": lambda score: score + np.float32(1000),
    "times 1e6": lambda score: score * np.float32(1e6),
    "times 1e-30": lambda score: score * np.float32(1e-30),
    "exponential": lambda score: np.exp(3 * score),
}


def frames(rare=1.0, shape=(240, 320), count=6):
    """Make frames with objects whose scores rise out of those of the ground."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        label = np.zeros(shape, np.uint8)
        side = int(60 * rare)
        top, left = rng.integers(0, shape[0] - side), rng.integers(0, shape[1] - side)
        label[top : top + side, left : left + side] = 1
        score = rng.normal(rng.normal(), 1, shape) + 2 * label * rng.random()
        label[:10] = 255
        found.append((score.astype(np.float32), label))
    return found


def fit(maps):
    sketch = RankSketch()
    for one in maps:
        sketch.update(one)
    return sketch.fit()


def exact_ap(scored):
    truth = np.concatenate([label[label < 255] for _, label in scored])
    return average_precision_score(truth, np.concatenate([s[m < 255] for s, m in scored]))


@pytest.mark.parametrize("rare", [1.0, 0.1], ids=["usual", "rare"])
@pytest.mark.parametrize("change", CHANGES)
def test_ap_is_kept(change, rare):
    before = frames(rare, (144, 192))  # more pixels than there are halves
    changed = [CHANGES[change](score) for score, _ in before]
    mapped = fit(changed)
    after = [(mapped(c), label) for c, (_, label) in zip(changed, before, strict=True)]
    lossless = [(c, label) for c, (_, label) in zip(changed, before, strict=True)]
    assert exact_ap(after) == pytest.approx(exact_ap(lossless), abs=1e-5)
    official = [score_frames(one)["ap"] for one in (lossless, after)]
    assert official[1] == pytest.approx(official[0], abs=1e-4)


@pytest.mark.parametrize("change", ["times 1e6", "exponential"])
def test_a_monotone_change_gives_nearly_the_same_halves(change):
    score = frames()[0][0]
    plain, changed = fit([score])(score), fit([CHANGES[change](score)])(CHANGES[change](score))
    levels = np.searchsorted(usable_halves().astype(np.float32), np.stack([plain, changed]))
    assert np.abs(levels[0] - levels[1]).max() < 0.01 * usable_halves().size


def test_order_is_never_reversed_and_the_top_is_not_shared():
    score = np.concatenate([one for one, _ in frames()])
    half = fit([score])(score).astype(np.float64)
    order = np.argsort(score, axis=None)
    assert (np.diff(half.ravel()[order]) >= 0).all()
    assert (half == half.max()).sum() <= 2
    assert np.unique(half).size > 40_000
    doubts = ScoreDoubts()
    doubts.update(fit([score])(score))
    assert doubts.warnings() == ()


def test_few_distinct_scores_each_keep_their_own_level():
    score = np.random.default_rng(0).integers(0, 30_000, (300, 400)).astype(np.float64)
    half = fit([score, score + 30_000])(score)
    assert np.unique(half).size == np.unique(score).size
    np.testing.assert_array_equal(np.unique(half, return_inverse=True)[1],
                                  np.unique(score, return_inverse=True)[1])  # fmt: skip


def test_usable_halves_are_all_from_end_to_end():
    halves = usable_halves()
    patterns = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    within = np.unique(patterns[np.abs(patterns.astype(np.float32)) <= 32752].astype(np.float32))
    np.testing.assert_array_equal(halves.astype(np.float32), within)
    with np.errstate(over="raise"):
        assert halves[-1] - halves[0] == np.float16(65504)


def test_scores_outside_the_fitted_range_get_the_ends():
    mapped = HalfMap(np.array([0.0, 1.0, 2.0]))
    half = mapped(np.array([[-5.0, 0.0, 0.5, 1.0, 2.0, 99.0]]))
    assert half.dtype == np.float16
    assert [list(np.unique(half)).index(value) for value in half[0]] == [0, 0, 0, 1, 2, 2]


def test_sketches_of_processes_merge_and_stay_small(monkeypatch):
    monkeypatch.setattr("roadanomaly.scores.ranking._POINTS", 1 << 10)
    monkeypatch.setattr("roadanomaly.scores.ranking._MOST_POINTS", 1 << 12)
    monkeypatch.setattr("roadanomaly.scores.ranking._KEPT_POINTS", 1 << 11)
    before = frames(count=9)
    first, second = RankSketch(), RankSketch()
    for index, (score, _) in enumerate(before):
        (first if index % 2 else second).update(score)
    first.merge(second)
    assert sum(part.size for part in first._values) <= 1 << 12
    mapped = first.fit()
    after = [(mapped(score), label) for score, label in before]
    assert exact_ap(after) == pytest.approx(exact_ap(before), abs=2e-3)


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(DataError, match="no score map was taken in"):
        RankSketch().fit()
    with pytest.raises(DataError, match="1 of 4 scores are NaN or infinite"):
        RankSketch().update(np.array([[1.0, 2.0], [3.0, np.inf]]))
