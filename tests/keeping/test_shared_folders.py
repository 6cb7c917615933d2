"""Commands that are told the same `--out`: none destroys what another one left there."""

from __future__ import annotations

import json

import pytest

from roadanomaly.cli.main import main
from roadanomaly.errors import UserError
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.folder import EvaluationFolder
from roadanomaly.files import write_text
from roadanomaly.ledger import Ledger
from roadanomaly.swap import new_result, refuse_kept
from roadanomaly.training.run_folder import RunFolder
from tests.evaluation.scenes import Drawn, Scenes, job
from tests.training import runs


@pytest.fixture(scope="module")
def found():
    return evaluate(job(Drawn(size=20), Scenes(2)))[0]


def begun(path):
    """A training that has begun in a folder."""
    RunFolder(path).begin(runs.config(path), {"command": "x", "started": "x", "packages": {}})
    return (path / "record.json").read_bytes()


def test_an_evaluation_leaves_a_run_as_it_is(tmp_path):
    record = begun(tmp_path)
    with pytest.raises(
        UserError, match=r"holds a run of `train`.*\(config\.yaml\).*another folder"
    ):
        EvaluationFolder(tmp_path).require_usable()
    assert (tmp_path / "record.json").read_bytes() == record
    assert not (tmp_path / ".partial").exists()


def test_an_evaluation_leaves_the_frames_of_drives_as_they_are(tmp_path):
    Ledger(tmp_path).claim(["frames/", "adapted.json"])
    write_text(tmp_path / "frames" / "learn" / "a.png", "of a drive")
    with pytest.raises(UserError, match="holds the frames that `adapt` took"):
        EvaluationFolder(tmp_path).require_usable()
    assert (tmp_path / "frames" / "learn" / "a.png").read_text() == "of a drive"


def test_the_command_ends_with_the_sentence_before_anything_is_opened(tmp_path, capsys):
    begun(tmp_path)
    words = ("--scores", tmp_path / "maps", "--on", "smiyc-anomaly", "--out", tmp_path)
    assert main(["evaluate", *map(str, words)]) == 2
    assert "holds a run of `train`" in capsys.readouterr().err


def test_a_run_leaves_an_evaluation_as_it_is(tmp_path, found):
    out = EvaluationFolder(tmp_path)
    out.require_usable()
    out.publish([found], {"of": "an evaluation"}, [])
    with pytest.raises(UserError, match=r"holds an evaluation .*\(metrics\.json\)"):
        begun(tmp_path)
    assert json.loads((tmp_path / "record.json").read_text()) == {"of": "an evaluation"}
    out.require_usable()


def test_what_was_moved_away_is_in_nobodys_way(tmp_path):
    begun(tmp_path)
    (tmp_path / "config.yaml").unlink()
    EvaluationFolder(tmp_path).require_usable()
    assert (tmp_path / ".partial" / "here").exists()


def test_scored_frames_are_refused_and_rests_are_not(tmp_path):
    (new_result(tmp_path) / "half").touch()
    (tmp_path / ".partial" / "of no frame").mkdir()
    refuse_kept(tmp_path)
    write_text(tmp_path / ".partial" / "key" / "000000.npz", "scored")
    with pytest.raises(UserError, match=r"unfinished `evaluate` has scored \(\.partial/key\)"):
        refuse_kept(tmp_path)
