"""`roadanomaly worlds` from a config to its files, twice, and with mistakes."""

import json

import pytest

import roadanomaly as ra
from roadanomaly.cli.worlds_scored import FILES

CONFIG = """
strange: {data: {name: streets, split: test, count: 3, height: 64, width: 128, seed: 9}}
plain: {data: {name: streets, split: val, count: 2, height: 64, width: 128, seed: 9}}
later: {data: {name: not_written_yet}, missing: skip}
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "worlds.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def bare(model_folder, tmp_path):
    """The same segmenter without a threshold."""
    model = ra.load(model_folder)
    model.calibration = None
    model.save(tmp_path / "bare" / "model")
    return tmp_path / "bare"


@pytest.mark.slow
def test_models_are_ranked_and_what_was_scored_is_kept(
    command, model_folder, bare, config, tmp_path
):
    words = ("--config", config, "--out", tmp_path / "out", "--device", "cpu")
    code, out, err = command("worlds", model_folder, bare, *words)
    assert (code, err) == (0, "")
    assert "mean rank" in out
    assert "the world later was left out" in out
    assert "bare has no threshold" in out
    held = json.loads((tmp_path / "out" / "worlds.json").read_text(), parse_constant=pytest.fail)
    assert list(held["worlds"]) == ["strange", "plain"]
    assert held["worlds"]["strange"]["ids"] == ["test_0000", "test_0001", "test_0002"]
    assert list(held["left_out"]) == ["later"]
    first, second = held["models"]
    assert (first["model"], second["model"]) == ("run", "bare")
    assert first["worlds"]["strange"]["ap"] == second["worlds"]["strange"]["ap"]
    assert second["worlds"]["plain"]["false_a_frame"] is None
    assert (first["mean_rank"], second["mean_rank"]) == (1.25, 1.75)  # a tie, then first and last
    assert first["threshold"] == ra.load(model_folder).calibration.threshold

    code, again, err = command("worlds", model_folder, *words)
    assert code == 0
    assert "2 results of" in err
    assert out.splitlines()[1].split()[3:] == again.splitlines()[1].split()[3:]
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_file()} >= set(FILES)


@pytest.mark.slow
def test_another_threshold_is_scored_anew(command, model_folder, config, tmp_path):
    model = ra.load(model_folder)
    words = ("--config", config, "--out", tmp_path / "out", "--only", "plain", "--device", "cpu")
    model.save(tmp_path / "m")
    assert command("worlds", tmp_path / "m", *words)[2] == ""
    assert "1 results" in command("worlds", tmp_path / "m", *words)[2]
    model.calibration = None
    model.save(tmp_path / "m")
    assert command("worlds", tmp_path / "m", *words)[2] == ""


def test_mistakes_are_refused(command, model_folder, config, tmp_path):
    words = (model_folder, "--config", config, "--out", tmp_path / "out")
    code, _, err = command("worlds", *words, "--only", "plane")
    assert (code, "`plain`" in err) == (2, True)
    code, _, err = command("worlds", tmp_path / "none", "--config", config, "--out", tmp_path / "o")
    assert (code, "no model at" in err) == (2, True)
    code, _, err = command("worlds", model_folder, "--config", tmp_path / "no", "--out", tmp_path)
    assert (code, "cannot be read" in err) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "worlds.md").write_text("somebody's")
    code, _, err = command("worlds", model_folder, "--config", config, "--out", tmp_path / "other")
    assert (code, "worlds.md" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--alarms", "abc"), "--alarms abc: give numbers of false objects a frame"),
        (("--alarms", "0.1,0"), "--alarms 0.1,0: give numbers"),
        (("--alarms", "0.1", "--model", "fast"), "thresholds of one model, and 2 were named"),
    ],
)
def test_alarms_that_cannot_be_found_are_refused_before_any_work(
    command, model_folder, config, tmp_path, words, said
):
    out = tmp_path / "out"
    code, _, err = command("worlds", model_folder, "--config", config, "--out", out, *words)
    assert (code, said in err) == (2, True)
    assert not out.exists()


def test_alarms_without_an_ordinary_world_are_refused_before_any_is_scored(
    command, model_folder, config, tmp_path, monkeypatch
):
    monkeypatch.setattr("roadanomaly.cli.worlds._score", lambda *_: pytest.fail("it was scored"))
    words = ("--config", config, "--out", tmp_path / "out", "--only", "strange", "--alarms", "0.1")
    code, _, err = command("worlds", model_folder, *words)
    assert (code, "no world is ordinary" in err, "each of strange shows one" in err) == (2, 1, 1)
