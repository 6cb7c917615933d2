"""Seeds of one recipe are averaged; recipes are kept apart."""

import statistics
from dataclasses import replace

import pytest

from roadanomaly.report.spread import format_spread
from tests.report.made import make_findings, make_frames, make_scores

FRAMES = make_frames(2)
MADE = make_findings(FRAMES, make_scores(FRAMES, 3.0))


def runs(**ap):
    return [
        replace(MADE, detector=name, official={**MADE.official, "ap": value})
        for name, value in ap.items()
    ]


def test_each_recipe_has_its_own_mean_and_deviation():
    values = {"flow_0": 0.39, "flow_1": 0.47, "flow_2": 0.45, "paste_0": 0.57, "paste_1": 0.53}
    named = {f"densehybrid ({name})": value for name, value in values.items()}
    flow, paste = format_spread(runs(**named)).splitlines()
    flows = [39, 47, 45]
    expected = f"AP {statistics.mean(flows):.2f} ± {statistics.stdev(flows):.2f}"
    assert "densehybrid (flow), 3 runs: " in flow
    assert expected in flow.replace(" ↑", "")
    assert "densehybrid (paste), 2 runs: " in paste
    assert "AP 55.00 ± 2.83" in paste.replace(" ↑", "")


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (("energy (seed0)", "energy (seed1)"), 1),
        (("energy", "energy 2"), 1),
        (("energy (0)", "energy (1)"), 1),
        (("energy (resnet50)", "energy (resnet101)"), 0),
        (("energy (a_0)", "msp (a_1)"), 0),
    ],
)
def test_what_counts_as_one_recipe(names, count):
    lines = format_spread(runs(**dict.fromkeys(names, 0.5))).splitlines()
    assert len(lines) == count


def test_runs_that_learned_from_other_data_are_kept_apart():
    one, other = runs(**{"energy (a_0)": 0.5, "energy (a_1)": 0.6})
    assert format_spread([one, replace(other, supervision="negatives")]) == ""
