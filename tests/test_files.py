"""Files are found by what users type, and appear whole or not at all."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from roadanomaly.errors import DataError, UserError
from roadanomaly.files import (
    check_writable,
    files_in,
    files_named,
    remove_partial,
    replacing,
    write_bytes,
)


def half_written(path):
    with replacing(path) as partial:
        partial.write_bytes(b"ne")
        raise ZeroDivisionError


def test_an_error_inside_the_block_keeps_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "deep" / "file"
    write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError):
        half_written(path)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_the_new_file_is_not_seen_before_the_block_ends(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as partial:
        partial.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "below", b"x")


def test_rests_of_killed_writers_are_removed_and_nothing_else(tmp_path):
    kept = [tmp_path / "a", tmp_path / "b" / ".hidden", tmp_path / "b" / "c.partial"]
    for path in (*kept, tmp_path / "b" / ".c.7.partial"):
        write_bytes(path, b"x")
    remove_partial(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_words_name_files_folders_and_globs_each_file_once(tmp_path):
    for name in ("b.PNG", "a.png", "note.txt", ".hidden.png", "deep/c.png", "folder.png/d.txt"):
        write_bytes(tmp_path / name, b"x")

    def found(*words, **options):
        paths = files_named(
            [str(tmp_path / word) for word in words], (".png",), "picture", **options
        )
        return [str(path.relative_to(tmp_path)) for path in paths]

    assert found("") == ["a.png", "b.PNG"]
    assert found("", recursive=True) == ["a.png", "b.PNG", "deep/c.png"]
    assert found("b.PNG", "*") == ["b.PNG", "a.png"]
    assert found("**/c.*", "note.txt") == ["deep/c.png", "note.txt"]
    for word in ("deeper", "*.gif", "folder.png"):
        with pytest.raises(DataError, match=r"names no picture; .* globs of \.png\."):
            found(word)


def test_hidden_files_and_what_lies_in_hidden_folders_are_left_out(tmp_path):
    top = tmp_path / ".cache" / "set"
    for name in ("a.png", "b/c.png", "b/._c.png", ".ipynb_checkpoints/a.png", "b/.Trash-0/d/e.png"):
        write_bytes(top / name, b"x")
    found = files_in(top, (".png",), recursive=True)
    assert [path.relative_to(top).as_posix() for path in found] == ["a.png", "b/c.png"]


def test_a_folder_is_no_place_to_write_a_file(tmp_path):
    with pytest.raises(UserError, match="is a folder, and a file is to be written"):
        check_writable(tmp_path)
    check_writable(tmp_path / "new" / "file.txt")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_pipe_is_written_and_not_replaced(tmp_path):
    pipe, content = tmp_path / "pipe", bytes(range(256)) * 4096  # more than a pipe holds
    os.mkfifo(pipe)
    check_writable(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_bytes(pipe, content)
    reader.join(10)
    assert got == [content]
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_is_written_and_not_replaced(tmp_path):
    for name in ("null", "full"):  # links: as root the devices themselves would be at risk
        (tmp_path / name).symlink_to(f"/dev/{name}")
        check_writable(tmp_path / name)
    write_bytes(tmp_path / "null", b"x")
    with pytest.raises(UserError, match="full cannot be written: No space left"):
        write_bytes(tmp_path / "full", b"x")
    assert all((tmp_path / name).is_char_device() for name in ("null", "full"))


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
def test_what_is_printed_into_a_file_keeps_its_place(tmp_path, name):
    code = (
        "import sys; from pathlib import Path; from roadanomaly.files import write_bytes\n"
        f"print('before', flush=True); write_bytes(Path({name!r}), b'figures\\n'); print('after')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nfigures\nafter\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
