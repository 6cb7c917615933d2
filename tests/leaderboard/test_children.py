"""Processes that do a leaderboard's work: they end with it, and say why they failed."""

import subprocess
import sys
from pathlib import Path

import pytest

from roadanomaly.errors import UserError
from roadanomaly.leaderboard.at_once import AtOnce, Piece
from roadanomaly.leaderboard.child import LEFT_ALONE
from roadanomaly.leaderboard.children import Command, reason_of
from roadanomaly.leaderboard.shares import shares


def piece(name, log, *codes, **given):
    """A piece that runs lines of Python one after the other, to the first that fails."""

    def steps():
        for code in codes:
            reason = yield Command("timeit", ["-n", "1", "-r", "1", code], log)
            if reason:
                return reason
        return ""

    return Piece(name, steps, **given)


def done(*pieces, among=({},)):
    ended = []
    AtOnce(pieces, lambda *pair: ended.append(pair), among).go()
    return ended


def test_a_child_ends_when_its_asker_is_gone():
    slow = ("timeit", "-n", "1", "-r", "1", "import time; time.sleep(600)")
    words = [sys.executable, "-m", "roadanomaly.leaderboard.child", *slow]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    child.stdin.close()  # as the system does when its holder is killed
    assert child.wait(300) == LEFT_ALONE


def test_a_childs_output_goes_to_its_log_and_a_failure_into_words(tmp_path):
    log = tmp_path / "logs" / "one.log"
    (ended,) = done(piece("one", log, "print('said')"))
    assert ended == ("one", "")
    assert "said" in log.read_text()
    (ended,) = done(piece("one", log, "raise ValueError('unheard')"))
    assert "unheard" in ended[1]


def test_a_users_mistake_is_told_without_the_commands_name(tmp_path):
    log = tmp_path / "one.log"
    log.write_text("noise\nroadanomaly fit: give a config.\n")
    assert reason_of(log, 2) == "give a config."
    assert "SIGKILL" in reason_of(log, -9)


def test_pieces_run_at_once_where_they_may_and_alone_where_they_must(tmp_path):
    """Two that wait for each other's files can only end at once; the lone one waits for both."""
    wait = (
        "import pathlib, time\nopen({!r}, 'w')\n"
        "while not pathlib.Path({!r}).exists():\n time.sleep(.01)"
    )
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    lone = f"import os; assert os.path.exists({one!r}) and os.path.exists({other!r})"
    pieces = (
        piece("one", tmp_path / "one.log", wait.format(one, other)),
        piece("measured", tmp_path / "measured.log", lone, needs=("one",), alone=True),
        piece("other", tmp_path / "other.log", wait.format(other, one)),
    )
    ended = done(*pieces, among=[{}, {}])
    assert dict(ended) == {"one": "", "other": "", "measured": ""}
    assert ended[-1][0] == "measured"


def test_one_at_a_time_keeps_the_order_and_needs_come_first(tmp_path):
    names = ("one", "measured", "other")
    pieces = [piece(name, tmp_path / name, "1", alone=name == "measured") for name in names]
    assert [name for name, _ in done(*pieces)] == list(names)


def test_each_has_a_share_of_its_own_and_a_lone_one_the_whole(tmp_path, monkeypatch):
    """Three pieces and two shares: the two that run at once cannot have the same one."""
    monkeypatch.delenv("SHARE", raising=False)
    code = "import os, pathlib, time\npathlib.Path({!r}).write_text(os.environ.get('SHARE', 'all'))"
    meet = "\nwhile not pathlib.Path({!r}).exists():\n time.sleep(.01)"
    files = [str(tmp_path / name) for name in ("one", "other", "measured")]
    pieces = (
        piece("one", tmp_path / "a.log", code.format(files[0]) + meet.format(files[1])),
        piece("other", tmp_path / "b.log", code.format(files[1]) + meet.format(files[0])),
        piece("measured", tmp_path / "c.log", code.format(files[2]), alone=True),
    )
    done(*pieces, among=[{"SHARE": "first"}, {"SHARE": "second"}])
    assert [Path(file).read_text() for file in files] == ["first", "second", "all"]


def test_cores_are_divided_and_gpus_go_round(monkeypatch):
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert shares(1) == [{}]
    assert shares(3) == [{"OMP_NUM_THREADS": "2"}] * 3
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert shares(2) == [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "GPU-5"}]


@pytest.mark.parametrize("end", [KeyboardInterrupt, UserError])
def test_all_that_are_at_work_save_their_state_when_it_ends_early(end, tmp_path):
    code = (
        "import pathlib, time\npathlib.Path({0!r}).touch()\ntry:\n time.sleep(600)\n"
        "except KeyboardInterrupt:\n pathlib.Path({0!r} + '.saved').touch()"
    )
    begun = [tmp_path / "one", tmp_path / "other"]
    pieces = [
        piece(file.name, tmp_path / f"{file.name}.log", code.format(str(file))) for file in begun
    ]

    def stop():
        while not all(file.exists() for file in begun):
            yield Command("timeit", ["-n", "1", "-r", "1", "1"], tmp_path / "looked.log")
        raise end

    with pytest.raises(end):
        done(*pieces, Piece("stop", stop), among=[{}] * 3)
    assert all(file.with_name(f"{file.name}.saved").exists() for file in begun)
