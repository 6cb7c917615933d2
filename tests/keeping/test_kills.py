"""Six commands that are killed at random moments and started again leave what others leave."""

from __future__ import annotations

import pytest

from benchmarks.kills import main


@pytest.mark.slow
def test_killed_and_started_again_the_results_are_those_of_an_undisturbed_run():
    assert main(6, 0, []) == 0
