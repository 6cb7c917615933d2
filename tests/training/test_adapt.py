"""Adapting in a toy world whose roads have a kerb that the model takes for an anomaly."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import roadanomaly
from roadanomaly.calibration import calibrate
from roadanomaly.data.images import write_image
from roadanomaly.errors import NotCalibrated, OptionError
from roadanomaly.model import Model
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.shapes import Shapes
from roadanomaly.refiners import REFINERS
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.adapt_measure import Examined, highest_threshold, lowest_threshold
from roadanomaly.training.adapt_parts import (
    load_calibrated,
    negatives_to_learn,
    note_negatives,
    prepare_model,
)
from roadanomaly.training.adapt_step import mean_of_largest, near
from roadanomaly.training.adapted import Adapted, Figures
from roadanomaly.training.loop import Trainer
from tests.contracts import toy
from tests.contracts.built import ENCODER

STREETS = {"name": "streets", "height": 48, "width": 64, "count": 2}
KERB = (0, 0, 140)
"""Colour of what is ordinary here and was never seen in training."""


@pytest.fixture(autouse=True)
def known_toy(monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")


def road(seed, kerb=True):
    """Stripes of the three known colours, and a kerb across them."""
    rng = np.random.default_rng(seed)
    stripes = np.eye(3)[rng.integers(0, 3, 12).repeat(8)] * 255
    image = np.broadcast_to(stripes, (64, 96, 3)) + rng.normal(0, 6, (64, 96, 3))
    if kerb:
        top = int(rng.integers(8, 48))
        image[top : top + 9, 8:88] = np.array(KERB) + rng.normal(0, 6, (9, 80, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def strange(folder, colours):
    """Write one square object of each colour, cut out."""
    rng = np.random.default_rng(1)
    for number, colour in enumerate(colours):
        pixels = np.clip(np.array(colour) + rng.normal(0, 6, (30, 30, 3)), 0, 255).astype(np.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        alpha = np.full((30, 30, 1), 255, np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), np.concatenate([pixels[..., ::-1], alpha], 2))
    return {"name": "paste", "root": str(folder), "min_area": 0, "look": LOOK}


LOOK = {"count": [1, 2], "side": [10, 18], "colour_match": [0, 0]}


@pytest.fixture
def world(tmp_path):
    """Frames of the drives, and a model whose threshold suits roads without a kerb."""
    for part, count in (("learn", 12), ("held_out", 6)):
        for number in range(count):
            seed = number + 100 * len(part)
            write_image(tmp_path / "frames" / part / f"{number:02}.png", road(seed))
    model = Model(
        toy.ToySegmenter(),
        roadanomaly.detector("energy"),
        refiners=[REFINERS.build("smooth", {"window": 3})],
    )
    seen = [model(road(seed, kerb=False)).score.ravel() for seed in range(4)]
    known = calibrate(seen, 0.01, "toy")
    named = {"low": known.threshold_at(0.004), "normal": known.threshold}
    model.calibration = known.with_sensitivities(named)
    model.save(tmp_path / "run" / "model")
    return tmp_path


def config(world, out="mine", **changes):
    own = {"name": "folder", "kind": "ordinary"}
    learn = {**own, "images": str(world / "frames/learn"), "share": 0.75}
    learned = strange(world / "learned", [(90, 90, 90), (110, 80, 50), (30, 25, 20)])
    others = strange(world / "others", [(70, 70, 60), (100, 90, 80)])
    given = {
        "model": str(world / "run"),
        "out": str(world / out),
        "train_data": {"name": "union", "sets": [learn, {**STREETS, "share": 0.25}]},
        "val_data": {**own, "images": str(world / "frames/held_out")},
        "world": {**STREETS, "split": "test"},
        "negatives": learned,
        "val_negatives": others,
        "near": 3,
        "crop": (48, 64),
        "scale": (1.0, 1.0),
        "jitter": 0.0,
        "degrade": 0.0,
        "steps": 100,
        "lr": 2e-2,
        "validate_every": 50,
        "least": 20,
        "fps": 10.0,
        "workers": 0,
        "accelerator": "cpu",
    }
    return AdaptConfig(**{**given, **changes})


def counted(folder, frames):
    """Count the objects of a saved model on pictures, by its own threshold."""
    model = roadanomaly.load(folder)
    model.min_area = 20
    return sum(len(model(frame).components) for frame in frames)


@pytest.mark.slow
def test_what_is_ordinary_here_is_no_object_afterwards_and_strange_things_still_are(world):
    folder = Trainer(config(world)).run()
    new = [road(seed) for seed in range(900, 910)]
    assert counted(world / "run", new) >= 10
    assert counted(folder, new) <= 1
    obstructed = [frame.copy() for frame in new]
    for frame in obstructed:
        frame[20:40, 40:60] = (60, 60, 70)
    model = roadanomaly.load(folder)
    assert sum(model(frame).mask[20:40, 40:60].mean() > 0.5 for frame in obstructed) >= 9
    told = json.loads((folder / "adapted.json").read_text())
    before, after = told["before"], told["after"]
    assert before["false_objects"] >= 1
    assert after["false_objects"] <= before["false_objects"] / 3
    assert after["recall"] >= before["recall"] - 0.03
    assert before["false_objects_an_hour"] == pytest.approx(36000 * before["false_objects"])
    assert told["warnings"] == []
    threshold = model.calibration.threshold
    assert threshold == pytest.approx(after["threshold"], abs=1e-3)
    named = model.calibration.sensitivities
    assert named["normal"] == pytest.approx(threshold, abs=1e-3)
    assert named["low"] > threshold
    assert (folder / "worst.png").exists()


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(world, monkeypatch):
    whole = Trainer(config(world, steps=6, validate_every=3, checkpoint_every=2)).run()
    shorter = config(world, "stopped", steps=6, validate_every=3, checkpoint_every=2)

    def stop(trainer, step, batches, update=Trainer.update):
        if step == 5:
            raise RuntimeError("the plug")
        return update(trainer, step, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", stop)
        with pytest.raises(RuntimeError, match="plug"):
            Trainer(shorter).run()
    again = Trainer(shorter, resume=True).run()
    weights = [load_file(one / "model" / "weights.safetensors") for one in (whole, again)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    told = [json.loads((one / "adapted.json").read_text()) for one in (whole, again)]
    assert told[0]["before"] == told[1]["before"]
    assert told[0]["after"] == told[1]["after"]


@pytest.mark.slow
def test_only_the_correction_moves_unless_more_is_asked_for(world):
    folder = Trainer(config(world, steps=2, validate_every=0)).run()
    before, after = (
        load_file(one / "model" / "weights.safetensors") for one in (world / "run", folder)
    )
    assert all(torch.equal(one, after[key]) for key, one in before.items())
    added = {key.split(".")[2] for key in after.keys() - before.keys()}
    assert added <= {"scales", "projections", "last"}


@pytest.mark.slow
def test_a_model_that_was_adapted_before_keeps_its_correction(world):
    folder = Trainer(config(world, steps=2, validate_every=0)).run()
    model = roadanomaly.load(folder)
    learning = prepare_model(model, config(world))
    assert [type(one).__name__ for one in model.head.refiners] == ["Correction", "Smooth"]
    assert {id(one) for one in learning} == {id(p) for p in model.head.refiners[0].parameters()}


def test_of_a_detector_no_frozen_encoder_moves(world):
    detector = roadanomaly.detector("reverse_distillation", encoder=ENCODER)
    model = Model(toy.ToySegmenter(), detector)
    learning = {id(one) for one in prepare_model(model, config(world, moves="heads"))}
    frozen = {id(one) for one in detector.source.encoder.parameters()}
    assert learning
    assert not learning & frozen


@pytest.mark.parametrize("moves", ["correction", "heads", "all"])
def test_tables_say_what_an_adaptation_learned_from(world, moves):
    model = Model(toy.ToySegmenter(), roadanomaly.detector("densehybrid"))
    model.detector.trained_on = "synthetic negatives"
    prepare_model(model, config(world, moves=moves))
    note_negatives(model, "negatives", config(world, moves=moves))
    own = "synthetic negatives" if moves == "correction" else "negatives"
    assert model.detector.learned_from == own
    assert model.head.learned_from == "negatives"
    assert model.segmenter.learned_from == ("negatives" if moves == "all" else "none")


def test_what_cannot_be_adapted_says_what_can_be_done(world):
    model = roadanomaly.load(world / "run")
    with pytest.raises(OptionError, match=r"`energy` \(kind posthoc\) has no parameters"):
        prepare_model(model, config(world, moves="heads"))
    with pytest.raises(OptionError, match="--moves all: `energy`"):
        prepare_model(model, config(world, moves="all"))
    for moves in ("correction", "heads"):
        asking = Model(toy.ToySegmenter(), roadanomaly.detector("odin"))
        with pytest.raises(OptionError, match=r"`odin` does not score from one plain pass"):
            prepare_model(asking, config(world, moves=moves))
    model.calibration = None
    model.save(world / "bare" / "model")
    with pytest.raises(NotCalibrated, match="calibrate it first"):
        load_calibrated(str(world / "bare"))
    with pytest.raises(OptionError, match="`moves` must be one of"):
        config(world, moves="wheels")


@pytest.mark.parametrize("moves", ["correction", "heads", "all"])
@pytest.mark.parametrize("name", ["p_value", "meta_classification"])
def test_no_model_is_adapted_behind_a_refiner_that_was_fitted_to_its_scores(world, name, moves):
    model = Model(toy.ToySegmenter(), roadanomaly.detector("densehybrid"))
    model.refine([REFINERS.build(name, {})])
    with pytest.raises(OptionError, match=f"the refiner `{name}` is fitted to the scores") as told:
        prepare_model(model, config(world, moves=moves))
    assert "its threshold alone can be set on your frames: `roadanomaly fit" in str(told.value)


@pytest.mark.parametrize("recall", [1.0, 0.75, 0.5, 0.1])
def test_the_threshold_is_the_highest_that_keeps_the_recall(recall):
    middles = np.random.default_rng(0).normal(size=40).astype(np.float32)
    found = highest_threshold(middles, recall)
    assert (middles > found).mean() >= recall
    higher = middles[middles > found].min()
    assert (middles > higher).mean() < recall
    assert highest_threshold([], recall) is None


def test_the_goal_sets_the_lowest_threshold_that_reaches_it():
    scores = np.random.default_rng(0).normal(size=(4, 60, 80)).astype(np.float32)
    for frame, height in enumerate((5, 6, 7, 8)):
        scores[frame, 10:20, 10:30] = height
    found = Examined(scores=dict(enumerate(scores)))
    threshold = lowest_threshold(found, 0.5, 100)
    assert sum(found.false_objects(threshold, 100).values()) <= 2
    assert sum(found.false_objects(4.5, 100).values()) == 4
    assert threshold < 7


def test_pixels_near_a_negative_are_left_out():
    mask = torch.zeros(1, 20, 30, dtype=torch.bool)
    mask[0, 8, 11] = True
    rows, columns = np.nonzero(near(mask, 3)[0].numpy())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 11, 8, 14)
    assert len(rows) == 49


def test_the_largest_count_once_more():
    values = torch.arange(200.0).view(2, 10, 10)
    mask = values < 100
    assert mean_of_largest(values, mask, 0.03).item() == pytest.approx((99 + 98 + 97) / 3)
    assert mean_of_largest(values, values < 0, 0.03).item() == 0


def figures(**changes):
    given = {
        "threshold": 1.0,
        "false_objects": 12.0,
        "false_pixels": 0.1,
        "recall": 0.9,
        "objects": 50,
        "world_ap": float("nan"),
        "frames": 20,
    }
    return Figures(**{**given, **changes})


def test_figures_come_back_from_json_and_losses_are_told():
    worse = figures(recall=0.8, false_objects=14.0)
    told = Adapted(figures(), worse, 3, 1.5, 25.0, 500)
    again = Adapted.from_dict(json.loads(json.dumps(told.as_dict())))
    assert again.as_dict() == told.as_dict()
    assert "1,080,000" in told.in_words()
    assert "fell by 10.0 points" in told.in_words()
    assert "no fewer false objects" in told.in_words()
    fine = Adapted(figures(), figures(false_objects=1.0), 3, 1.5, 0.0, 500)
    assert fine.warnings() == []
    assert "frames a second" not in fine.in_words()
    assert "--fps would tell" in fine.in_words()


class Repainted(Shapes):
    """Shapes that would keep the label below them."""

    keeps_labels = True


def test_negatives_that_keep_their_labels_are_refused_in_a_mixture_too(monkeypatch):
    path = f"{Repainted.__module__}:Repainted"
    monkeypatch.setitem(NEGATIVES.entries, "repainted", path)
    both = {"name": "mixture", "sources": [{"name": "shapes"}, {"name": "repainted"}]}
    assert not NEGATIVES.from_spec(both).keeps_labels
    for spec in ({"name": "repainted"}, both):
        with pytest.raises(OptionError, match="these keep the label of what they change"):
            negatives_to_learn(spec)
    assert negatives_to_learn({"name": "shapes"}).stage == "loader"
