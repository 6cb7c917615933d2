"""Instance AP against the evaluation of cityscapesscripts on generated frames."""

import numpy as np
import pytest
from PIL import Image

from roadanomaly.errors import DataError, OptionError
from roadanomaly.metrics.instance import Instances, PredictedInstance, average_precision

CAR, VOID, GROUP = 26, 0, 26
SHAPE = (60, 80)


def box(rng, least=2, most=16):
    mask = np.zeros(SHAPE, bool)
    top, left = rng.integers(0, SHAPE[0] - 2), rng.integers(0, SHAPE[1] - 2)
    height, width = rng.integers(least, most, 2)
    mask[top : top + height, left : left + width] = True
    return mask


def frame(seed):
    """Make objects of 1 to 250 pixels, a group, void, and predictions near and far, some tied."""
    rng = np.random.default_rng(seed)
    truth = np.full(SHAPE, 7, np.int32)
    truth[:, :8] = VOID
    for index in range(rng.integers(0, 7)):
        truth[box(rng, 1)] = 1000 * CAR + index
    if rng.random() < 0.5:
        truth[box(rng)] = GROUP
    predicted = []
    for number in np.unique(truth[truth >= 1000]):
        for _ in range(rng.integers(0, 3)):
            mask = np.roll(truth == number, rng.integers(-1, 2, 2), (0, 1))
            mask &= rng.random(SHAPE) < rng.choice([0.7, 0.95, 1.0])
            predicted.append(PredictedInstance(mask, float(rng.integers(1, 9)) / 8))
    strays = [box(rng) for _ in range(rng.integers(0, 5))]
    predicted += [PredictedInstance(mask, float(rng.integers(1, 9)) / 8) for mask in strays]
    return truth, predicted


def official(tmp_path, frames, monkeypatch):
    """Score with the Cityscapes tool as OoDIS sets it: one class, objects from 10 pixels."""
    tool = pytest.importorskip(
        "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling",
        reason="cityscapesscripts is what it is compared with: pip install -e .[dev]",
    )
    monkeypatch.setattr(np, "in1d", np.isin, raising=False)
    monkeypatch.setattr(tool, "writeDict2JSON", lambda content, path: None)
    truths, lists = [], []
    for index, (truth, predicted) in enumerate(frames):
        path = tmp_path / f"town_{index:06d}_000000_gtFine_instanceIds.png"
        Image.fromarray(truth.astype(np.uint16)).save(path)
        lines = []
        for number, one in enumerate(predicted):
            name = f"{index}_{number}.png"
            Image.fromarray(one.mask.astype(np.uint8) * 255).save(tmp_path / name)
            lines.append(f"{name} {CAR} {one.confidence}")
        (tmp_path / f"{index}_pred.txt").write_text("\n".join(lines))
        truths.append(str(path))
        lists.append(str(tmp_path / f"{index}_pred.txt"))
    for key, value in {
        "minRegionSizes": np.array([10, 10, 10]),
        "gtInstancesFile": str(tmp_path / "truth.json"),
        "predictionPath": str(tmp_path),
        "JSONOutput": False,
        "quiet": True,
    }.items():
        monkeypatch.setattr(tool.args, key, value)
    result = tool.evaluateImgLists(lists, truths, tool.args)
    row = result["instLabels"].index("car")
    return np.array(result["resultApMatrix"])[0, row]


def ours(frames, smallest=10):
    metric = Instances(smallest)
    for index, (truth, predicted) in enumerate(frames):
        void = (truth == VOID) | (truth == GROUP)
        metric.update(index, predicted, truth, void)
    return metric.compute()


@pytest.mark.parametrize("seed", range(12))
def test_ap_equals_cityscapes(seed, tmp_path, monkeypatch):
    frames = [frame(100 * seed + index) for index in range(4)]
    theirs = official(tmp_path, frames, monkeypatch)
    result = ours(frames)
    np.testing.assert_allclose(result.ap_at, theirs, rtol=0, atol=1e-9)
    assert 0 < result.ap < result.ap50 <= 1


def one_object(*masks_and_confidences, size=100):
    truth = np.zeros(SHAPE, np.int32)
    truth.ravel()[:size] = 1000
    predicted = []
    for pixels, confidence in masks_and_confidences:
        mask = np.zeros(SHAPE, bool)
        mask.ravel()[:pixels] = True
        predicted.append(PredictedInstance(mask, confidence))
    return truth, predicted


def ap(frames):
    metric = Instances()
    for index, (truth, predicted) in enumerate(frames):
        metric.update(index, predicted, truth)
    return metric.compute()


def test_the_overlap_must_be_larger_than_the_threshold():
    assert ap([one_object((50, 0.5))]).ap50 == 0
    assert ap([one_object((51, 0.5))]).ap50 == 1
    assert ap([one_object((51, 0.5))]).ap == pytest.approx(0.1)


def test_ten_pixels_are_an_object_and_nine_are_ignored():
    assert ap([one_object((10, 0.5), size=10)]).ap == 1
    assert np.isnan(ap([one_object((9, 0.5), size=9)]).ap)


def test_the_surer_of_two_matches_counts():
    sure, unsure = one_object((100, 0.9), (90, 0.1)), one_object((100, 0.1), (90, 0.9))
    assert ap([sure]).ap50 == pytest.approx(1.0)
    assert ap([unsure]).ap50 == ap([sure]).ap50


def test_average_precision_by_hand():
    """One hit at 0.9, a false alarm at 0.5, one object missed: recall 1/2 at precisions 1, 1/2."""
    value = average_precision(np.array([0.9]), np.array([0.5]), missed=1)
    assert value == pytest.approx(0.5 * 0 + 1 * 0.25 + 1 * 0.25)


def test_only_ranks_of_confidences_matter():
    frames = [frame(seed) for seed in range(4)]
    changed = [
        (truth, [PredictedInstance(one.mask, np.exp(7 * one.confidence)) for one in predicted])
        for truth, predicted in frames
    ]
    assert ours(changed).ap == ours(frames).ap


def test_processes_merge_to_the_whole():
    frames = [frame(seed) for seed in range(4)]
    first, second = Instances(), Instances()
    for index, (truth, predicted) in enumerate(frames):
        void = (truth == VOID) | (truth == GROUP)
        (first if index % 2 else second).update(index, predicted, truth, void)
    first.merge(second)
    np.testing.assert_array_equal(first.compute().ap_at, ours(frames).ap_at)


def test_without_predictions_ap_is_zero_and_without_objects_it_is_undefined():
    truth, _ = one_object()
    assert ap([(truth, [])]).ap == 0
    empty = np.zeros(SHAPE, np.int32)
    _, predicted = one_object((50, 0.5))
    assert np.isnan(ap([(empty, predicted)]).ap)
    assert np.isnan(Instances().compute().ap)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: Instances(-1), OptionError, "-1 pixels"),
        (lambda: Instances(1).merge(Instances(2)), OptionError, "from 2 pixels"),
        (
            lambda: Instances().update(0, [], np.zeros((2, 2, 3), int)),
            DataError,
            "instance map has shape",
        ),
        (
            lambda: Instances().update(0, [], np.zeros((2, 2), int), np.zeros((2, 2))),
            DataError,
            "void mask is float64",
        ),
        (
            lambda: Instances().update(
                0, [PredictedInstance(np.zeros((2, 3), bool), 1)], np.zeros((2, 2), int)
            ),
            DataError,
            "predicted object 0",
        ),
        (
            lambda: Instances().update(
                0, [PredictedInstance(np.zeros((2, 2), bool), np.nan)], np.zeros((2, 2), int)
            ),
            DataError,
            "confidence nan",
        ),
    ],
)
def test_mistakes_have_their_message(act, error, words):
    with pytest.raises(error, match=words):
        act()
