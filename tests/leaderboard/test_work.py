"""What goes on where something fails."""

from types import SimpleNamespace

import pytest

from roadanomaly.leaderboard import at_once
from roadanomaly.leaderboard.places import failure_file, read_values
from roadanomaly.leaderboard.work import Worker
from tests.leaderboard.made import make_board, make_run, runs_of

ROWS = {
    "base": {"how": "fit", "options": {"detector": {"name": "msp"}}},
    "pair": {"how": "fit", "options": {"run": "@base", "detector": {"name": "energy"}}},
}


@pytest.mark.parametrize(("fails", "made"), [("measure", True), ("evaluate", True), ("fit", False)])
def test_a_run_that_was_made_serves_others_whatever_failed_after_it(
    tmp_path, monkeypatch, fails, made
):
    board = make_board(tmp_path, rows=ROWS, against="")
    runs = runs_of(board)

    def child(command, _):
        words = (command.module.rpartition(".")[2], *command.words)
        asked = next(one for one in ("measure", "evaluate", "fit") if one in words)
        base = any("base_0" in word for word in words)
        reason = "no memory was left" if asked == fails and base else ""
        if asked == "fit" and not reason:
            make_run(runs["base_0" if base else "pair_0"])
        return SimpleNamespace(reason=lambda: reason)

    monkeypatch.setattr(at_once, "Child", child)
    Worker(board, list(runs.values()), say=lambda _: None).go(runs)
    assert (runs["pair_0"].folder / "model").exists() == made
    failures = {path.stem for path in failure_file(board, "x").parent.iterdir()}
    told = {"measure": {"base_0_measured"}, "evaluate": {"base_0"}, "fit": {"base_0", "pair_0"}}
    assert failures == told[fails]
    reasons = [read_values(failure_file(board, name))["reason"] for name in failures]
    assert all("no memory was left" in reason for reason in reasons)


@pytest.mark.slow
def test_costs_can_be_left_to_another_call(tmp_path, monkeypatch):
    board = make_board(tmp_path, rows=ROWS, against="")
    runs = runs_of(board)
    asked: list[str] = []

    def child(command, _):
        asked.append("measure" if command.module.endswith("measure") else command.words[0])
        if command.words[0] == "fit":
            make_run(runs["base_0" if "base_0" in command.words[1] else "pair_0"])
        return SimpleNamespace(reason=lambda: "")

    monkeypatch.setattr(at_once, "Child", child)
    Worker(board, list(runs.values()), measuring=False, say=lambda _: None).go(runs)
    assert set(asked) == {"fit", "evaluate"}
    asked.clear()
    Worker(board, list(runs.values()), say=lambda _: None).go(runs)
    assert asked.count("measure") == 3  # the segmenter alone, and both rows
    assert "fit" not in asked
