"""Heads that detectors take from a saved model: all of it, or nothing of it."""

from __future__ import annotations

import pytest

import roadanomaly
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.views import Views
from roadanomaly.errors import OptionError
from roadanomaly.model import Model
from tests.contracts import toy

TAKERS = {
    "atta": lambda spec: {"head": spec},
    "ensemble": lambda spec: {"members": [spec]},
    "fusion": lambda spec: {"heads": [spec, spec]},
    "views": lambda spec: {"head": spec},
}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Return a function that saves a model of a detector, and its folder."""
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")

    def save(detector):
        Model(toy.ToySegmenter(), detector).save(tmp_path / "model")
        return str(tmp_path / "model")

    return save


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize(
    "beside",
    [{"refiners": [{"name": "smooth"}]}, {"detector": {"name": "msp"}}, {"nonsense": 3}],
    ids=lambda beside: next(iter(beside)),
)
def test_what_stands_beside_a_run_is_refused(saved, name, beside):
    folder = saved(roadanomaly.detector("energy"))
    DETECTORS.build(name, TAKERS[name]({"run": folder}))
    with pytest.raises(OptionError, match=f"{name}: `{next(iter(beside))}` beside `run: {folder}`"):
        DETECTORS.build(name, TAKERS[name]({"run": folder, **beside}))


def test_views_of_views_are_refused_described_or_saved(saved):
    """The inner ones' scores would lie where the outer ones' lie."""
    head = {"detector": {"name": "energy"}}
    inner = {"detector": {"name": "views", "head": head, "mirror": False, "scales": [0.5]}}
    with pytest.raises(OptionError, match="views of views"):
        Views(inner)
    with pytest.raises(OptionError, match="views of views"):
        Views({"run": saved(Views(head))})
