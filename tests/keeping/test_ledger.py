"""What this program did not write is never replaced, in any folder that it writes into."""

from __future__ import annotations

import pytest

from roadanomaly.errors import UserError
from roadanomaly.files import write_text
from roadanomaly.ledger import LEDGER, Ledger


def test_what_was_written_may_be_written_again_and_nothing_else(tmp_path):
    Ledger(tmp_path).claim(["a.png", "deep/b.png", "board/"])
    for name in ("a.png", "deep/b.png", "board/x/y"):
        write_text(tmp_path / name, "ours")
    Ledger(tmp_path).claim(["a.png", "deep/b.png", "board/"])
    Ledger(tmp_path).refuse_strangers(["deep", "board", "not there"])
    write_text(tmp_path / "deep" / "c.png", "of the user")
    with pytest.raises(UserError, match=r"holds deep/c\.png, which this command would replace"):
        Ledger(tmp_path).refuse_strangers(["a.png", "deep"])
    with pytest.raises(UserError, match=r"holds deep/c\.png"):
        Ledger(tmp_path).claim(["deep/c.png"])


def test_what_a_file_browser_left_is_nobodys(tmp_path):
    Ledger(tmp_path).claim(["deep/b.png"])
    write_text(tmp_path / "deep" / ".DS_Store", "x")
    Ledger(tmp_path).refuse_strangers(["deep"])
    assert (tmp_path / "deep" / ".DS_Store").read_text() == "x"
    write_text(tmp_path / "deep" / "mine.txt", "x")
    with pytest.raises(UserError, match=r"holds deep/mine\.txt"):
        Ledger(tmp_path).refuse_strangers(["deep"])


def test_a_link_is_somebodys_too(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds a\.png"):
        Ledger(tmp_path).claim(["a.png"])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 7, "files": ["a"]}', "[" * 100_000])
def test_a_broken_list_lists_nothing(tmp_path, text):
    write_text(tmp_path / "a", "ours?")
    (tmp_path / LEDGER).write_text(text)
    with pytest.raises(UserError, match="holds a,"):
        Ledger(tmp_path).claim(["a"])
