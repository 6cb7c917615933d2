"""A set with one kind of pixels has no numbers: a warning, and a dash where a zero misleads."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.findings import save_findings
from roadanomaly.evaluation.folder import metrics, without_nan
from roadanomaly.evaluation.submission.proof import PixelProof, as_lines
from roadanomaly.metrics import score_frames
from roadanomaly.report.page import write_report
from roadanomaly.report.spread import format_spread
from roadanomaly.report.table import format_table, format_thresholds
from roadanomaly.report.tables.formats import to_csv, to_latex, to_markdown
from roadanomaly.report.tables.results import METRICS, results_table
from roadanomaly.types import Frame
from tests.evaluation.scenes import Drawn, Scenes, job

LEFT = {"anomaly": (0, 255), "inlier": (254, 255), "anomaly or an inlier": (255, 255)}
"""What is missing, and the two values of the labels that are left then."""


class OneSided(Scenes):
    """Frames whose labels hold no pixel of one kind, or of neither."""

    def __init__(self, missing):
        super().__init__(3)
        self.values = LEFT[missing]

    def __getitem__(self, index):
        frame = super().__getitem__(index)
        label = torch.full_like(frame.label, self.values[0])
        label[:4] = self.values[1]
        return Frame(frame.id, frame.image, label)


@pytest.fixture(scope="module", params=["official", "exact", "both"])
def mode(request):
    return request.param


@pytest.mark.parametrize("missing", LEFT)
def test_no_number_is_given_and_the_set_is_named(missing, mode):
    (found,) = evaluate(job(Drawn(), OneSided(missing), mode=mode))
    numbers = [found.official, found.exact]
    assert {
        key for each in numbers for key, value in each.items() if not math.isnan(value)
    } == set()
    assert any(numbers)
    assert found.warnings[0].startswith("no labelled pixel of scenes is an ")
    for word in ("anomaly", "inlier"):
        said = f"an {word}" in found.warnings[0].split(",")[0].split(";")[0]
        assert said == (word in missing)
    written = without_nan(metrics([found]))["folder"]
    assert set((written.get("official") or written["exact"]).values()) == {None}
    json.dumps(written, allow_nan=False)
    for row in found.thresholds:
        shown = [row.tpr, row.precision, row.f1, row.siou, row.ppv, row.component_f1]
        assert missing == "inlier" or np.isnan(shown).all()
    (best,) = (row for row in found.thresholds if row.way == "best F1")
    values = [value for value in vars(best).values() if isinstance(value, float)]
    assert len(values) == 12
    assert np.isnan(values).all()


@pytest.mark.parametrize("missing", LEFT)
def test_tables_of_every_kind_show_a_dash(missing, tmp_path):
    (found,) = evaluate(job(Drawn(), OneSided(missing)))
    table = results_table([found])
    keys = [column.key for column in table.columns]
    cells = [keys.index(metric.key) for metric in METRICS]
    assert {table.texts()[0][cell] for cell in cells} == {"–"}
    text = format_table([found])
    assert "warning: drawn: no labelled pixel of scenes" in text
    for shown in (text.split("warning:")[0], to_markdown(table), format_spread([found, found])):
        assert "0.00" not in shown
        assert "nan" not in shown
    assert to_latex(table).count("--") >= len(METRICS)
    row = to_csv(table).splitlines()[1].split(",")
    assert [row[cell] for cell in cells] == [""] * len(METRICS)
    assert "0.00" not in format_thresholds([found])
    save_findings(tmp_path, found)
    page = write_report(tmp_path).read_text()
    assert "no labelled pixel of scenes" in page
    assert ">0.00<" not in page.split('id="look"')[0]


def test_both_kinds_keep_their_numbers():
    (found,) = evaluate(job())
    assert not np.isnan(list(found.official.values())).any()
    assert not any("no labelled pixel" in text for text in found.warnings)


@pytest.mark.parametrize("mode", ["official", "exact"])
@pytest.mark.parametrize("value", [0, 1, 255])
def test_the_function_for_everybody_gives_no_zeros_either(mode, value):
    score = np.random.default_rng(0).normal(size=(40, 60)).astype(np.float16)
    found = score_frames([(score, np.full((40, 60), value, np.uint8))], mode=mode)
    assert np.isnan(list(found.values())).all()


def test_a_proof_without_an_anomaly_says_undefined():
    proof = PixelProof(binned=True)
    score = np.random.default_rng(0).normal(size=(40, 60)).astype(np.float32)
    proof.update("a", score, score, np.zeros((40, 60), np.uint8))
    lines = as_lines("track", proof.as_dict())[2:]
    assert lines
    assert all(line.count("undefined") == 3 for line in lines)
