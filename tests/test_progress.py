"""Long walks say in a log how far they are: at tenths, not too often, and nothing of short ones."""

import sys

import pytest

from roadanomaly import progress as progress_module
from roadanomaly.progress import counting, progress
from roadanomaly.training.loop import Trainer
from tests.training import runs


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(progress_module, "time", found)
    return found


def walked(clock, capsys, count, seconds, **options):
    """Walk over numbers, each of which takes some seconds; return what was said."""
    for number, one in enumerate(progress(range(count), "energies", **options)):
        assert number == one
        clock.now += seconds
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_a_long_walk_says_each_tenth_with_its_time(clock, capsys):
    lines = walked(clock, capsys, 20, 30)
    assert len(lines) == 10
    assert lines[0] == "energies: 2 of 20 frames, 1.0 min, 9.0 min left"
    assert lines[-1] == "energies: 20 of 20 frames, 10.0 min, 0.0 min left"


def test_between_two_lines_lie_ten_seconds(clock, capsys):
    lines = walked(clock, capsys, 100, 0.25, unit="image")
    assert lines == [
        "energies: 40 of 100 images, 0.2 min, 0.2 min left",
        "energies: 80 of 100 images, 0.3 min, 0.1 min left",
    ]


@pytest.mark.parametrize(
    ("count", "seconds", "options"), [(100, 0.05, {}), (0, 30, {}), (20, 30, {"quiet": True})]
)
def test_short_empty_and_quiet_walks_say_nothing(clock, capsys, count, seconds, options):
    assert walked(clock, capsys, count, seconds, **options) == []


def test_steps_are_counted_as_walks_are(clock, capsys):
    with counting(2, "score") as step:
        for _ in range(2):
            clock.now += 60
            step()
    assert capsys.readouterr().err.splitlines() == [
        "score: 1 of 2 frames, 1.0 min, 1.0 min left",
        "score: 2 of 2 frames, 2.0 min, 0.0 min left",
    ]


def test_a_terminal_gets_one_line_that_moves(clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    list(progress(range(3), "energies"))
    err = capsys.readouterr().err
    assert "energies" in err
    assert "\r" in err
    assert "min left" not in err


@pytest.mark.slow
def test_a_training_says_how_far_its_walk_before_the_first_step_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "PAUSE", 0.0)
    config = runs.config(tmp_path / "run", detector={"name": "energy_oe"}, steps=1)
    Trainer(config).run()
    lines = capsys.readouterr().err.splitlines()
    walk = [place for place, line in enumerate(lines) if line.startswith("energies: ")]
    frames = runs.SMALLEST["train_data"]["count"]
    told = [lines[place].split(",")[0] for place in walk]
    assert told == [f"energies: {n} of {frames} frames" for n in range(1, frames + 1)]
    assert walk[-1] < next(place for place, line in enumerate(lines) if line.startswith("step 1/"))
