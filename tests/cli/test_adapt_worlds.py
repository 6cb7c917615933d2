"""`roadanomaly adapt` shows held-out worlds before and after, and goes on where it was stopped."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch
import yaml

import roadanomaly as ra
from roadanomaly.cli import adapt, worlds_scored
from roadanomaly.cli.adapt_worlds import open_asked
from roadanomaly.cli.worlds_scored import FILES
from roadanomaly.data.images import write_image
from roadanomaly.data.streets import Streets
from roadanomaly.errors import DataError, OptionError
from roadanomaly.evaluation.worlds import open_worlds, score_world
from roadanomaly.refiners import REFINERS
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.adapted import RESULT, Adapted, Figures
from roadanomaly.training.run_folder import RunFolder, differences, plain

WORLDS = """
strange: {data: {name: streets, split: test, count: 3, height: 64, width: 128, seed: 9}}
plain: {data: {name: streets, split: val, count: 2, height: 64, width: 128, seed: 9}}
later: {data: {name: not_written_yet}, missing: skip}
"""


@pytest.fixture
def drive(tmp_path):
    folder = tmp_path / "drive"
    folder.mkdir()
    for frame in Streets("val", count=8, height=48, width=64):
        write_image(folder / f"{frame.id}.png", frame.image.permute(1, 2, 0).numpy())
    return folder


@pytest.fixture
def worlds(tmp_path):
    path = tmp_path / "worlds.yaml"
    path.write_text(WORLDS)
    return path


def adapted(config, *, resume):
    """Leave what an adaptation leaves: a smoothed model, of another segmenter where `all` moves."""
    model, folder = ra.load(config.model), RunFolder(config.out)
    calibration = model.calibration
    model.refine([REFINERS.build("smooth", {})])
    model.calibration = replace(calibration, rate=0.2)
    if config.moves == "all":
        with torch.no_grad():
            next(model.segmenter.parameters()).mul_(1.5)
    model.save(folder.model)
    figures = Figures(0.0, 2.0, 0.1, 0.5, 3, 0.5, 2)
    told = Adapted(figures, figures, 1, 0.1, 0.0, 500)
    (folder.path / RESULT).write_text(json.dumps(told.as_dict()))
    (folder.path / "config.yaml").write_text(yaml.safe_dump(plain(config)))
    folder.finish(config.steps)


@pytest.fixture
def words(model_folder, drive, worlds, tmp_path, monkeypatch):
    """Words of an adaptation that is shown in the worlds of a file; its training is pretended."""
    monkeypatch.setattr(adapt, "carry_out", adapted)
    model = ("--model", model_folder, "--out", tmp_path / "mine", "--device", "cpu")
    return (drive, *model, "--worlds", worlds)


@pytest.fixture
def scored(monkeypatch):
    """Note which models are scored together in which world."""
    seen = []
    whole = worlds_scored.score_together

    def score(models, world, step):
        seen.append((world.name, *models))
        return whole(models, world, step)

    monkeypatch.setattr(worlds_scored, "score_together", score)
    return seen


TOGETHER = [("strange", "before", "after"), ("plain", "before", "after")]
APART = [("strange", "before"), ("strange", "after"), ("plain", "before"), ("plain", "after")]


@pytest.mark.slow
@pytest.mark.parametrize(("moves", "walks"), [("correction", TOGETHER), ("all", APART)])
def test_held_out_worlds_are_shown_before_and_after(
    command, words, model_folder, worlds, tmp_path, monkeypatch, scored, moves, walks
):
    monkeypatch.setattr("roadanomaly.training.adapt_parts._own", lambda *_: [])  # energy has none
    code, said, told = command("adapt", *words, "--moves", moves)
    assert code == 0, told
    assert "held-out worlds: 5 frames are scored at the end" in told
    assert "(strange, plain; data missing for later)" in told
    assert scored == walks
    out = tmp_path / "mine" / "worlds"
    assert said.index("false objects a frame (from") < said.index("held-out worlds")
    assert "note: the world later was left out" in said
    assert (out / "worlds.txt").read_text() in said
    assert {path.name for path in out.iterdir() if path.is_file()} >= set(FILES)
    with (out / "worlds.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["model"] for row in rows] == ["before", "after"]
    for row, folder in zip(rows, (model_folder, tmp_path / "mine"), strict=True):
        strange, plain_one = (score_world(ra.load(folder), one) for one in open_worlds(worlds)[0])
        assert float(row["strange.ap"]) == pytest.approx(strange.ap, rel=1e-5)
        assert float(row["plain.above"]) == pytest.approx(plain_one.above, rel=1e-5)
    assert rows[0]["strange.ap"] != rows[1]["strange.ap"]


def test_without_worlds_there_is_nothing_of_them(command, words, tmp_path, scored):
    code, said, told = command("adapt", *words[:-1], "none")
    assert (code, scored) == (0, [])
    assert "held-out worlds" not in said + told
    assert not (tmp_path / "mine" / "worlds").exists()


@pytest.mark.slow
def test_stopped_in_the_worlds_the_model_is_whole_and_resume_scores_what_is_left(
    command, words, tmp_path, monkeypatch
):
    whole, out = worlds_scored.score_together, tmp_path / "mine"

    def stopped(models, world, step):
        if world.name == "plain":
            raise KeyboardInterrupt
        return whole(models, world, step)

    monkeypatch.setattr(worlds_scored, "score_together", stopped)
    code, said, told = command("adapt", *words)
    assert code == 130
    assert f"interrupted. The adapted model is whole, in {out / 'model'}" in told
    assert f"roadanomaly adapt --out {out} --resume" in told
    assert "false objects a frame" in said
    assert ra.load(out).calibration is not None
    assert not (out / "worlds" / "worlds.txt").exists()

    left = []

    def noted(models, world, step):
        left.append((world.name, *models))
        return whole(models, world, step)

    monkeypatch.setattr(worlds_scored, "score_together", noted)
    monkeypatch.setattr(adapt, "carry_out", lambda *_, **__: pytest.fail("it was adapted again"))
    code, said, told = command("adapt", "--out", out, "--resume")
    assert code == 0, told
    assert left == [("plain", "before", "after")]
    assert (out / "worlds" / "worlds.txt").read_text() in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "the config worlds.yaml cannot be read"),
        ("just words", "must hold a mapping"),
        ("a: {data: {name: streets}, frame: 3}", "which no world has; did you mean `frames`?"),
        ("a: {data: {name: folder, images: nowhere, kind: ordinary}}", "no images were found"),
        ("a: {data: {name: folder, images: drive}}", "it has no label"),
    ],
)
def test_a_file_that_holds_no_worlds_is_refused_before_a_frame_is_taken(
    command, words, tmp_path, monkeypatch, text, says
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adapt, "sample", lambda *_: pytest.fail("frames were taken"))
    path = tmp_path / "worlds.yaml"
    path.write_text(text) if text else path.unlink()
    code, _, told = command("adapt", *words[:-1], path.name)
    assert code == 2
    assert told.startswith("roadanomaly adapt: --worlds worlds.yaml: ")
    assert says in told
    assert "`own` for the package's own, or `none`." in told
    assert not (tmp_path / "mine").exists()


def test_the_files_of_others_in_the_folder_of_the_tables_stay(
    command, words, tmp_path, monkeypatch
):
    monkeypatch.setattr(adapt, "sample", lambda *_: pytest.fail("frames were taken"))
    kept = tmp_path / "mine" / "worlds" / "notes.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("somebody's")
    code, _, told = command("adapt", *words)
    assert (code, "worlds/notes.txt" in told) == (2, True)
    assert kept.read_text() == "somebody's"


def test_of_the_package_s_own_worlds_those_without_data_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    own = open_asked("own")
    assert [world.name for world in own.worlds] == ["streets_301", "streets_302"]
    assert "camvid_pasted" in own.left_out
    assert "24 frames" in own.in_words()
    assert open_asked("none") is None
    with pytest.raises(OptionError, match="--worlds null: the config null cannot be read"):
        open_asked("null")


def resumable(out, **changes):
    """Leave a run that was stopped in its training; it is pretended to be finished on resuming."""
    config = yaml.safe_load((out / "config.yaml").read_text())
    (out / "finished.json").unlink()
    (out / "config.yaml").write_text(yaml.safe_dump({**config, **changes}))


@pytest.mark.parametrize("text", [None, "a: {data: [", "a: {data: {name: folder, images: gone}}"])
def test_worlds_that_are_gone_or_broken_since_stop_no_training(
    command, words, worlds, tmp_path, scored, text
):
    out = tmp_path / "mine"
    assert command("adapt", *words[:-1], "none")[0] == 0
    resumable(out, worlds=str(worlds))
    worlds.write_text(text) if text else worlds.unlink()
    code, said, told = command("adapt", "--out", out, "--resume")
    assert (code, scored) == (0, []), told
    assert "the model is in" in said
    assert (out / "finished.json").exists()
    assert f"warning: --worlds {worlds}: " in told
    assert "The run goes on without; --worlds beside --resume names others." in told


@pytest.mark.slow
def test_worlds_may_be_changed_on_resuming_and_stay_so(
    command, words, worlds, tmp_path, scored, monkeypatch
):
    out = tmp_path / "mine"
    assert command("adapt", *words[:-1], "none")[0] == 0
    code, _, told = command("adapt", "--out", out, "--resume", "--worlds", tmp_path / "nothing")
    assert code == 2
    assert "cannot be read" in told
    resumable(out)
    code, said, told = command("adapt", "--out", out, "--resume", "--worlds", worlds)
    assert (code, scored) == (0, TOGETHER), told
    assert "held-out worlds" in said
    assert yaml.safe_load((out / "config.yaml").read_text())["worlds"] == str(worlds)
    monkeypatch.setattr(adapt, "carry_out", lambda *_, **__: pytest.fail("it was adapted again"))
    code, again, told = command("adapt", "--out", out, "--resume")
    assert code == 0, told
    assert again == said
    code, said, _ = command("adapt", "--out", out, "--resume", "--worlds", "none")
    assert (code, "held-out worlds" in said) == (0, False)


def test_worlds_may_differ_from_those_of_the_checkpoint():
    config = AdaptConfig(
        model="a", out="b", train_data={}, val_data={}, world={}, negatives={}, val_negatives={}
    )
    saved = plain(config)
    others = plain(replace(config, worlds="other.yaml"))
    assert differences(saved, others, AdaptConfig) == {}
    assert set(differences(saved, others | {"keep": 0.5}, AdaptConfig)) == {"keep"}
    del saved["worlds"]  # of a version that knew none
    assert differences(saved, others, AdaptConfig) == {}


def test_an_error_in_the_worlds_says_that_the_model_is_whole(command, words, tmp_path, monkeypatch):
    def broken(*_):
        msg = "frame 3 cannot be read."
        raise DataError(msg)

    monkeypatch.setattr(worlds_scored, "score_together", broken)
    code, said, told = command("adapt", *words)
    out = tmp_path / "mine"
    assert code == 2
    assert "the model is in" in said
    assert "frame 3 cannot be read. The adapted model is whole, in " + str(out / "model") in told
    assert f"roadanomaly adapt --out {out} --resume shows them" in told
