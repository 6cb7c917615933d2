"""Whether a run is done, begun, or was made by another config."""

import shutil

import pytest
import torch
import yaml

from roadanomaly.errors import OptionError, UserError
from roadanomaly.leaderboard.state import progress_of
from roadanomaly.leaderboard.work import refuse_changed
from roadanomaly.training.run_folder import RunFolder
from tests.leaderboard.made import STREETS, make_board, make_run, runs_of


@pytest.fixture
def made(tmp_path):
    runs = runs_of(make_board(tmp_path / "board"))
    for name in ("msp_0", "entropy_0"):
        make_run(runs[name])
    return runs


def checkpoint(run, step):
    place = run.folder / "checkpoints" / "last.pt"
    place.parent.mkdir(exist_ok=True)
    torch.save({"step": step}, place)


def test_what_is_there_is_found_again(made):
    assert [progress_of(made[name])[0] for name in ("msp_0", "entropy_0")] == ["done", "done"]
    assert [progress_of(made[name])[0] for name in ("odin_0", "entropy_1")] == ["to do", "to do"]


def test_a_training_is_done_at_its_last_step_and_not_before(made):
    run = made["entropy_0"]
    checkpoint(run, 3)
    assert progress_of(run) == ("begun", "step 3 of 4")
    checkpoint(run, 4)
    assert progress_of(run)[0] == "done"
    shutil.rmtree(run.folder / "model")
    assert progress_of(run)[0] == "begun"


@pytest.mark.parametrize("how", ["flow", "generator"])
def test_what_a_killed_run_kept_on_its_way_is_not_done(tmp_path, how):
    """The first validation saves a flow, perhaps before the first checkpoint."""
    part = {"flow": {"name": "glow"}, "generator": {"name": "spade"}}[how]
    options = {how: part, "train_data": STREETS, "val_data": STREETS, "steps": 4}
    board = make_board(tmp_path, first={"made": {"how": how, "options": options}})
    run = runs_of(board)["made_0"]
    (run.folder / how).mkdir(parents=True)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(run.values))
    assert progress_of(run) == ("begun", "step 0 of 4")
    checkpoint(run, 2)
    assert progress_of(run) == ("begun", "step 2 of 4")
    checkpoint(run, 4)  # of an earlier version, which left no mark
    assert progress_of(run)[0] == "done"
    shutil.rmtree(run.folder / "checkpoints")
    RunFolder(run.folder).finish(4)
    assert progress_of(run)[0] == "done"


def test_a_folder_that_was_moved_holds_the_same_runs(made, tmp_path):
    shutil.move(tmp_path / "board", tmp_path / "elsewhere")
    moved = runs_of(make_board(tmp_path / "elsewhere"))
    assert progress_of(moved["entropy_0"])[0] == "done"


def test_keys_that_change_nothing_are_free_and_others_are_told(made):
    run = made["entropy_0"]
    free = {**run.values, "workers": 3, "accelerator": "cpu", "precision": "32-true"}
    (run.folder / "config.yaml").write_text(yaml.safe_dump(free))
    assert progress_of(run)[0] == "done"
    (run.folder / "config.yaml").write_text(yaml.safe_dump({**free, "lr": 0.25}))
    progress, told = progress_of(run)
    assert progress == "changed"
    assert told == f"`lr` was 0.25 and is {run.values['lr']}"


def changed(tmp_path):
    """Return the runs of a board whose fitted row now asks for something else."""
    fitting = {"data": {"name": "streets", "count": 2}, "false_alarms": 0.05}
    return runs_of(make_board(tmp_path / "board", fitting=fitting))


def refuse(runs, wanted=None, *, retrain):
    refuse_changed(list(runs.values()), runs if wanted is None else wanted, retrain=retrain)


def test_a_changed_recipe_that_is_not_wanted_stands_in_no_way(made, tmp_path):
    refuse(changed(tmp_path), ["entropy_0"], retrain=False)
    refuse(changed(tmp_path), ["entropy_0"], retrain=True)
    assert made["msp_0"].folder.exists()


def test_a_changed_recipe_is_refused_before_anything_runs(made, tmp_path):
    with pytest.raises(
        OptionError, match=r"(?s)msp_0: `false_alarms` was 0.01 and is 0.05.*retrain"
    ):
        refuse(changed(tmp_path), retrain=False)
    assert made["msp_0"].folder.exists()


def test_retrain_deletes_what_was_made_otherwise_and_nothing_else(made, tmp_path):
    refuse(changed(tmp_path), retrain=True)
    assert not made["msp_0"].folder.exists()
    assert made["entropy_0"].folder.exists()


def test_what_was_made_from_a_changed_run_goes_with_it(tmp_path):
    def rows(alarms):
        base = {"how": "fit", "options": {"detector": {"name": "msp"}, "false_alarms": alarms}}
        after = {"how": "fit", "options": {"run": "@base", "detector": {"name": "energy"}}}
        return {"after": after, "base": base}

    for run in runs_of(make_board(tmp_path, rows=rows(0.01), against="")).values():
        make_run(run)
    now = runs_of(make_board(tmp_path, rows=rows(0.02), against=""))
    refuse(now, retrain=True)
    assert [run.folder.exists() for run in now.values()] == [False, False]


def test_a_run_that_somebody_is_at_work_in_is_not_deleted(made, tmp_path, monkeypatch):
    run = made["msp_0"]
    monkeypatch.setattr("roadanomaly.locks.fcntl.lockf", _held)
    with pytest.raises(UserError, match="msp_0"):
        refuse(changed(tmp_path), retrain=True)
    assert run.folder.exists()


def _held(*_):
    raise BlockingIOError
