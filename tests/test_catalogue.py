"""What parts are called in messages."""

from __future__ import annotations

import pytest

import roadanomaly as ra
from roadanomaly.catalogue import Catalogue, called
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import FeatureError, KindError, MissingExtra, NotFitted
from roadanomaly.negatives import NEGATIVES
from roadanomaly.refiners import REFINERS
from roadanomaly.segmenters import SEGMENTERS
from tests.contracts import toy


class Own:
    """A class of the user's own."""


def test_every_entry_is_called_by_its_short_name_without_being_built():
    for catalogue in (DETECTORS, REFINERS, SEGMENTERS, NEGATIVES, DATASETS):
        assert catalogue in Catalogue.every
        for name in catalogue:
            try:
                kind = catalogue.get(name)
            except MissingExtra:
                continue
            assert called(kind.__new__(kind)) == name


def test_what_is_in_no_catalogue_is_called_by_its_class():
    assert called(Own()) == "Own"


def test_refusals_name_what_a_config_names():
    network = ra.segmenter("espnetv2", scale=0.5)
    with pytest.raises(NotFitted, match="the detector `mahalanobis` has learned nothing yet"):
        ra.detector("mahalanobis").require()
    with pytest.raises(KindError, match="`rba` reads masks, and `espnetv2` answers logits"):
        ra.Model(network, ra.detector("rba"))
    with pytest.raises(FeatureError, match="`espnetv2` offers no feature 'top'"):
        network.feature("top")
    model = ra.Model(network, ra.detector("energy"), refiners=[REFINERS.build("p_value", {})])
    with pytest.raises(NotFitted, match="the refiner `p_value` has learned nothing yet"):
        model.score(toy.inliers(1, 0).image)
