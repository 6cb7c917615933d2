"""Page and tables against numbers that are taken another way."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import yaml

from roadanomaly.cli.main import main
from roadanomaly.leaderboard.page import FILES, write_board
from roadanomaly.leaderboard.places import evaluation_folder, failure_file, write_values
from roadanomaly.leaderboard.plan import plan_of
from roadanomaly.leaderboard.results import read_rows
from roadanomaly.leaderboard.tables import order_of
from roadanomaly.leaderboard.work import Worker
from roadanomaly.report.published import published
from tests.leaderboard.made import (
    HELD,
    make_all,
    make_board,
    make_evaluation,
    make_measurement,
    make_run,
    runs_of,
)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return make_all(tmp_path_factory.mktemp("board"))


@pytest.fixture(scope="module")
def written(board, tmp_path_factory):
    write_board(board, plan_of(board, tmp_path_factory.mktemp("recipes")))
    return {name: (plan_folder(board) / name).read_text() for name in FILES}


def plan_folder(board):
    return next(iter(runs_of(board).values())).folder.parents[1]


def lines(written):
    return {
        line["method"]: line for line in csv.DictReader(written["leaderboard.csv"].splitlines())
    }


def stored(board, name):
    """Read a run's numbers from the file that an evaluation keeps."""
    places = (plan_folder(board) / "evaluations" / "streets" / name).glob("findings/*/*.json")
    return json.loads(next(places).read_text())["official"]


@pytest.mark.slow
def test_a_cell_is_the_mean_over_seeds_with_its_deviation(board, written):
    line = lines(written)["Trained entropy"]
    for metric in ("ap", "fpr95", "auroc", "siou"):
        values = np.array([stored(board, f"entropy_{seed}")[metric] for seed in (0, 1)])
        mean = values.sum() / 2
        deviation = np.sqrt(((values - mean) ** 2).sum())  # n - 1 = 1
        assert float(line[metric]) == pytest.approx(mean, abs=1e-12)
        assert float(line[f"{metric}_deviation"]) == pytest.approx(deviation, abs=1e-12)
    assert line["seeds"] == "2.0"
    assert lines(written)["odin"]["ap_deviation"] == ""


@pytest.mark.slow
def test_rows_stand_by_their_ap(written):
    values = [float(line["ap"]) for line in lines(written).values()]
    assert values == sorted(values, reverse=True)


@pytest.mark.slow
def test_the_rank_correlation_is_that_of_the_places(board, tmp_path):
    rows = read_rows(board, plan_of(board, tmp_path))
    papers = {row.method: row.numbers["ap"] for row in published("smiyc-anomaly")}
    ours = [stored(board, f"{name}_0")["ap"] for name in ("msp", "odin", "sml")]
    theirs = [papers[name] for name in ("MSP", "ODIN", "SML")]
    places = [np.argsort(np.argsort(-np.array(one))) for one in (ours, theirs)]
    steps = ((places[0] - places[1]) ** 2).sum()
    assert order_of(rows, "streets").correlation == pytest.approx(1 - 6 * steps / (3 * (9 - 1)))


@pytest.mark.slow
def test_images_and_parameters_are_those_of_the_rows_own_trainings(written):
    assert float(lines(written)["Trained entropy"]["images"]) == 4 * 2
    assert float(lines(written)["Trained entropy"]["trained"]) == 1_500_000
    assert float(lines(written)["odin"]["images"]) == 0
    assert float(lines(written)["odin"]["ms_over"]) == pytest.approx(30)
    assert float(lines(written)["odin"]["mb_over"]) == pytest.approx(30)


@pytest.mark.slow
def test_known_classes_are_of_all_seeds_and_costs_name_their_machine(written):
    line = lines(written)["Trained entropy"]
    assert float(line["miou"]) == pytest.approx(0.55)
    assert float(line["miou_deviation"]) == pytest.approx(0.1 / np.sqrt(2))
    assert line["chosen"] == "streets val by known classes"
    assert lines(written)["odin"]["chosen"] == ""
    assert "measured on a loom" in written["leaderboard.html"]


def test_a_difference_is_that_of_the_first_seeds(board, written):
    line = lines(written)["Trained entropy"]
    step = stored(board, "entropy_0")["ap"] - stored(board, "msp_0")["ap"]
    assert float(line["step"]) == pytest.approx(step, abs=2e-3)
    assert float(line["ap_low"]) < float(line["ap"]) < float(line["ap_high"])
    assert float(line["step_low"]) <= float(line["step"]) <= float(line["step_high"])
    assert line["verdict"] == "better"
    assert lines(written)["msp"]["verdict"] == ""


@pytest.mark.parametrize("name", ["leaderboard.html", "leaderboard.md", "leaderboard.tex"])
def test_every_row_is_in_every_form_with_what_it_learned_from_and_lacks(written, name):
    for title in ("msp", "odin", "sml", "Trained entropy"):
        assert title in written[name]
    assert "inliers, pasted objects" in written[name]
    assert "seed 2: not made yet" in written[name]
    assert "said in the row" in written[name]


def test_the_page_needs_nothing_else_and_shows_the_same_frames_to_all(written):
    page = written["leaderboard.html"]
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    shown = re.findall(r'alt="([^"]+), (street_\d+)"', page)
    frames = {name: [frame for row, frame in shown if row == name] for name, _ in shown}
    assert len(frames) == 5
    assert set(map(tuple, frames.values())) == {("street_001", "street_003")}


def test_writing_again_changes_nothing(board, written, tmp_path):
    write_board(board, plan_of(board, tmp_path))
    for name, text in written.items():
        assert (plan_folder(board) / name).read_text() == text


@pytest.mark.slow
def test_a_failure_is_a_row_with_its_reason(tmp_path):
    board = make_board(tmp_path)
    runs = runs_of(board)
    make_run(runs["odin_0"])
    make_evaluation(board, runs["odin_0"], 1.0)
    write_values(failure_file(board, "sml_0"), {"reason": "no memory was left"})
    rows = {row.name: row for row in write_board(board, plan_of(board, tmp_path))}
    assert rows["sml"].missing == "failed: no memory was left"
    assert rows["msp"].missing == "not made yet"
    assert not rows["odin"].missing
    assert "failed: no memory was left" in (tmp_path / "leaderboard.html").read_text()
    table = lines({"leaderboard.csv": (tmp_path / "leaderboard.csv").read_text()})
    assert table["odin"]["images"] == "0.0"
    assert table["msp"]["images"] == ""  # what it would see is no figure


def test_figures_of_a_model_that_is_there_no_more_are_not_shown(tmp_path):
    board = make_board(tmp_path)
    run = runs_of(board)["odin_0"]
    make_run(run)
    make_evaluation(board, run, 1.0)
    (run.folder / "model" / "weights.safetensors").write_bytes(b"others")
    rows = {row.name: row for row in read_rows(board, plan_of(board, tmp_path))}
    assert rows["odin"].missing == "not evaluated yet"
    assert not rows["odin"].scored["streets"]


def test_costs_of_a_model_that_is_there_no_more_are_not_shown(tmp_path):
    board = make_board(tmp_path)
    run = runs_of(board)["odin_0"]
    make_run(run)
    make_measurement(board, run)

    def row():
        return read_rows(board, plan_of(board, tmp_path))[1]

    assert row().measured["scored_ms"] == 130
    (run.folder / "model" / "weights.safetensors").write_bytes(b"others")
    assert (row().measured, row().miou, row().machine) == ({}, (), "")
    shutil.rmtree(run.folder)
    assert row().measured == {}


def test_a_row_whose_measuring_failed_says_so(tmp_path):
    board = make_board(tmp_path)
    run = runs_of(board)["odin_0"]
    make_run(run)
    make_evaluation(board, run, 1.0)
    write_values(failure_file(board, "odin_0_measured"), {"reason": "no memory was left"})
    row = read_rows(board, plan_of(board, tmp_path))[1]
    assert row.missing.endswith("known classes failed: no memory was left")
    assert row.scored["streets"]


def test_what_a_set_s_figures_are_is_said_beside_them(tmp_path):
    sets = {"streets": {**HELD["sets"]["streets"], "note": "it chose the checkpoints."}}
    board = make_board(tmp_path, sets=sets)
    run = runs_of(board)["odin_0"]
    make_run(run)
    make_evaluation(board, run, 1.0, warnings=("half of its frames are black.",))
    write_board(board, plan_of(board, tmp_path))
    page, table = (tmp_path / name for name in ("leaderboard.html", "leaderboard.csv"))
    assert "Streets: it chose the checkpoints." in page.read_text()
    assert "half of its frames are black" in page.read_text()
    line = lines({"leaderboard.csv": table.read_text()})["odin"]
    assert line["remark"] == "half of its frames are black"


def test_an_evaluation_that_was_deleted_is_a_row_without_figures(tmp_path):
    board = make_board(tmp_path)
    run = runs_of(board)["odin_0"]
    make_run(run)
    make_evaluation(board, run, 1.0)
    shutil.rmtree(evaluation_folder(board, "streets", run))
    rows = {row.name: row for row in read_rows(board, plan_of(board, tmp_path))}
    assert rows["odin"].missing == "not evaluated yet"


@pytest.mark.parametrize("option", [(), ("--plan",), ("--page",), ("--retrain",)])
@pytest.mark.parametrize("name", [FILES[0], "configs/msp_0.yaml", "runs/msp_0/model/model.json"])
def test_a_folder_of_somebody_else_is_left_as_it_is(option, name, tmp_path, monkeypatch, capsys):
    config, out = tmp_path / "board.yaml", tmp_path / "board"
    config.write_text(yaml.safe_dump({**HELD, "out": str(out)}))
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("{}")
    monkeypatch.setattr(Worker, "go", lambda *_: pytest.fail("work was done"))
    assert main(["leaderboard", str(config), *option]) == 2
    assert f"no folder of a leaderboard, and holds {name.split('/')[0]}" in capsys.readouterr().err
    assert [path for path in out.rglob("*") if path.is_file()] == [out / name]
    assert (out / name).read_text() == "{}"


def test_a_folder_that_was_planned_is_a_leaderboards(tmp_path, monkeypatch, capsys):
    config, out = tmp_path / "board.yaml", tmp_path / "board"
    config.write_text(yaml.safe_dump({**HELD, "out": str(out)}))
    out.mkdir()
    (out / ".DS_Store").write_bytes(b"of a file browser")
    worked = []
    monkeypatch.setattr(Worker, "go", lambda *given: worked.append(given))
    assert main(["leaderboard", str(config), "--plan"]) == 0
    assert "entropy_0: " in capsys.readouterr().out
    assert main(["leaderboard", str(config), "--plan", "--only", "msp"]) == 0
    assert "entropy_0: " not in capsys.readouterr().out
    assert main(["leaderboard", str(config), "--plan", "--only", "mps"]) == 2
    assert not worked
    assert main(["leaderboard", str(config)]) == 0
    assert len(worked) == 1
    capsys.readouterr()


def test_a_run_of_another_config_is_a_row_without_figures(tmp_path):
    board = make_board(tmp_path)
    run = runs_of(board)["entropy_0"]
    make_run(run)
    make_evaluation(board, run, 1.0)
    (run.folder / "config.yaml").write_text(yaml.safe_dump({**run.values, "steps": 5}))
    rows = {row.name: row for row in read_rows(board, plan_of(board, tmp_path))}
    assert rows["entropy"].missing.startswith("seed 0: made by another config: `steps` was 5")
    assert not rows["entropy"].scored["streets"]
