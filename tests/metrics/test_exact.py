"""Merged sorted runs against scikit-learn's full sort, however they are cut, stored and split."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from roadanomaly.errors import DataError
from roadanomaly.metrics.exact import PixelExact, pool_runs
from roadanomaly.metrics.per_image import tpr_at_fpr
from roadanomaly.metrics.runs import STEP, frame_run, merge, open_run, write_run

SCALARS = ("ap", "auroc", "fpr95", "best_f1", "best_f1_threshold")
SCORES = {
    "logits": lambda rng, label: rng.normal(size=label.shape) + 1.5 * label,
    "saturated": lambda rng, label: np.clip(rng.normal(size=label.shape) + label, 0, 1),
    "steps": lambda rng, label: rng.integers(-5, 5, label.shape) / 4 + label,
    "heavy": lambda rng, label: (rng.normal(size=label.shape) + label) ** 9,
    "zeros": lambda rng, label: np.where(rng.random(label.shape) < 0.5, -0.0, 0.0) + label,
    "infinite": lambda rng, label: np.where(rng.random(label.shape) < 0.1, np.inf, 2.0 * label),
}


def frame(kind, dtype, seed=0, size=(100, 130)):
    rng = np.random.default_rng(seed)
    truth = (rng.random(size) < 0.1).astype(np.uint8)
    with np.errstate(over="ignore"):
        score = SCORES[kind](rng, truth.astype(np.float64)).astype(dtype)
    truth[rng.random(size) < 0.2] = 255
    return score, truth


def pooled(frames):
    score = np.concatenate([score[label < 255] for score, label in frames]).astype(np.float64)
    return np.concatenate([label[label < 255] for _, label in frames]), score


def test_ranges_give_scikit_learn_s_numbers():
    mixed = (np.float64, np.float16, np.float32)
    for kind in ("logits", "saturated", "steps"):
        for types in ((np.float16,) * 4, (np.float32,) * 4, mixed):
            frames = [frame(kind, dtype, seed) for seed, dtype in enumerate(types)]
            runs = [frame_run(*one) for one in frames]
            truth, score = pooled(frames)
            found = pool_runs(runs, at_a_time=STEP, thin=True)
            assert found.ap == pytest.approx(average_precision_score(truth, score), abs=1e-9)
            assert found.auroc == pytest.approx(roc_auc_score(truth, score), abs=1e-9)
            fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
            assert found.fpr95 == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)
            limited = tpr[np.argmax(fpr >= 0.05)]
            assert tpr_at_fpr(found) == pytest.approx(limited, abs=1e-12)


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_size_of_the_ranges_changes_nothing(kind, dtype):
    runs = [frame_run(*frame(kind, dtype, seed)) for seed in range(3)]
    whole, cut = pool_runs(runs), pool_runs(runs, at_a_time=STEP)
    for name in SCALARS:
        assert getattr(whole, name) == pytest.approx(getattr(cut, name), abs=1e-12, nan_ok=True)
    for name in ("thresholds", "tpr", "fpr", "precision"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_run_in_a_file_is_the_run_in_memory(dtype, tmp_path):
    score, label = frame("logits", dtype, size=(200, 300))
    run = frame_run(score, label)
    write_run(tmp_path / "a.run", run)
    stored = open_run(tmp_path / "a.run")
    assert stored.negative.pixels == (label == 0).sum()
    edges = [-np.inf, *np.quantile(score[label == 0], [0.01, 0.3, 0.9]).tolist(), None]
    for low, high in pairwise(edges):
        ours, theirs = stored.negative.between(low, high), run.negative.between(low, high)
        np.testing.assert_array_equal(ours.values, theirs.values)
        np.testing.assert_array_equal(ours.counts, theirs.counts)
        assert theirs.values.size
    assert pool_runs([stored]).ap == pool_runs([run]).ap


def test_merging_counts_each_value_once():
    score, label = frame("steps", np.float32)
    parts = [
        frame_run(row[None], mask[None]).negative for row, mask in zip(score, label, strict=True)
    ]
    found = merge(parts)
    values, counts = np.unique(score[label == 0], return_counts=True)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.counts, counts)


def test_a_broken_run_says_so(tmp_path):
    write_run(tmp_path / "a.run", frame_run(*frame("logits", np.float32)))
    whole = (tmp_path / "a.run").read_bytes()
    (tmp_path / "a.run").write_bytes(whole[:100])
    with pytest.raises(DataError, match=r"a\.run is broken"):
        open_run(tmp_path / "a.run")


def test_a_thinned_curve_is_short_and_ends_as_the_whole_one():
    runs = [frame_run(*frame("logits", np.float32, seed, (400, 500))) for seed in range(2)]
    whole, thin = pool_runs(runs), pool_runs(runs, thin=True)
    assert thin.thresholds.size < 1000 < whole.thresholds.size
    for name in SCALARS:
        assert getattr(whole, name) == getattr(thin, name)
    assert (thin.tpr[-1], thin.fpr[-1]) == (1, 1)
    for values, points in ((whole.tpr, thin.tpr), (whole.fpr, thin.fpr)):
        assert set(points) <= set(values)
        assert np.diff(points).max() < 0.01


@pytest.mark.slow
def test_memory_does_not_grow_with_the_frames(tmp_path):
    peaks = []
    for count in (10, 20):
        for number in range(count):
            write_run(
                tmp_path / f"{number}.run",
                frame_run(*frame("logits", np.float32, number, (480, 640))),
            )
        tracemalloc.start()
        runs = [open_run(tmp_path / f"{number}.run") for number in range(count)]
        pool_runs(runs, thin=True, at_a_time=1 << 17)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    ten_more_frames = 10 * 480 * 640 * 5
    assert peaks[1] - peaks[0] < ten_more_frames / 3


def test_the_accumulator_may_keep_its_runs_in_files(tmp_path):
    in_memory, in_files = PixelExact(), PixelExact(tmp_path)
    for number in range(3):
        in_memory.update(number, *frame("logits", np.float32, number))
        in_files.update(number, *frame("logits", np.float32, number))
    assert in_memory.compute().ap == in_files.compute().ap
    assert len(list(tmp_path.iterdir())) == 3
