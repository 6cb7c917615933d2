"""What a run keeps beside its weights: the moving average, checkpoints and CSV tables."""

from __future__ import annotations

import resource

import pytest
import torch
from torch import nn

from roadanomaly.errors import DataError, UserError
from roadanomaly.metrics.pixel import PixelOfficial
from roadanomaly.training.average import WeightAverage
from roadanomaly.training.checkpoint import load_checkpoint, save_checkpoint
from roadanomaly.training.log import CsvTable, RunLog


def test_average_is_the_weighted_sum_of_its_definition():
    module, decay = nn.BatchNorm1d(2), 0.6
    average = WeightAverage(module, decay)
    expected = module.weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            module.weight.add_(torch.randn(2))
        module.num_batches_tracked += 1
        average.update(module)
        keep = min(decay, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * module.weight.detach()
        torch.testing.assert_close(average.state["weight"], expected)
    assert average.state["num_batches_tracked"] == 20


def test_average_of_constant_weights_is_they():
    module = nn.Linear(3, 2)
    average = WeightAverage(module, 0.9)
    for _ in range(5):
        average.update(module)
    torch.testing.assert_close(average.state["weight"], module.weight.detach())
    with torch.no_grad():
        module.weight.zero_()
    assert average.state["weight"].abs().sum() > 0


def test_average_goes_on_where_it_was():
    torch.manual_seed(0)
    module = nn.Linear(2, 2)
    one = WeightAverage(module, 0.7)
    one.update(module)
    two = WeightAverage(nn.Linear(2, 2), 0.7)
    two.load_state_dict(one.state_dict())
    with torch.no_grad():
        module.weight.mul_(3)
    one.update(module)
    two.update(module)
    assert two.count == one.count == 2
    assert torch.equal(one.state["weight"], two.state["weight"])


def test_a_checkpoint_comes_back(tmp_path):
    path = tmp_path / "new" / "last.pt"
    state = {"step": 3, "weights": {"a": torch.randn(4)}, "config": "{}", "average": None}
    save_checkpoint(path, state)
    found = load_checkpoint(path)
    assert torch.equal(found.pop("weights")["a"], state.pop("weights")["a"])
    assert found == state
    assert [item.name for item in path.parent.iterdir()] == ["last.pt"]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})
    path.with_suffix(".partial").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"last\.pt cannot be written: .*[Ss]pace"):
        save_checkpoint(path, {"step": 2, "weights": torch.zeros(100_000)})
    assert load_checkpoint(path)["step"] == 1
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("room", [1_000, 200_000, 321_000])
def test_a_disk_that_is_full_in_the_middle_of_a_checkpoint_leaves_the_last_one(tmp_path, room):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(UserError, match=r"last\.pt cannot be written: File too large"):
            save_checkpoint(path, {"step": 2, "weights": [torch.zeros(20_000) for _ in range(6)]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(path)["step"] == 1
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]


def test_a_write_that_fails_half_way_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})

    def fail(_, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"step": 2})
    assert load_checkpoint(path)["step"] == 1


def test_no_checkpoint_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"nothing to resume: .* Start without --resume"):
        load_checkpoint(tmp_path / "last.pt")


@pytest.mark.parametrize("part", ["empty", "half", "noise", "word"])
def test_a_broken_checkpoint_is_named(tmp_path, part):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"weights": torch.randn(1000)})
    content = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "half": content[:2000], "noise": b"no", "word": b"broken"}[part]
    )
    with pytest.raises(DataError, match=r"last\.pt is broken"):
        load_checkpoint(path)


def test_no_code_runs_from_a_checkpoint(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "trace"), "w"))

    torch.save({"step": Evil()}, tmp_path / "last.pt")
    with pytest.raises(DataError, match="broken"):
        load_checkpoint(tmp_path / "last.pt")
    assert not (tmp_path / "trace").exists()


def test_a_table_is_cut_back_to_the_step_that_is_resumed(tmp_path):
    path = tmp_path / "metrics.csv"
    table = CsvTable(path, 0)
    for step in range(1, 6):
        table.add({"step": step, "loss": step / 2})
    table = CsvTable(path, 3)
    table.add({"step": 4, "loss": 9.0})
    assert path.read_text().split() == ["step,loss", "1,0.5", "2,1.0", "3,1.5", "4,9.0"]
    CsvTable(path, 0)
    assert path.read_text().strip() == ""


def test_what_a_validation_does_not_define_is_not_said(tmp_path, capsys):
    log = RunLog(tmp_path, steps=1, start=0)
    values = {"miou": 0.25, "ap": float("nan")}
    log.validate(0, values, PixelOfficial().compute(), None)
    said = "".join(capsys.readouterr())
    assert "validation at step 0: miou 25.00\n" in said
    assert (tmp_path / "validation.csv").read_text().splitlines() == ["step,miou,ap", "0,0.25,nan"]


def test_the_time_left_counts_from_the_first_step(tmp_path, capsys, monkeypatch):
    now = iter([0.0, 600.0, 620.0])  # made; begun after a pass over the frames; 10 steps later
    monkeypatch.setattr("roadanomaly.training.log.time.perf_counter", lambda: next(now))
    log = RunLog(tmp_path, steps=40, start=0)
    log.begin()
    log.train(10, {"loss": 1.0})
    assert "step 10/40  loss 1  1.0 min left\n" in "".join(capsys.readouterr())
