"""Fabric comes without torchmetrics, which is whole for those who import it afterwards."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from roadanomaly.training.fabric import only_its_version

CODE = """
import sys
from roadanomaly.training.fabric import Fabric
print(any(name in sys.modules for name in ("torchmetrics", "scipy.signal", "transformers")))
import torchmetrics
print(torchmetrics.MeanMetric.__module__)
"""


@pytest.mark.slow
def test_fabric_imports_no_metrics_and_whoever_wants_them_gets_them():
    words = [sys.executable, "-c", CODE]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout
    assert said.split() == ["False", "torchmetrics.aggregation"]


def test_a_stand_in_has_the_version_and_leaves_with_the_block(monkeypatch):
    monkeypatch.delitem(sys.modules, "sphinx", raising=False)
    import sphinx

    true = sphinx.__version__
    monkeypatch.delitem(sys.modules, "sphinx")
    with only_its_version("sphinx"):
        assert sys.modules["sphinx"].__version__ == true
        assert sys.modules["sphinx"] is not sphinx
    assert "sphinx" not in sys.modules


def test_what_is_imported_already_stays(monkeypatch):
    there = types.ModuleType("sphinx")
    monkeypatch.setitem(sys.modules, "sphinx", there)
    with only_its_version("sphinx"):
        assert sys.modules["sphinx"] is there
    assert sys.modules["sphinx"] is there


def test_a_package_that_is_not_there_stays_missing():
    with only_its_version("no_such_package"):
        assert "no_such_package" not in sys.modules
