"""Commands that are killed at random moments and started again leave what others leave."""

from __future__ import annotations

import signal

import pytest

from benchmarks.kills import main
from tests.processes import command


@pytest.mark.slow
def test_killed_and_started_again_the_results_are_those_of_an_undisturbed_run():
    only = ("train", "export submission", "video")
    assert main(3, 0, only, begin=command) == 0


@pytest.mark.slow
def test_asked_to_stop_it_says_so_and_goes_on_later():
    only = ("evaluate", "mine")
    assert main(2, 0, only, (signal.SIGINT, signal.SIGTERM), command) == 0
