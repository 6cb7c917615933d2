"""An evaluation replaces an older evaluation, whole or not at all, and nothing of anybody else."""

from __future__ import annotations

import dataclasses
import json

import pytest

from roadanomaly.errors import UserError
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.findings import load_findings, save_findings
from roadanomaly.evaluation.folder import REPLACED, EvaluationFolder
from roadanomaly.files import write_text
from roadanomaly.ledger import LEDGER
from tests.evaluation.scenes import Drawn, Scenes, job
from tests.keeping.killed import Killed, Killer


@pytest.fixture(scope="module")
def found():
    return evaluate(job(Drawn(size=20), Scenes(2)))[0]


def draw(folder, word):
    write_text(folder / "pictures" / "set" / "a.png", word)
    write_text(folder / "frames" / "set" / "image" / "a.jpg", word)


def write_page(new, word):
    write_text(new / "report.html", word)
    write_text(new / "results.csv", word)


def publish(path, found, word, ready=True):
    out = EvaluationFolder(path)
    if ready:
        out.require_usable()
        draw(out.result("key"), word)
    named = dataclasses.replace(found, detector=word)
    out.publish([named], {"made": word}, ["key"], lambda new: write_page(new, word))


def look(path):
    """Return the words that a result is made of: one if it is whole and of one evaluation."""
    words = {json.loads((path / "record.json").read_text())["made"]}
    words |= {one.detector for one in load_findings(path)}
    (numbers,) = json.loads((path / "metrics.json").read_text()).values()
    words |= numbers["detectors"].keys()
    drawn = ("pictures/set/a.png", "frames/set/image/a.jpg", "report.html", "results.csv")
    words |= {(path / one).read_text() for one in drawn}
    return words


def test_killed_at_any_point_of_publishing_the_next_start_has_one_of_both_whole(found, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        counter = Killer(patch)
        publish(tmp_path / "whole", found, "old")
        EvaluationFolder(tmp_path / "whole").require_usable()
        draw(EvaluationFolder(tmp_path / "whole").result("key"), "new")
        counter.count = 0
        publish(tmp_path / "whole", found, "new", ready=False)
        steps = counter.count
    assert look(tmp_path / "whole") == {"new"}
    seen = set()
    for at in (0, steps // 3, *range(steps - 26, steps, 4)):
        path = tmp_path / str(at)
        publish(path, found, "old")
        EvaluationFolder(path).require_usable()
        draw(EvaluationFolder(path).result("key"), "new")
        with pytest.MonkeyPatch.context() as patch:
            Killer(patch, at)
            with pytest.raises(Killed):
                publish(path, found, "new", ready=False)
        EvaluationFolder(path).require_usable()
        (word,) = look(path)
        seen.add(word)
        if word == "old":  # the pictures of the frames that were scored are still there
            publish(path, found, "new", ready=False)
            assert look(path) == {"new"}
    assert seen == {"old", "new"}


def test_a_full_disk_while_it_publishes_leaves_the_old_result(found, tmp_path, monkeypatch):
    publish(tmp_path, found, "old")
    EvaluationFolder(tmp_path).require_usable()

    def full(new):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="the scored frames are kept"):
        EvaluationFolder(tmp_path).publish([found], {}, [], full)
    EvaluationFolder(tmp_path).require_usable()
    assert look(tmp_path) == {"old"}


@pytest.mark.parametrize("name", [*REPLACED[:3], *REPLACED[3:]])
def test_somebody_elses_files_of_these_names_are_kept(found, tmp_path, name):
    path = tmp_path / name
    own = path if "." in name else path / "holiday.jpg"
    write_text(own, "of the user")
    with pytest.raises(UserError, match=rf"holds {own.relative_to(tmp_path)}, which this command"):
        EvaluationFolder(tmp_path).require_usable()
    assert own.read_text() == "of the user"


def test_a_file_put_into_a_result_afterwards_is_kept(found, tmp_path):
    publish(tmp_path, found, "old")
    write_text(tmp_path / "pictures" / "notes.txt", "of the user")
    with pytest.raises(UserError, match=r"holds pictures/notes\.txt"):
        EvaluationFolder(tmp_path).require_usable()


@pytest.mark.parametrize("name", ["frames/holiday.jpg", "pictures/set/a.png", "report.html"])
@pytest.mark.parametrize("first", [True, False], ids=["onto an older one", "into an empty folder"])
def test_a_file_put_there_while_an_evaluation_runs_is_kept(found, tmp_path, name, first):
    if first:
        publish(tmp_path, found, "old")
        name = name.replace("/a.png", "/b.png").replace("report.html", "pictures/notes.txt")
    out = EvaluationFolder(tmp_path)
    out.require_usable()
    draw(out.result("key"), "new")
    write_text(tmp_path / name, "of the user")
    with pytest.raises(UserError, match=f"holds {name}, .* scored frames are kept: move it away"):
        publish(tmp_path, found, "new", ready=False)
    assert (tmp_path / name).read_text() == "of the user"
    assert not first or look(tmp_path) == {"old"}
    (tmp_path / name).rename(tmp_path / "mine")
    publish(tmp_path, found, "new", ready=False)
    assert look(tmp_path) == {"new"}
    assert (tmp_path / "mine").read_text() == "of the user"


def test_a_result_that_lists_nothing_is_known_by_its_findings(found, tmp_path):
    """As versions before wrote it: folder by folder, pictures without a set, no list."""
    save_findings(tmp_path, found)
    frame = found.per_frame[0].id
    base = tmp_path / "frames" / found.set
    for path in (
        tmp_path / "pictures" / f"{frame}.png",
        tmp_path / "pictures" / f"{frame}_{found.detector}.png",
        base / "image" / f"{frame}.jpg",
        base / "truth" / f"{frame}.png",
        base / "score" / found.detector / f"{frame}.json",
        *(tmp_path / name for name in ("record.json", "metrics.json", "results.csv")),
    ):
        write_text(path, "old")
    assert not (tmp_path / LEDGER).exists()
    EvaluationFolder(tmp_path).require_usable()
    write_text(tmp_path / "pictures" / "holiday.png", "of the user")
    with pytest.raises(UserError, match=r"holds pictures/holiday\.png"):
        EvaluationFolder(tmp_path).require_usable()
    (tmp_path / "pictures" / "holiday.png").unlink()
    publish(tmp_path, found, "new")
    assert look(tmp_path) == {"new"}
    assert not (tmp_path / "pictures" / f"{frame}.png").exists()
