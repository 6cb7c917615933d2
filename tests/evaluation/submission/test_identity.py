"""What tells one export from another, and what of a track stays when its split is another."""

from __future__ import annotations

import pytest

import roadanomaly
from roadanomaly.cli.export_submission import _parser, _source
from roadanomaly.cli.parsing import parse
from roadanomaly.evaluation.submission import BENCHMARKS
from roadanomaly.evaluation.submission.base import Track
from roadanomaly.evaluation.submission.frames import choose_tracks
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from tests.contracts.toy import ToySegmenter


def identity(*refiners):
    parts = [REFINERS.from_spec(one) for one in refiners]
    model = Model(ToySegmenter(), roadanomaly.detector("energy"), refiners=parts)
    source = _source(parse(_parser(), ["run"]), model, BENCHMARKS["smiyc-anomaly"])
    return source.identity(None, None)


def test_refiners_tell_one_model_from_another():
    """None of these has weights."""
    smooth = {"name": "smooth", "window": 3}
    assert identity(smooth) == identity(smooth)
    assert len({identity(), identity(smooth), identity({"name": "smooth", "window": 9})}) == 3


@pytest.mark.parametrize("optional", [True, False])
def test_another_split_changes_nothing_else_of_a_track(optional):
    track = Track("t", "laf", "test", ("val",), "val", ("maps",), optional)
    (chosen,) = choose_tracks((track,), None, "val")
    assert chosen == Track("t", "laf", "val", ("val",), "val", ("maps",), optional)
