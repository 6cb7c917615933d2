"""A place that cannot be written is refused before the work whose results would go there."""

import pytest

from roadanomaly.evaluation.findings import save_findings
from tests.layouts import smiyc_anomaly
from tests.report.made import make_findings, make_frames, make_scores
from tests.video.clips import write_clip

STREETS = ("--data.count", "2", "--data.height", "64", "--data.width", "96")
WORK = {
    "pack": "roadanomaly.cli.pack.compare",
    "compare": "roadanomaly.cli.compare.compare",
    "fit": "roadanomaly.cli.fit.calibrate",
    "mine": "roadanomaly.cli.mine.mine_here",
    "evaluate": "roadanomaly.cli.evaluate._run",
    "adapt": "roadanomaly.cli.adapt.sample",
    "export model": "roadanomaly.cli.export_model.export",
    "export submission": "roadanomaly.cli.export_submission.Export.run",
    "label": "roadanomaly.cli.label.Teacher.label",
    "predict": "roadanomaly.cli.predict.write_result",
    "worlds": "roadanomaly.cli.worlds._score",
}
"""The function of each command that takes long."""


@pytest.fixture
def words(model_folder, photos, tmp_path):
    """Return the words of each command, without its output."""
    model, streets = str(model_folder), ("--on", "streets", *STREETS)
    clip = write_clip(tmp_path / "clip.mp4", 2)
    submission = ("--for", "smiyc-anomaly", "--incomplete", "--root")
    return {
        "pack": (model, "--limit", "1", *STREETS),
        "compare": _two_evaluations(tmp_path),
        "fit": ("--run", model, "--data.name", "streets", *STREETS),
        "mine": (model, clip),
        "evaluate": (model, *streets),
        "adapt": (photos, "--model", model, "--frames", "8"),
        "export model": (model, "--to", "torchscript", "--size", "64x96", *streets),
        "export submission": (model, *submission, smiyc_anomaly(tmp_path / "root")),
        "label": (photos, "--segmenter.name", "espnetv2", "--segmenter.scale", "0.5"),
        "predict": (model, photos),
        "worlds": (model,),
    }


def _two_evaluations(place):
    frames = make_frames(2)
    for name, strength in (("a", 1.0), ("b", 4.0)):
        save_findings(place / name, make_findings(frames, make_scores(frames, strength)))
    return (place / "a", place / "b")


@pytest.mark.slow
@pytest.mark.parametrize("name", WORK)
def test_the_place_is_looked_at_first(name, words, command, tmp_path, monkeypatch):
    worked = []
    monkeypatch.setattr(WORK[name], lambda *given, **_: worked.append(given))
    (tmp_path / "file").write_text("kept")
    code, _, err = command(*name.split(), *words[name], "--out", tmp_path / "file" / "out")
    assert not worked
    assert code == 2
    assert "written" in err
    assert str(tmp_path / "file" / "out") in err
    assert (tmp_path / "file").read_text() == "kept"
