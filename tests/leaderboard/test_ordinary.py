"""False components a frame on ordinary frames: counted anew, kept, asked again, and told."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage

from roadanomaly.calibration import Calibration
from roadanomaly.cli.main import main
from roadanomaly.data.streets import Streets
from roadanomaly.detectors import DETECTORS
from roadanomaly.leaderboard import at_once
from roadanomaly.leaderboard.ordinary import false_a_frame, left_on_ordinary, take
from roadanomaly.leaderboard.page import FILES, write_board
from roadanomaly.leaderboard.places import failure_file, ordinary_folder, read_values, write_values
from roadanomaly.leaderboard.plan import plan_of
from roadanomaly.leaderboard.results import read_rows
from roadanomaly.leaderboard.work import Worker
from roadanomaly.model import Model, load
from roadanomaly.segmenters import SEGMENTERS
from tests.leaderboard.made import HELD, make_board, make_evaluation, make_run, runs_of

QUIET = {"name": "streets", "split": "val", "count": 3, "height": 128, "width": 256, "seed": 7}
ORDINARY = {"quiet": {"data": QUIET, "title": "Quiet streets", "frames": 2, "note": "so few."}}
IDS = ["val_0000", "val_0002"]
"""Of three frames the two that are evenly spaced."""
ROWS = {
    "msp": {"how": "fit", "options": {"detector": {"name": "msp"}}, "seeds": [0, 1]},
    "bare": {"how": "fit", "options": {"detector": {"name": "energy"}}},
}
COLUMN = "quiet.false_a_frame"


def board_of_rows(folder, rows=ROWS, **changes):
    return make_board(folder, **{"rows": rows, "against": "", "ordinary": ORDINARY, **changes})


def make_count(board, run, value=1.5, name="quiet", ids=IDS, **more):
    """Leave what `roadanomaly worlds` leaves of a run."""
    held = {"false_a_frame": value, "has_anomalies": False, **more}
    values = {"worlds": {name: {"ids": ids}}, "models": [{"worlds": {name: held}}]}
    write_values(ordinary_folder(board, name, run) / "worlds.json", values)
    return take(board, name, run)


def write(board, folder):
    rows = {row.name: row for row in write_board(board, plan_of(board, folder))}
    return rows, {name: (folder / name).read_text() for name in FILES}


def lines(text):
    return {line["method"]: line for line in csv.DictReader(text.splitlines())}


@pytest.fixture
def counted(tmp_path):
    """A board of which one run was counted."""
    board = board_of_rows(tmp_path)
    run = runs_of(board)["msp_0"]
    make_run(run)
    assert make_count(board, run) == ""
    return board, run


def save_network(run, share):
    """Save an untrained network whose threshold lets so large a share of the first frame through.

    Without a share it has none.
    """
    torch.manual_seed(run.seed)
    detector = DETECTORS.from_spec(run.values["detector"])
    model = Model(SEGMENTERS.from_spec(run.values["segmenter"]), detector).eval()
    if share:
        score = score_of(model, Streets(**without_name())[0])
        level = float(np.quantile(score, 1 - share))
        model.calibration = Calibration((share, 1.0), (level, -1e9), share, score.size, "a street")
    model.save(run.folder / "model", {"config": run.values})


def without_name():
    return {key: one for key, one in QUIET.items() if key != "name"}


def score_of(model, frame):
    return model(frame.image).score


def components_a_frame(run):
    """Count what `predict` would call objects: 8-connected, of at least 500 pixels."""
    model, frames = load(run.folder), Streets(**without_name())
    found = []
    for number in (0, 2):
        above = score_of(model, frames[number]) > model.calibration.threshold
        labelled, _ = ndimage.label(above, np.ones((3, 3)))
        found.append((np.bincount(labelled.ravel())[1:] >= 500).sum())
    return float(np.mean(found))


def in_this_process(words_seen):
    def child(command, _):
        words_seen.append(command.words[0])
        assert main([*command.words]) == 0
        return SimpleNamespace(reason=lambda: "")

    return child


@pytest.mark.slow
def test_a_cell_is_what_connected_pixels_say_and_is_counted_once(tmp_path, monkeypatch, capsys):
    board = board_of_rows(tmp_path)
    runs = runs_of(board)
    for name, share in {"msp_0": 0.3, "msp_1": 0.4, "bare_0": None}.items():
        save_network(runs[name], share)
        make_evaluation(board, runs[name], 1.0)
    asked = []
    monkeypatch.setattr(at_once, "Child", in_this_process(asked))
    worker = Worker(board, list(runs.values()), measuring=False, say=lambda _: None)
    worker.go(runs)
    assert asked == ["worlds"] * 3
    worker.go(runs)
    assert len(asked) == 3
    capsys.readouterr()

    rows, written = write(board, tmp_path)
    counts = [components_a_frame(runs[name]) for name in ("msp_0", "msp_1")]
    assert min(counts) > 0, "the comparison says something"
    assert not rows["msp"].missing
    line = lines(written["leaderboard.csv"])["msp"]
    assert float(line[COLUMN]) == pytest.approx(np.mean(counts))
    deviation = abs(counts[0] - counts[1]) / np.sqrt(2)
    assert float(line[f"{COLUMN}_deviation"]) == pytest.approx(deviation)
    assert lines(written["leaderboard.csv"])["bare"][COLUMN] == ""
    shown = f"{np.mean(counts):.2f} ± {deviation:.2f}"
    assert f"| {shown} |" in written["leaderboard.md"].replace("**", "")
    assert shown in written["leaderboard.html"]
    assert shown.replace("±", r"$\pm$") in written["leaderboard.tex"]


def test_the_column_stands_behind_ap_wherever_ap_is_said(counted, tmp_path, capsys):
    board, run = counted
    make_evaluation(board, run, 1.0)
    config = tmp_path / "board.yaml"
    rows = {**ROWS, "msp": {**ROWS["msp"], "published": "MSP"}}
    given = {**HELD, "rows": rows, "against": "", "ordinary": ORDINARY, "out": str(tmp_path)}
    config.write_text(yaml.safe_dump(given))
    write_board(board, plan_of(board, tmp_path))  # marks the folder as a leaderboard's
    assert main(["leaderboard", str(config), "--out", str(tmp_path / "board"), "--page"]) == 0
    heading = " ".join(capsys.readouterr().out.splitlines()[2].split())
    assert "AP ↑ false/frame, Quiet streets ↓ FPR95 ↓" in heading
    for name in ("leaderboard.md", "leaderboard.html", "order.md"):
        assert "false/frame, Quiet streets" in (tmp_path / "board" / name).read_text()
    assert "Quiet streets: so few." in (tmp_path / "leaderboard.html").read_text()


def test_without_ordinary_sets_there_is_no_column(tmp_path):
    written = write(make_board(tmp_path), tmp_path)[1]
    assert not any("false/frame" in text for text in written.values())


def test_a_count_holds_for_one_model_and_threshold(counted):
    board, run = counted
    assert false_a_frame(board, "quiet", run) == 1.5
    place = run.folder / "model" / "model.json"
    held = json.loads(place.read_text())
    place.write_text(json.dumps({**held, "calibration": {"rate": 0.5}}))
    assert false_a_frame(board, "quiet", run) is None
    place.write_text(json.dumps({**held, "record": {**held["record"], "told": "otherwise"}}))
    assert false_a_frame(board, "quiet", run) == 1.5
    (run.folder / "model" / "weights.safetensors").write_bytes(b"others")
    assert false_a_frame(board, "quiet", run) is None


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({"title": "Others", "note": ""}, True),
        ({"frames": 3}, False),
        ({"size": [64, 128]}, False),
        ({"data": {**QUIET, "seed": 8}}, False),
    ],
)
def test_a_count_holds_for_one_set(counted, tmp_path, change, holds):
    board, run = counted
    now = board_of_rows(tmp_path, ordinary={"quiet": {**ORDINARY["quiet"], **change}})
    assert left_on_ordinary(board, run) == []
    assert (left_on_ordinary(now, run) == []) == holds


def test_frames_that_came_or_went_are_noticed_where_the_set_is_there(tmp_path):
    images = tmp_path / "roads"
    data = {"name": "folder", "images": str(images), "kind": "ordinary"}
    board = board_of_rows(tmp_path / "board", ordinary={"quiet": {"data": data}})
    run = runs_of(board)["msp_0"]
    make_run(run)
    make_count(board, run, ids=["a", "b"])
    assert left_on_ordinary(board, run) == []  # figures of a machine that has the set
    images.mkdir()
    for name in ("a", "b"):
        (images / f"{name}.png").touch()
    assert left_on_ordinary(board, run) == []
    (images / "c.png").touch()
    assert left_on_ordinary(board, run) == ["quiet"]


def test_what_is_left_is_said_of_the_row(counted, tmp_path):
    board = counted[0]
    make_run(runs_of(board)["msp_1"])
    for name in ("msp_0", "msp_1"):
        make_evaluation(board, runs_of(board)[name], 1.0)
    rows = {row.name: row for row in read_rows(board, plan_of(board, tmp_path))}
    assert rows["msp"].missing == "seed 1: not scored on ordinary frames yet"
    assert rows["msp"].ordinary == {"quiet": (1.5,)}
    assert rows["bare"].ordinary == {"quiet": ()}


def test_a_set_that_is_not_there_is_a_rows_reason_and_the_others_are_counted(tmp_path, monkeypatch):
    gone = {"data": {"name": "folder", "images": str(tmp_path / "gone"), "kind": "ordinary"}}
    rows = {"msp": {**ROWS["msp"], "seeds": [0]}}
    board = board_of_rows(tmp_path, rows, ordinary={"gone": gone, **ORDINARY})
    runs = runs_of(board)
    make_run(runs["msp_0"])
    make_evaluation(board, runs["msp_0"], 1.0)

    def child(command, _):
        make_count(board, runs["msp_0"], value=0.5)
        return SimpleNamespace(reason=lambda: "" if "quiet" in command.words else "it was asked")

    monkeypatch.setattr(at_once, "Child", child)
    Worker(board, list(runs.values()), measuring=False, say=lambda _: None).go(runs)
    reason = read_values(failure_file(board, "msp_0"))["reason"]
    assert reason.startswith("on ordinary frames, gone: ")
    assert "take `gone` out of `ordinary`" in reason
    (row,) = read_rows(board, plan_of(board, tmp_path))
    assert row.missing == f"failed: {reason}"
    assert row.ordinary == {"gone": (), "quiet": (0.5,)}
    assert row.scored["streets"]


def test_a_set_with_anomalies_is_no_ordinary_one(counted):
    board, run = counted
    assert "`quiet` of `ordinary` shows anomalies" in make_count(board, run, has_anomalies=True)


def test_a_broken_result_is_none(counted):
    board, run = counted
    (ordinary_folder(board, "quiet", run) / "worlds.json").write_text('{"worlds": [')
    assert left_on_ordinary(board, run) == ["quiet"]


def test_a_plan_says_what_is_to_be_counted(tmp_path, capsys):
    config = tmp_path / "board.yaml"
    config.write_text(yaml.safe_dump({**HELD, "rows": ROWS, "against": "", "ordinary": ORDINARY}))
    out = tmp_path / "board"
    assert main(["leaderboard", str(config), "--out", str(out), "--plan"]) == 0
    told = capsys.readouterr().out
    assert told.count("to be scored on ordinary frames: quiet") == 3
    board = board_of_rows(out)
    run = runs_of(board)["msp_0"]
    make_run(run)
    make_count(board, run)
    assert main(["leaderboard", str(config), "--out", str(out), "--plan"]) == 0
    assert capsys.readouterr().out.count("to be scored on ordinary frames: quiet") == 2


def test_a_set_that_is_not_there_is_told_before_anything_is_made(tmp_path, capsys):
    config = tmp_path / "board.yaml"
    gone = {"name": "folder", "images": str(tmp_path / "nowhere"), "kind": "ordinary"}
    ordinary = {**ORDINARY, "gone": {"data": gone}}
    config.write_text(yaml.safe_dump({**HELD, "rows": ROWS, "against": "", "ordinary": ordinary}))
    assert main(["leaderboard", str(config), "--out", str(tmp_path / "out"), "--plan"]) == 0
    (told,) = [one for one in capsys.readouterr().err.splitlines() if "ordinary" in one]
    assert told.startswith("warning: on ordinary frames, gone: no images were found")
