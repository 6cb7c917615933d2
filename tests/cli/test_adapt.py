"""`roadanomaly adapt` from the command line: a small run, its files, and its refusals."""

from __future__ import annotations

import json

import pytest
import yaml

from roadanomaly.cli.fit import held_out_part
from roadanomaly.data.images import write_image
from roadanomaly.data.streets import Streets


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """Twelve frames of a folder that tests only read."""
    folder = tmp_path_factory.mktemp("drive")
    for frame in Streets("val", count=12, height=48, width=64):
        write_image(folder / f"{frame.id}.png", frame.image.permute(1, 2, 0).numpy())
    return folder


@pytest.mark.slow
def test_a_drive_becomes_a_model_with_its_figures(
    command, model_folder, drive, tmp_path, monkeypatch
):
    from roadanomaly.cli import adapt

    monkeypatch.setattr(adapt, "WORLD", {"name": "streets", "height": 48, "width": 64})
    out = tmp_path / "mine"
    own = "{name: shapes, look: {side: [12, 30]}}"
    words = ("--model", model_folder, "--out", out, "--steps", 2, "--workers", 0)
    code, said, told = command("adapt", drive, *words, "--device", "cpu", "--negatives", own)
    assert code == 0, told
    assert "9 frames to learn from, 3 held out" in told
    assert "only 12 frames" in told
    assert "false objects a frame" in said
    figures = json.loads((out / "adapted.json").read_text())
    assert figures["before"]["frames"] == figures["after"]["frames"] == 3
    assert figures["fps"] is None
    sources = yaml.safe_load((out / "config.yaml").read_text())["negatives"]["sources"]
    assert [one["name"] for one in sources] == ["street_objects", "shapes", "shapes"]
    assert len(list((out / "frames" / "learn").glob("*.png"))) == 9
    assert command("predict", out, drive, "--out", tmp_path / "seen")[0] == 0
    code, _, told = command("adapt", drive, *words)
    assert code == 2
    assert "already holds a run" in told
    assert command("adapt", "--out", out, "--resume")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--out", "mine"), "give at least one drive"),
        (("nowhere.mp4", "--model", "RUN", "--out", "mine"), "names no drive"),
        (("DRIVE", "--model", "nowhere", "--out", "mine"), "no model at"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--frames", "3"), "give at least 8"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--moves", "x"), "one of correction"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--moves", "heads"), "has no parameters"),
        (("DRIVE", "--model", "RUN", "--out", "mine", "--size", "8", "8"), "at least 32 pixels"),
        (
            ("DRIVE", "--model", "RUN", "--out", "mine", "--negatives", "{name: nothing}"),
            "no negative source is called 'nothing'",
        ),
        (
            ("DRIVE", "--model", "RUN", "--out", "mine", "--negatives", "{name: flow}"),
            "these negatives must not learn or follow a network",
        ),
        (
            ("DRIVE", "--model", "RUN", "--out", "mine", "--negatives", "{name: laa}"),
            "these negatives must not learn or follow a network",
        ),
        (("--out", "mine", "--resume"), "holds no adaptation"),
        (("DRIVE", "--out", "mine", "--resume"), "leave them out: the drives."),
        (
            ("--out", "mine", "--resume", "--steps", "5", "--keep", "0.5", "--workers", "0"),
            "leave them out: --steps, --keep, --workers.",
        ),
    ],
)
def test_mistakes_are_told_and_leave_nothing(
    command, model_folder, drive, tmp_path, monkeypatch, words, says
):
    monkeypatch.chdir(tmp_path)
    named = {"DRIVE": drive, "RUN": model_folder}
    code, _, told = command("adapt", *(named.get(word, word) for word in words))
    assert code == 2
    assert says in told
    assert not list((tmp_path / "mine").rglob("*.png"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--false_alarms", 0), "must lie between 0 and 1, not 0"),
        (("--validation_data.name", "nothing"), "no data set is called 'nothing'"),
    ],
)
def test_fit_refuses_what_it_needs_at_its_end_before_it_begins(
    command, model_folder, tmp_path, monkeypatch, words, says
):
    monkeypatch.setattr("roadanomaly.cli.fit.fit", lambda *_: pytest.fail("it has begun"))
    data = ("--data.name", "streets", "--data.count", 2)
    words = ("--run", model_folder, "--detector.name", "mahalanobis", *data, *words)
    code, _, told = command("fit", *words, "--out", tmp_path / "fitted")
    assert code == 2
    assert says in told


def test_a_set_without_splits_sets_the_threshold_itself():
    own = {"name": "folder", "images": "my_frames", "kind": "ordinary"}
    assert held_out_part(own) == own
    assert held_out_part({"name": "streets"}) == {"name": "streets", "split": "val"}


@pytest.mark.slow
def test_fit_takes_ordinary_frames_without_labels(command, model_folder, photos, tmp_path):
    data = ("--data.name", "folder", "--data.images", photos, "--data.kind", "ordinary")
    code, said, told = command("fit", "--run", model_folder, *data, "--out", tmp_path / "mine")
    assert code == 0, told
    assert "of inlier pixels of folder all score above" in said
