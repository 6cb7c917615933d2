"""A saved model's folder: killed at any point there is the old model or the new one."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from types import SimpleNamespace

import pytest

from roadanomaly.errors import UserError
from roadanomaly.folders import require_replaceable, standing, write_folder
from roadanomaly.ledger import JUNK
from tests.keeping.killed import Killed, Killer


def files(word):
    return {"x.json": b'{"format": 1}', "weights": word.encode(), "card": word.encode()}


def held(folder):
    return {path.name: path.read_bytes() for path in standing(folder).iterdir()}


def test_killed_at_any_point_the_old_or_the_new_one_is_there(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        counter = Killer(patch)
        write_folder(tmp_path / "m", files("old"))
        counter.count = 0
        write_folder(tmp_path / "m", files("new"))
        steps = counter.count
    seen = set()
    for at in range(steps):
        place = tmp_path / str(at)
        write_folder(place / "m", files("old"))
        with pytest.MonkeyPatch.context() as patch:
            Killer(patch, at)
            with pytest.raises(Killed):
                write_folder(place / "m", files("new"))
        assert held(place / "m") in (files("old"), files("new"))
        seen.add(held(place / "m")["weights"])
        write_folder(place / "m", files("next"))
        assert held(place / "m") == files("next")
        assert [path.name for path in place.iterdir()] == ["m"]
    assert seen == {b"old", b"new"}


def _write(folder, word):
    for _ in range(20):
        write_folder(folder, files(word))


def test_two_writers_at_a_time_leave_one_of_both(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(tmp_path / "m", word)) for word in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert held(tmp_path / "m") in (files("a"), files("b"))
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_file_that_only_has_the_name_of_one_of_ours_is_kept(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "card").write_text("of the user")
    with pytest.raises(UserError, match="holds other files"):
        write_folder(tmp_path / "m", files("new"))
    (tmp_path / "f").write_text("a file")
    with pytest.raises(UserError, match="it is a file"):
        write_folder(tmp_path / "f", files("new"))
    assert (tmp_path / "f").read_text() == "a file"


def test_a_hidden_folder_of_somebody_else_is_kept(tmp_path):
    (tmp_path / ".m.old").mkdir()
    (tmp_path / ".m.old" / "thesis").write_text("three years")
    write_folder(tmp_path / "n", files("new"))
    with pytest.raises(UserError, match="holds other files"):
        write_folder(tmp_path / "m", files("new"))
    assert (tmp_path / ".m.old" / "thesis").exists()


def test_a_link_to_a_folder_stays_one(tmp_path):
    write_folder(tmp_path / "disk" / "m", files("old"))
    (tmp_path / "m").symlink_to(tmp_path / "disk" / "m")
    for word in ("new", "newer"):
        write_folder(tmp_path / "m", files(word))
    assert (tmp_path / "m").is_symlink()
    assert held(tmp_path / "m") == files("newer")
    shutil.rmtree(tmp_path / "disk")


@pytest.mark.parametrize("name", JUNK)
def test_what_a_file_browser_left_stands_in_nobody_s_way(name, tmp_path):
    write_folder(tmp_path / "m", files("old"))
    (tmp_path / "m" / name).write_bytes(b"\0")
    require_replaceable(tmp_path / "m", files("new"))
    write_folder(tmp_path / "m", files("new"))
    assert held(tmp_path / "m") == files("new")
    (tmp_path / "looked_into").mkdir()
    (tmp_path / "looked_into" / name).write_bytes(b"\0")
    write_folder(tmp_path / "looked_into", files("new"))
    (tmp_path / "m" / name).write_bytes(b"\0")
    (tmp_path / "m" / "thesis").write_text("three years")
    with pytest.raises(UserError, match=r"holds other files \(thesis\)"):
        write_folder(tmp_path / "m", files("newer"))


def test_a_system_without_posix_locks_opens_no_folder(tmp_path, monkeypatch):
    """Windows opens none, and there no writer can be kept out."""

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    system = SimpleNamespace(open=refused, O_RDONLY=os.O_RDONLY, umask=os.umask, close=os.close)
    monkeypatch.setattr("roadanomaly.folders.fcntl", None)
    monkeypatch.setattr("roadanomaly.folders.os", system)
    for word in ("old", "new"):
        write_folder(tmp_path / "m", files(word))
    assert held(tmp_path / "m") == files("new")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
