"""`--size` is given alike in all commands that bring frames to a size of one's own."""

import pytest

from roadanomaly.cli import adapt, evaluate
from roadanomaly.cli.parsing import parse
from roadanomaly.errors import OptionError


def test_two_numbers_and_a_list_are_the_same_wherever_they_stand():
    streets = ["--on", "streets"]
    for words in (
        ["--size", "64", "96", "runs/a", *streets],
        ["runs/a", *streets, "--size", "64", "96"],
        ["runs/a", "--size", "[64, 96]", *streets],
        ["--size=[64,96]", "runs/a", *streets],
    ):
        given = parse(evaluate._parser(), words)
        assert (given.size, given.runs) == ((64, 96), ["runs/a"])
    given = parse(adapt._parser(), ["--size", "64", "96", "drive.mp4", "--out", "mine"])
    assert (given.size, given.drives) == ((64, 96), ["drive.mp4"])


@pytest.mark.parametrize("words", [["64"], ["big"], ["[64]"], ["[1,2,3]"], ["1.5", "2"]])
def test_other_sizes_are_told_what_is_taken(words):
    with pytest.raises(OptionError, match=r"`--size` .* a height and a width, as --size 720 960"):
        parse(evaluate._parser(), ["--on", "streets", "--size", *words])
