"""A model's result in a world against the metrics of scores that are taken by hand."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from roadanomaly.calibration import calibrate
from roadanomaly.cli.worlds_scored import Entry, score_entries
from roadanomaly.data.base import FrameSet
from roadanomaly.detectors import DETECTORS
from roadanomaly.evaluation.worlds import World, open_world, score_together, score_world
from roadanomaly.evaluation.worlds.kept import keep, key_of, place_of, read_kept
from roadanomaly.metrics import Alarms, score_frames
from roadanomaly.model import Model
from roadanomaly.segmenters import SEGMENTERS
from roadanomaly.types import INLIER, NEGATIVE, Frame
from tests.contracts.toy import ToySegmenter


class Painted(FrameSet):
    """Red roads with dark squares: on every frame a stain that is ordinary, on some an object."""

    source = "made up"
    licence = "none"
    classes = ()

    def __init__(self, count=4, objects=True):
        self.count, self.objects = count, objects

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError(index)
        rng = np.random.default_rng(index)
        image = torch.zeros(3, 96, 160, dtype=torch.uint8)
        image[0] = torch.from_numpy(rng.integers(190, 256, (96, 160), dtype=np.uint8))
        label = torch.full((96, 160), INLIER, dtype=torch.uint8)
        image[:, 60:90, 10 : 30 + 5 * index] = 70
        if self.objects and index < self.count - 1:
            image[:, 10:40, 90:130] = 40
            label[10:40, 90 : 130 + 4 * index] = NEGATIVE
        return Frame(f"painted_{index}", image, label)

    def record(self):
        return {"name": "painted", "count": self.count}


def toy(name="max_logit", rate=0.1):
    model = Model(ToySegmenter(), DETECTORS.build(name))
    inliers = [score_of(model, frame)[frame.truth.numpy() == 0] for frame in Painted(3)]
    model.calibration = calibrate(inliers, rate, "painted roads")
    return model


def score_of(model, frame):
    return model(frame.image).score


@pytest.fixture(scope="module")
def model():
    return toy()


def test_a_world_with_anomalies(model):
    world = World("painted", Painted())
    found = score_world(model, world)
    maps = [(score_of(model, frame), frame.truth.numpy()) for frame in world.frames]
    expected, alarms = score_frames(maps, mode="exact"), Alarms(model.calibration.threshold)
    for number, (score, label) in enumerate(maps):
        alarms.update(number, score, label)
    counted = alarms.compute()
    assert (found.ap, found.fpr95, found.f1) == tuple(expected[k] for k in ("ap", "fpr95", "f1"))
    assert (found.world, found.frames, found.has_anomalies) == ("painted", 4, True)
    assert found.objects == counted.objects == 3
    assert (found.found, found.false_a_frame) == (counted.recall, counted.false_a_frame)
    assert counted.false
    assert counted.found
    inliers = np.concatenate([score[label == 0] for score, label in maps])
    assert found.above == (inliers > model.calibration.threshold).mean()


def test_an_ordinary_world_has_false_components_alone(model):
    found = score_world(model, World("painted", Painted(objects=False)))
    assert not found.has_anomalies
    assert found.objects == 0
    assert np.isnan([found.ap, found.fpr95, found.f1, found.found]).all()
    assert found.false_a_frame == 1  # the stain of each frame
    assert found.clean == 0


def test_a_model_without_a_threshold_is_scored_as_far_as_that_goes():
    model = Model(ToySegmenter(), DETECTORS.build("max_logit"))
    found = score_world(model, World("painted", Painted()))
    assert found.ap > 0.1
    assert np.isnan([found.threshold, found.found, found.false_a_frame, found.clean]).all()


def test_the_smallest_rate_that_the_data_can_tell_is_a_threshold_too():
    model = toy(rate=1e-9)
    found = score_world(model, World("painted", Painted()))
    assert found.threshold == model.calibration.threshold
    maps = [(score_of(model, frame), frame.truth.numpy()) for frame in Painted()]
    inliers = np.concatenate([score[label == 0] for score, label in maps])
    assert found.above == (inliers > found.threshold).mean()


def test_models_of_one_segmenter_together_are_scored_as_alone():
    models = {name: toy(name) for name in ("max_logit", "entropy")}
    world, steps = World("painted", Painted()), []
    together = score_together(models, world, lambda: steps.append(1))
    assert len(steps) == 4
    for name, model in models.items():
        alone = score_world(model, world)
        assert replace(together[name], ms=0) == replace(alone, ms=0)


def test_scoring_leaves_the_weights_as_they_were(model):
    before = {key: value.clone() for key, value in model.networks.state_dict().items()}
    model.networks.train()  # as a fine-tuning may leave it
    score_world(model, World("painted", Painted(2)))
    assert not model.segmenter.training
    after = model.networks.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_a_result_is_kept_and_read_back(model, tmp_path):
    result = score_world(model, World("painted", Painted(objects=False)))
    keep(tmp_path / "kept.json", result)
    np.testing.assert_equal(asdict(read_kept(tmp_path / "kept.json")), asdict(result))
    assert read_kept(tmp_path / "none.json") is None
    (tmp_path / "kept.json").write_text("{")
    assert read_kept(tmp_path / "kept.json") is None


def test_the_key_follows_what_a_result_depends_on(model):
    options = {"data": {"name": "streets", "split": "test", "count": 2, "height": 64, "width": 128}}
    world = open_world("streets", options)
    key = key_of(model, world)
    assert key == key_of(toy(), open_world("streets", options))
    others = [
        key_of(toy(rate=0.2), world),
        key_of(toy("entropy"), world),
        key_of(model, open_world("streets", {**options, "size": [32, 64]})),
        key_of(model, open_world("streets", {"data": {**options["data"], "seed": 1}})),
    ]
    with torch.no_grad():
        changed = toy()
        changed.segmenter.classifier.bias += 0.1
    others.append(key_of(changed, world))
    assert len({key, *others}) == 6


@pytest.mark.parametrize("names", [("msp", "energy"), ("max_logit", "entropy")])
def test_the_key_tells_detectors_without_options_and_calibration(names):
    """Their weights are empty, so that nothing but the name tells them apart."""
    world = World("painted", Painted(1))
    one, other = (Model(ToySegmenter(), DETECTORS.build(name)) for name in names)
    assert one.head.detector.options() == other.head.detector.options()
    assert key_of(one, world) != key_of(other, world)


def test_models_of_equal_weights_and_other_windows_are_scored_each_by_itself(tmp_path, monkeypatch):
    monkeypatch.setitem(SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    spec = {"name": "sliding", "segmenter": {"name": "toy"}}
    entries = [
        Entry(str(side), "", Model(SEGMENTERS.from_spec({**spec, "window": (side, side)}), msp))
        for side in (32, 64)
        for msp in [DETECTORS.build("msp")]
    ]
    world = World("painted", Painted(2))
    rows = score_entries(entries, [world], tmp_path)
    for row, entry in zip(rows, entries, strict=True):
        alone = score_world(entry.model, world)
        assert row.results["painted"].ap == alone.ap
        kept = read_kept(place_of(tmp_path, world, key_of(entry.model, world)))
        assert kept.ap == alone.ap
    assert rows[0].results["painted"].ap != rows[1].results["painted"].ap
