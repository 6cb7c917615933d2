"""A run that is killed inside a checkpoint's write goes on from the one before, to the same end."""

from __future__ import annotations

import pytest
import torch

from roadanomaly.training import checkpoint
from roadanomaly.training.checkpoint import load_checkpoint, save_checkpoint
from roadanomaly.training.loop import Trainer
from tests.keeping.killed import Killed, Killer
from tests.training import runs

OLD, NEW = {"step": 1, "weights": torch.zeros(5000)}, {"step": 2, "weights": torch.ones(5000)}


class Torn:
    """`torch.save` that is killed when it has written a share of the bytes.

    Args:
        share: of the n-th file.
        at: the number of that file; all others are written whole.
    """

    def __init__(self, share, at=1):
        self.share, self.left, self.save = share, at, torch.save

    def __call__(self, state, file):
        self.save(state, file)
        self.left -= 1
        if self.left == 0:
            file.truncate(int(self.share * file.tell()))
            raise Killed


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999, 1.0])
def test_a_kill_within_the_bytes_leaves_the_older_checkpoint(share, tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "last.pt"
    save_checkpoint(path, OLD)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.torch, "save", Torn(share))
        with pytest.raises(Killed):
            save_checkpoint(path, NEW)
    assert load_checkpoint(path)["step"] == 1
    save_checkpoint(path, NEW)
    assert torch.equal(load_checkpoint(path)["weights"], NEW["weights"])
    assert [one.name for one in path.parent.iterdir()] == ["last.pt"]


def test_a_kill_before_the_new_name_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, OLD)
    with monkeypatch.context() as patch:
        Killer(patch, 0)
        with pytest.raises(Killed):
            save_checkpoint(path, NEW)
    assert load_checkpoint(path)["step"] == 1


EACH = {"checkpoint_every": 1, "validate_every": 2}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from start to end; tests only read it."""
    return Trainer(runs.config(tmp_path_factory.mktemp("runs") / "whole", **EACH)).run()


@pytest.mark.slow
@pytest.mark.parametrize(("at", "share"), [(2, 0.3), (4, 0.9)])
def test_the_run_goes_on_to_the_same_end(at, share, whole, tmp_path, monkeypatch):
    torn = runs.config(tmp_path / "torn", **EACH)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.torch, "save", Torn(share, at))
        with pytest.raises(Killed):
            Trainer(torn).run()
    assert load_checkpoint(tmp_path / "torn" / "checkpoints" / "last.pt")["step"] == at - 1
    Trainer(torn, resume=True).run()
    runs.assert_equal_runs(whole, tmp_path / "torn")
