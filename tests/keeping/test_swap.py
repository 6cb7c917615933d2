"""A result that is put in its place: killed at any point there is the old or the new one, whole."""

from __future__ import annotations

import json

import pytest

from roadanomaly.errors import UserError
from roadanomaly.files import write_text
from roadanomaly.swap import finish, new_result, settle, swap
from tests.keeping.killed import Killed, Killer

REPLACED = ("a", "b.txt", "gone")


def everything(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


OLD = {"a/x": "old", "a/y": "old", "b.txt": "old", "gone": "old", "mine.txt": "of the user"}
NEW = {"a/x": "new", "b.txt": "new", "c/deep/z": "new", "mine.txt": "of the user"}


def older(folder):
    for name, text in OLD.items():
        write_text(folder / name, text)


def newer(folder):
    new = new_result(folder)
    for name in ("a/x", "b.txt", "c/deep/z"):
        write_text(new / name, "new")


def test_the_new_result_takes_the_place_of_the_old_one_and_nothing_else(tmp_path):
    older(tmp_path)
    newer(tmp_path)
    assert {k: v for k, v in everything(tmp_path).items() if not k.startswith(".")} == OLD
    swap(tmp_path, REPLACED)
    assert everything(tmp_path) == NEW


@pytest.mark.parametrize("first", [True, False], ids=["onto an older one", "into an empty folder"])
def test_killed_at_any_point_the_next_start_has_one_of_both_whole(tmp_path, first):
    with pytest.MonkeyPatch.context() as patch:
        counter = Killer(patch)
        if first:
            older(tmp_path / "whole")
        newer(tmp_path / "whole")
        counter.count = 0
        swap(tmp_path / "whole", REPLACED)
        steps = counter.count
    assert steps > 6
    seen = set()
    before = OLD if first else {}
    after = NEW if first else {k: v for k, v in NEW.items() if k != "mine.txt"}
    for at in range(steps):
        folder = tmp_path / str(at)
        if first:
            older(folder)
        newer(folder)
        with pytest.MonkeyPatch.context() as patch:
            Killer(patch, at)
            with pytest.raises(Killed):
                swap(folder, REPLACED)
        settle(folder)
        found = {k: v for k, v in everything(folder).items() if not k.startswith(".partial")}
        assert found in (before, after)
        seen.add("new" if found == after else "old")
    assert seen == {"old", "new"}


def test_killed_again_while_the_swap_is_finished_it_is_finished_later(tmp_path):
    older(tmp_path)
    newer(tmp_path)
    for at in (3, 1, 1):
        with pytest.MonkeyPatch.context() as patch:
            Killer(patch, at)
            with pytest.raises(Killed):
                swap(tmp_path, REPLACED) if at == 3 else finish(tmp_path)
    finish(tmp_path)
    assert everything(tmp_path) == NEW


def test_a_journal_that_names_places_elsewhere_is_refused(tmp_path):
    new_result(tmp_path)
    journal = {"put": ["../../etc"], "drop": []}
    (tmp_path / ".partial" / "swap.json").write_text(json.dumps(journal))
    with pytest.raises(UserError, match="outside its folder"):
        finish(tmp_path)


@pytest.mark.parametrize(
    "broken",
    [b"", b'{"put": ["a"', b"[]", b"null", b'{"put": 3, "drop": []}', b"\xff\xfe", b"[" * 200_000],
    ids=["empty", "cut off", "a list", "null", "no list", "no text", "deep"],
)
def test_a_broken_journal_is_told_and_neither_result_is_lost(tmp_path, broken):
    older(tmp_path)
    newer(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        Killer(patch, 4)  # half-way: something of each lies in the hidden folder
        with pytest.raises(Killed):
            swap(tmp_path, REPLACED)
    journal = tmp_path / ".partial" / "swap.json"
    journal.write_bytes(broken)
    kept = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    for begin in (finish, settle):
        with pytest.raises(UserError, match=r"swap\.json, which says .* is broken .* then delete"):
            begin(tmp_path)
    assert kept == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    journal.unlink()
    assert not finish(tmp_path)


def test_a_folder_of_that_name_that_is_somebody_elses_is_kept(tmp_path):
    write_text(tmp_path / ".partial" / "download", "half a film")
    with pytest.raises(UserError, match=r"holds a folder \.partial"):
        new_result(tmp_path)
    assert (tmp_path / ".partial" / "download").read_text() == "half a film"
