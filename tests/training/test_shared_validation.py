"""A validation that several processes share is the one that a single process makes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
import yaml

import roadanomaly
from roadanomaly.detectors.resynthesis.uncertainty import RangeScale
from roadanomaly.training import detector_task, engine
from roadanomaly.training.engine import MeetingPoint, build_fabric
from roadanomaly.training.loop import Trainer
from tests.training import runs
from tests.training.pair import trained

FIVE = {**runs.STREETS, "split": "val", "count": 5}


def trainer(path, **changes):
    return Trainer(runs.config(path, val_data=FIVE, **changes))


def parts_of(path):
    """Return a validator and a model that may score, though it has learned nothing."""
    one = trainer(path)
    one.task.model.detector.ready = True
    return one.task.parts.validator, one.task.model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("scored", [True, False])
def test_parts_together_are_the_whole(scored, tmp_path):
    validator, model = parts_of(tmp_path / "run")
    whole = validator.run(model, scored=scored)
    parts = [validator.examine(model, range(rank, 5, 3), scored=scored) for rank in range(3)]
    again = validator.sum_up(pickle.loads(pickle.dumps(parts)))
    assert again.values == pytest.approx(whole.values, nan_ok=True, abs=0)
    if scored:
        assert np.array_equal(again.sheet, whole.sheet)
        assert np.array_equal(again.curve.precision, whole.curve.precision)


@pytest.mark.slow
def test_a_share_may_be_empty(tmp_path):
    validator, model = parts_of(tmp_path / "run")
    parts = [validator.examine(model, range(rank, 5, 7)) for rank in range(7)]
    assert validator.sum_up(parts).values == validator.run(model).values


@pytest.mark.slow
def test_half_precision_in_validations_is_told_at_the_end(tmp_path, capsys):
    folder = trainer(tmp_path / "run", steps=1, validate_every=0, val_precision="bf16").run()
    told = capsys.readouterr().err
    line = next(line for line in told.splitlines() if "validated in bf16" in line)
    best = roadanomaly.load(folder)
    validator = trainer(tmp_path / "other").task.parts.validator
    exact = validator.run(best).values
    best.precision = "bf16"
    half = validator.run(best).values
    assert f"AP {100 * half['ap']:.2f} ({100 * exact['ap']:.2f} in float32)" in line
    assert f"mIoU {100 * half['miou']:.2f} ({100 * exact['miou']:.2f} in float32)" in line


@pytest.mark.slow
def test_two_processes_find_what_one_finds_of_their_model(tmp_path):
    changes = {"crop": [32, 48], "steps": 1, "validate_every": 1, "val_data": FIVE}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**runs.SMALLEST, **changes, "out": str(tmp_path / "run")}))
    (first, said), (second, told) = trained(path)
    assert (first, second) == (0, 0), said + told
    table = np.genfromtxt(tmp_path / "run" / "validation.csv", delimiter=",", names=True)
    validator = trainer(tmp_path / "other").task.parts.validator
    alone = validator.run(roadanomaly.load(tmp_path / "run")).values
    for key in ("miou", "ap", "fpr95", "auroc"):
        assert table[key][-1] == pytest.approx(alone[key], rel=1e-5)


def test_what_is_kept_as_plain_values_is_shared_over_the_processor(monkeypatch):
    """The group of a GPU reaches no tensor of the CPU, as those of plain values are."""
    first, other = RangeScale([0.0], [1.0]), RangeScale([0.0], [1.0])
    first.update(torch.rand(2, 1, 4, 4))
    sent = iter(first.state_dict().values())
    point = MeetingPoint(build_fabric(runs.config("nowhere", precision="32-true")))
    point.group = object()

    def broadcast(tensor, source, group=None):
        assert group is point.group
        tensor.copy_(next(sent))

    monkeypatch.setattr(engine.dist, "broadcast", broadcast)
    monkeypatch.setattr(point, "agree", lambda **_: False)
    point.share(other)
    assert other.images == 2
    assert torch.equal(other.high, first.high)


def test_the_statistics_of_a_saved_model_are_float32(tmp_path, monkeypatch):
    one, seen = trainer(tmp_path / "run", val_precision="bf16"), []
    passes = detector_task.run_passes
    monkeypatch.setattr(
        detector_task,
        "run_passes",
        lambda model, *given, **named: (
            seen.append(model.precision),
            passes(model, *given, **named),
        ),
    )
    one.task.prepare(quiet=True)
    one.task.before_validation(1, quiet=True)
    assert seen == ["f32", "f32"]
    assert one.task.model.precision == "bf16"
