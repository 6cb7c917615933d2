"""Processes that do a leaderboard's work: they end with it, and say why they failed."""

import subprocess
import sys

from roadanomaly.leaderboard.child import LEFT_ALONE
from roadanomaly.leaderboard.children import reason_of, run_child


def test_a_child_ends_when_its_asker_is_gone():
    slow = ("timeit", "-n", "1", "-r", "1", "import time; time.sleep(600)")
    words = [sys.executable, "-m", "roadanomaly.leaderboard.child", *slow]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    child.stdin.close()  # as the system does when its holder is killed
    assert child.wait(300) == LEFT_ALONE


def test_a_childs_output_goes_to_its_log_and_a_failure_into_words(tmp_path):
    log = tmp_path / "logs" / "one.log"
    assert run_child("timeit", ["-n", "1", "-r", "1", "print('said')"], log) == ""
    assert "said" in log.read_text()
    assert "unheard" in run_child("timeit", ["-n", "1", "raise ValueError('unheard')"], log)


def test_a_users_mistake_is_told_without_the_commands_name(tmp_path):
    log = tmp_path / "one.log"
    log.write_text("noise\nroadanomaly fit: give a config.\n")
    assert reason_of(log, 2) == "give a config."
    assert "SIGKILL" in reason_of(log, -9)
