"""Every line of every catalogue can be imported, explained and built by its options."""

from __future__ import annotations

import inspect

import pytest

from roadanomaly.catalogue import Catalogue
from roadanomaly.cli.list import CATALOGUES as LISTED
from roadanomaly.cli.list import catalogue_of
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.encoders import ENCODERS, Encoder
from roadanomaly.errors import OptionError, UnknownName
from roadanomaly.flows import FLOWS, ImageFlow
from roadanomaly.generators import GENERATORS, Generator
from roadanomaly.negatives import NEGATIVES, NegativeSource
from roadanomaly.refiners import REFINERS, Refiner
from roadanomaly.runtimes import RUNTIMES
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.training.tasks import TASKS

CATALOGUES = (
    (DATASETS, FrameSet),
    (DETECTORS, Detector),
    (ENCODERS, Encoder),
    (FLOWS, ImageFlow),
    (GENERATORS, Generator),
    (NEGATIVES, NegativeSource),
    (REFINERS, Refiner),
    (SEGMENTERS, Segmenter),
)
ENTRIES = [(catalogue, base, name) for catalogue, base in CATALOGUES for name in catalogue]
REQUIRED = {
    ("atta", "head"),
    ("ensemble", "members"),
    ("folder", "images"),
    ("views", "head"),
    ("fusion", "heads"),
    ("mixture", "sources"),
    ("onnx", "file"),
    ("segmenter", "segmenter"),
    ("sliding", "segmenter"),
    ("sliding", "window"),
    ("torchscript", "file"),
    ("union", "sets"),
}
"""Options that cannot have a default: which entry, which option."""


@pytest.mark.parametrize(("catalogue", "base"), CATALOGUES, ids=lambda x: getattr(x, "kind", ""))
def test_entries_are_in_order(catalogue, base):
    assert list(catalogue) == sorted(catalogue)


@pytest.mark.parametrize(
    ("catalogue", "base", "name"), ENTRIES, ids=lambda x: x if isinstance(x, str) else ""
)
def test_an_entry_is_a_documented_class(catalogue, base, name):
    entry = catalogue.get(name)
    assert issubclass(entry, base)
    assert entry.__doc__ is not None
    assert entry.__doc__ != base.__doc__
    assert len(catalogue.summary(name)) > 10
    assert not inspect.isabstract(entry)


@pytest.mark.parametrize(
    ("catalogue", "base", "name"), ENTRIES, ids=lambda x: x if isinstance(x, str) else ""
)
def test_every_option_has_a_default_and_a_line_of_help(catalogue, base, name):
    words = inspect.getdoc(catalogue.get(name))
    for option, parameter in catalogue.options(name).items():
        assert (name, option) in REQUIRED or parameter.default is not parameter.empty
        assert f"{option}:" in words, f"the docstring of {name} does not explain `{option}`"
        assert parameter.annotation is not parameter.empty


@pytest.mark.parametrize(("catalogue", "base"), CATALOGUES, ids=lambda x: getattr(x, "kind", ""))
def test_mistakes_name_the_nearest(catalogue, base):
    name = next(iter(catalogue))
    with pytest.raises(UnknownName, match=f"did you mean `{name}`"):
        catalogue.build(name + "x")
    options = catalogue.options(name)
    if options:
        option = next(iter(options))
        with pytest.raises(OptionError, match=f"`{option}x` is not an option .*`{option}`"):
            catalogue.build(name, {option + "x": 1})


def test_what_a_message_says_is_listed_is():
    listed = [catalogue_of(title) for title in LISTED]
    every: list[Catalogue] = [*(catalogue for catalogue, _ in CATALOGUES), RUNTIMES, TASKS]
    assert {one.kind for one in listed} == {one.kind for one in every if one.listed}
    for catalogue in every:
        with pytest.raises(UnknownName) as told:
            catalogue.get("zzz")
        assert ("roadanomaly list" in str(told.value)) == (catalogue in listed)
