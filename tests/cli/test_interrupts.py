"""Ctrl-C, SIGTERM, closed pipes and narrow terminals: a sentence, the right code, nothing half."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from roadanomaly.cli import main
from tests.processes import command
from tests.video.clips import write_clip


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted."), (signal.SIGTERM, "stopped by SIGTERM.")]
)
def test_a_signal_ends_a_command_with_a_sentence(monkeypatch, capsys, number, said):
    tidied = []

    def work(name, rest):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            tidied.append(name)

    monkeypatch.setattr(main, "_run", work)
    before = signal.getsignal(signal.SIGTERM)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # some runners ignore it
    try:
        assert main.main(["list"]) == 130
    finally:
        signal.signal(signal.SIGINT, usual)
    assert capsys.readouterr().err == f"roadanomaly list: {said}\n"
    assert tidied == ["list"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_of_several_processes_the_first_one_says_it(monkeypatch, capsys):
    def work(name, rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_run", work)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, said in (("0", "roadanomaly list: interrupted.\n"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        assert main.main(["list"]) == 130
        assert capsys.readouterr().err == said


@pytest.mark.parametrize("broken", [{"WORLD_SIZE": "many"}, {"WORLD_SIZE": "2", "RANK": "one"}])
def test_variables_that_are_no_numbers_do_not_hide_an_interrupt(monkeypatch, capsys, broken):
    def work(name, rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_run", work)
    for name, value in broken.items():
        monkeypatch.setenv(name, value)
    assert main.main(["list"]) == 130
    assert capsys.readouterr().err == "roadanomaly list: interrupted.\n"


def test_children_end_at_sigterm_as_ever(monkeypatch):
    """A forked worker inherits the handler; it must not go through the parent's work."""

    def work(name, rest):
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
            os._exit(0)
        status.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    status = []
    monkeypatch.setattr(main, "_run", work)
    assert main.main(["list"]) == 0
    assert status == [-signal.SIGTERM]


def test_outside_the_main_thread_no_signal_is_taken(monkeypatch):
    monkeypatch.setattr(main, "_run", lambda name, rest: None)
    codes = []
    thread = threading.Thread(target=lambda: codes.append(main.main(["list"])))
    thread.start()
    thread.join()
    assert codes == [0]


SHORT = "from roadanomaly.cli import main; main._run = lambda *_: print('→ ' * {many}); "
END = "raise SystemExit(main.main(['list']))"


def test_a_terminal_without_arrows_gets_question_marks():
    words = [sys.executable, "-c", SHORT.format(many=1) + END]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"? \n", b"")


@pytest.mark.parametrize("many", [1, 100_000])
def test_a_reader_who_leaves_is_no_error(many):
    ends = os.pipe()
    os.close(ends[0])
    words = [sys.executable, "-c", SHORT.format(many=many) + END]
    done = subprocess.run(words, stdout=ends[1], stderr=subprocess.PIPE, check=False)
    os.close(ends[1])
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_in_peace_with_open_connections(model_folder, tmp_path, number):
    pytest.importorskip("fastapi")
    clip = write_clip(tmp_path / "clip.mp4", 50)
    process = command(["serve", model_folder, "--source", clip, "--port", "0"])
    address = process.first_line().split()[1]
    half = socket.create_connection(("127.0.0.1", int(address.strip("/").rsplit(":", 1)[1])))
    with httpx.Client(timeout=60) as web, web.stream("GET", f"{address}stream/heat") as endless:
        next(endless.iter_raw())
        head = "POST /api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
        half.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--".encode())
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    half.close()
    said = "interrupted." if number == signal.SIGINT else "stopped by SIGTERM."
    assert told.splitlines()[2:] == [f"roadanomaly serve: {said}"]
    assert process.returncode == 130
