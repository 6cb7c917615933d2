"""Findings come back from disk as they were, and a broken file says so."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from roadanomaly.errors import DataError
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.findings import load_findings, save_findings
from roadanomaly.evaluation.folder import EvaluationFolder
from tests.evaluation.scenes import Drawn, Scenes, job


@pytest.fixture(scope="module")
def found():
    return evaluate(job(Drawn(size=20), Scenes(4)))[0]


def equal(one, other):
    """Compare two values of any depth, NaN being equal to NaN."""
    if dataclasses.is_dataclass(one):
        assert type(one) is type(other)
        for field in dataclasses.fields(one):
            equal(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            equal(first, second)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            equal(one[key], other[key])
    else:
        np.testing.assert_equal(one, other)


def test_save_and_load_give_the_same(found, tmp_path):
    save_findings(tmp_path, found)
    (again,) = load_findings(tmp_path)
    equal(again, found)
    assert again.per_frame[0].objects.siou.size


def test_findings_come_back_in_the_order_of_the_table(found, tmp_path):
    names = ["zebra", "ape", "lion"]
    out = EvaluationFolder(tmp_path / "run")
    placed = [dataclasses.replace(found, detector=name) for name in names]
    out.publish(placed, {}, [])
    again = load_findings(out.path)
    assert [one.detector for one in again] == names
    equal(again[0], placed[0])


def test_findings_that_kept_no_order_are_sorted_by_name(found, tmp_path):
    for name in ("zebra", "ape"):
        save_findings(tmp_path, dataclasses.replace(found, detector=name))
    for path in (tmp_path / "findings").rglob("*.json"):
        values = json.loads(path.read_text())
        del values["place"]
        path.write_text(json.dumps(values))
    assert [one.detector for one in load_findings(tmp_path)] == ["ape", "zebra"]


def test_names_too_long_for_a_file_come_back_and_stay_apart(found, tmp_path):
    long = "densehybrid (Эксперимент с ночными дорогами и дождём"
    names = [f"{long} 1)", f"{long} 2)", "a+b c"]
    out = EvaluationFolder(tmp_path / "run")
    out.publish([dataclasses.replace(found, detector=name) for name in names], {}, [])
    assert [one.detector for one in load_findings(out.path)] == names
    assert (out.path / "findings" / found.set / "a%2Bb%20c.json").exists()  # as ever


def test_a_broken_file_says_which(found, tmp_path):
    save_findings(tmp_path, found)
    path = tmp_path / "findings" / "folder" / "drawn.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"drawn\.json is broken"):
        load_findings(tmp_path)


def test_a_new_evaluation_replaces_the_findings_of_an_older_one(found, tmp_path):
    out = EvaluationFolder(tmp_path / "run")
    out.publish([dataclasses.replace(found, detector="old")], {"seed": 0}, [])
    out.require_usable()
    (out.result("key") / "pictures").mkdir(parents=True)
    (out.result("key") / "pictures" / "a.png").write_bytes(b"picture")
    out.publish([found], {"seed": 1}, ["key"])
    assert [one.detector for one in load_findings(out.path)] == ["drawn"]
    assert (out.path / "pictures" / "a.png").exists()
    assert not out.partial.exists()
