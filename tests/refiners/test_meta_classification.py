"""Meta-classification: what describes a segment, and which segments are erased."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from sklearn.ensemble import GradientBoostingClassifier

from roadanomaly.errors import DataError, OptionError
from roadanomaly.refiners.meta_classification import MetaClassification, judged
from roadanomaly.refiners.meta_classifiers import BoostingClassifier, LogisticClassifier
from roadanomaly.refiners.segments import columns, find_segments
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Segmentation

CLASSES, SIZE = 3, (60, 80)


class Named:
    classes = tuple("abc")


def drawn(seed, shapes):
    """Low noise with squares of a high score: (row, column, side, sure) each."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 0.5, SIZE).astype(np.float32)
    logits = rng.normal(0, 0.1, (CLASSES, *SIZE)).astype(np.float32)
    logits[0] += 4
    for row, column, side, sure in shapes:
        place = np.s_[row : row + side, column : column + side]
        score[place] = rng.uniform(0.75, 1, (side, side))
        logits[(slice(None), *place)] = 0.1 * rng.normal(size=(CLASSES, side, side))
        if sure:
            logits[(1, *place)] += 3
    return score, logits


def probabilities(logits):
    return torch.from_numpy(logits).softmax(0).numpy()


def test_the_numbers_of_a_segment_are_those_of_its_pixels():
    score, logits = drawn(0, [(5, 7, 12, False), (40, 30, 9, True), (0, 70, 10, True)])
    chances = probabilities(logits)
    found = find_segments(score, chances, 0.7)
    labels, count = ndimage.label(score > 0.7, np.ones((3, 3)))
    assert found.rows.shape == (count, columns(CLASSES)) == (3, 37)
    inner = ndimage.binary_erosion(score > 0.7, np.ones((3, 3)))
    entropy = stats.entropy(chances, axis=0) / np.log(CLASSES)
    ordered = np.sort(chances, 0)
    heats = (score, entropy, 1 - ordered[-1], 1 - ordered[-1] + ordered[-2])
    for number in range(1, count + 1):
        mask = labels == number
        row = found.rows[found.labels[mask][0] - 1]
        within, rim = mask & inner, mask & ~inner
        sizes = [mask.sum(), within.sum(), rim.sum()]
        expected = [*sizes, sizes[0] / sizes[2], sizes[1] / sizes[2]]
        for heat in heats:
            means = [heat[part].mean() for part in (mask, within, rim)]
            scaled = [means[0] * expected[3], means[1] * expected[4]]
            expected += [*means, *scaled, heat[mask].astype(float).var()]
        expected += [one[mask].mean() for one in chances]
        beside = ndimage.binary_dilation(mask, np.ones((3, 3))) & ~mask
        expected += [(chances.argmax(0)[beside] == k).mean() for k in range(CLASSES)]
        centre = ndimage.center_of_mass(mask)
        expected += [centre[0] / SIZE[0], centre[1] / SIZE[1]]
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)


def test_no_segment_has_no_row():
    score, logits = drawn(0, [])
    assert find_segments(score, probabilities(logits), 0.7).rows.shape == (0, columns(CLASSES))


def entering(scores, logits):
    found = torch.from_numpy(np.stack(logits))
    return torch.from_numpy(np.stack(scores)), Segmentation(found, SIZE, SIZE)


def world(seed):
    """One true segment, large and undecided, and two false ones, small and sure of a class."""
    rng = np.random.default_rng([1, seed])
    top, left = rng.integers(2, 8), rng.integers(2, 40)
    shapes = [(top, left, rng.integers(12, 18), False)]
    shapes += [(rng.integers(35, 50), 5 + 40 * n, rng.integers(4, 7), True) for n in range(2)]
    score, logits = drawn(seed, shapes)
    label = np.zeros(SIZE, np.uint8)
    side = shapes[0][2]
    label[top : top + side, left : left + side] = NEGATIVE
    return score, logits, label


def fitted(**options):
    made = MetaClassification(**options)
    made.attach(Named())
    for seed in range(12):
        score, logits, label = world(seed)
        batch = Batch(torch.zeros(1, 3, *SIZE), torch.from_numpy(label)[None], (str(seed),))
        made.update(*entering([score], [logits]), batch)
    made.finish()
    return made


@pytest.mark.parametrize("by", ["logistic", "boosting"])
def test_false_segments_are_erased_and_true_ones_stay(by):
    made = fitted(by=by)
    score, logits, label = world(99)
    before, segmentation = entering([score], [logits])
    after = made(before, segmentation, torch.zeros(1, 3, *SIZE))[0].numpy()
    high, anomaly = score > 0.7, label == NEGATIVE
    np.testing.assert_array_equal(after[anomaly | ~high], score[anomaly | ~high])
    assert after[high & ~anomaly].max() < 0.5
    inliers = np.concatenate([world(n)[0][world(n)[2] == 0] for n in range(12)])
    assert made.ordinary.item() == pytest.approx(np.median(inliers), abs=0.02)


def test_at_full_certainty_nothing_is_erased():
    made = fitted(certainty=1.0)
    score, logits, _ = world(99)
    before, segmentation = entering([score], [logits])
    assert torch.equal(made(before, segmentation, torch.zeros(1, 3, *SIZE)), before)


def test_a_segment_on_unlabelled_pixels_is_not_judged():
    score, logits, label = world(3)
    found = find_segments(score, probabilities(logits), 0.7)
    counted, true = judged(found, label)
    assert counted.all()
    assert true.sum() == 1
    label[30:] = IGNORE
    counted, true = judged(found, label)
    assert (counted == true).all()


def shown_one_frame(**options):
    made = MetaClassification(**options)
    made.attach(Named())
    score, logits, label = world(0)
    batch = Batch(torch.zeros(1, 3, *SIZE), torch.from_numpy(label)[None], ("a",))
    made.update(*entering([score], [logits]), batch)
    return made


def test_without_true_or_false_segments_it_says_so():
    made = shown_one_frame(threshold=9.0)
    with pytest.raises(DataError, match="0 true and 0 false segments above 9"):
        made.finish()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"certainty": 0}, "certainty"), ({"lose": -1}, "lose"), ({"by": "forest"}, "boosting")],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        MetaClassification(**options)


def overlapping(seed, count=400, width=20):
    rng = np.random.default_rng(seed)
    true = rng.random(count) < 0.2
    rows = rng.normal(size=(count, width))
    rows[:, 0] += 1.5 * true
    rows[:, 1] *= np.where(true, 3, 1)
    return rows, true


def both_boosted(rows, true, asked, **options):
    """Our answers, scikit-learn's, and its fitted classifier."""
    weight = np.where(true, 0.5 / true.mean(), 0.5 / (~true).mean())
    theirs = GradientBoostingClassifier(
        n_estimators=100, max_depth=3, subsample=0.5, init="zero", random_state=0, **options
    ).fit(rows, ~true, weight)
    ours = BoostingClassifier(rows.shape[1])
    ours.fit(rows, true)
    return ours.falsity(asked), theirs.predict_proba(asked)[:, 1], theirs


def test_boosted_trees_answer_as_scikit_learn_s_do():
    rows, true = overlapping(0)
    # many equal numbers, so that some lie at the thresholds themselves
    rows = np.round(rows, 1).astype(np.float32).astype(float)
    asked = np.round(overlapping(1)[0], 1)
    ours, expected, _ = both_boosted(rows, true, asked, max_features=16, min_samples_leaf=10)
    assert ours == pytest.approx(expected, rel=1e-5, abs=0)


def test_trees_that_end_early_answer_as_scikit_learn_s_do():
    rows, true = overlapping(0, count=24, width=2)
    asked = overlapping(1, width=2)[0]
    ours, expected, theirs = both_boosted(rows, true, asked, max_features=2, min_samples_leaf=1)
    assert ours == pytest.approx(expected, rel=1e-5, abs=0)
    assert min(one.tree_.node_count for one in theirs.estimators_.ravel()) < 15


@pytest.mark.slow
@pytest.mark.parametrize("classifier", [LogisticClassifier, BoostingClassifier])
def test_the_certainty_loses_no_more_true_segments_than_was_asked(classifier):
    made = MetaClassification(
        by="logistic" if classifier is LogisticClassifier else "boosting", lose=0.1
    )
    made.classifier = classifier(20)
    rows, true = overlapping(2, 1000)
    made._seen = [(rows[n : n + 50], true[n : n + 50]) for n in range(0, 1000, 50)]
    certainty = made._certain(rows, true)
    unseen, genuine = overlapping(3, 4000)
    made.classifier.fit(rows, true)
    gone = made.classifier.falsity(unseen) > certainty
    # what is lost varies with the 200 true segments that chose: 0.1 with a deviation of 0.02
    assert gone[genuine].mean() < 0.16
    assert gone[~genuine].mean() > 0.2


def test_too_few_frames_for_a_certainty_are_named():
    made = shown_one_frame()
    with pytest.raises(DataError, match="1 frames, 1 true and 2 false"):
        made.finish()
