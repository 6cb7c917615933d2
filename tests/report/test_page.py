"""The page shows the findings' numbers, whole and offline, and stays small."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from roadanomaly.errors import DataError
from roadanomaly.evaluation.findings import save_findings
from roadanomaly.report.page import write_report
from roadanomaly.report.thumbnails import write_thumbnails
from roadanomaly.types import Frame
from tests.report.made import NAN, make_findings, make_frames, make_scores


class Page(HTMLParser):
    """Cells of each table by its id, every address, and the data of the scripts."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.addresses, self.open, self.words = {}, [], [], []
        self._table = None
        self.feed(text)
        self.data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.S)[1])

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.addresses += [given[key] for key in ("src", "href", "action") if key in given]
        if tag == "table":
            self._table = self.tables.setdefault(given.get("id", "other"), [])
        if tag == "tr" and self._table is not None:
            self._table.append([])
        if tag in ("td", "th") and self._table:
            self._table[-1].append("")
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag == "table":
            self._table = None

    def handle_data(self, text):
        self.words.append(text)
        if self._table and self._table[-1]:
            self._table[-1][-1] = (self._table[-1][-1] + text).strip()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    frames = make_frames(6, 180, 320)
    scores = {"energy": make_scores(frames, 2.0), "msp": make_scores(frames, 1.0, seed=1)}
    found = [
        make_findings(frames, scores["energy"], detector="energy", warnings=("<b>coarse</b>",)),
        make_findings(frames, scores["msp"], detector="msp", set_name="laf", listed=1043),
    ]
    for one in found:
        save_findings(folder, one)
        for frame in frames:
            write_thumbnails(folder, one.set, frame, {one.detector: scores[one.detector][frame.id]})
    record = {"command": "roadanomaly evaluate <x>", "versions": {"torch": "2.9"}, "weights": None}
    (folder / "record.json").write_text(json.dumps(record))
    path = write_report(folder)
    assert path == folder / "report.html"
    return folder, sorted(found, key=lambda one: one.set), Page(path.read_text())


def test_results_equal_the_findings(run):
    _, found, page = run
    keys = ("ap", "fpr95", "auroc", "best_f1", "siou", "ppv", "f1")
    for mode in ("official", "exact"):
        rows = page.tables["results-main" if mode == "official" else "results-exact"][1:]
        assert len(rows) == 2
        for row, one in zip(rows, found, strict=True):
            numbers = getattr(one, mode)
            shown = row[2:4] + row[4:10] if mode == "official" else row[2:9]
            wanted = [numbers[key] for key in keys]
            if mode == "official":
                wanted.insert(1, one.exact["ap"])
            texts = ["–" if np.isnan(value) else f"{100 * value:.2f}" for value in wanted]
            assert row[:2] == [one.set, one.detector]
            assert shown == texts


def test_thresholds_and_record_and_warnings_are_shown_and_escaped(run):
    _, found, page = run
    row = page.tables["threshold-table"][2]
    assert row[2:6] == ["false-positive rate", "streets train", "5.00",
                        f"{100 * found[0].thresholds[1].fpr:.2f}"]  # fmt: skip
    text = " ".join(page.words)
    assert "roadanomaly evaluate <x>" in text
    assert "<b>coarse</b>" in text
    assert "b" not in page.open
    assert "6 of the split's 1043 frames" in text


def test_scripts_get_the_curves_frames_and_objects(run):
    _, found, page = run
    for shown, one in zip(page.data["sets"], found, strict=True):
        drawn = shown["detectors"][0]
        for mode, curve in one.curves.items():
            assert drawn["curves"][mode]["recall"] == pytest.approx(curve.recall.tolist(), rel=1e-6)
            heights = np.array(drawn["curves"][mode]["thresholds"], float)
            finite = np.isfinite(curve.thresholds)
            assert heights[finite] == pytest.approx(curve.thresholds[finite], rel=1e-6)
        assert sum(drawn["histogram"]["anomaly"]) == one.histogram.anomaly.sum()
        for row, frame in zip(drawn["frames"], one.per_frame, strict=True):
            assert row["id"] == frame.id
            assert row["ap"] == (None if np.isnan(frame.ap) else frame.ap)
            assert row["pixels"] == frame.curve.tp.sum()
        sizes = np.concatenate([frame.objects.truth_size for frame in one.per_frame])
        assert [entry[1] for entry in drawn["objects"]] == sizes.tolist()
        assert set(shown["images"]) == {frame.id for frame in one.per_frame}
        assert set(shown["scores"][one.detector]) == set(shown["images"])


def test_no_address_leads_out_of_the_page(run):
    folder, _, page = run
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    text = (folder / "report.html").read_text()
    assert not re.search(r"https?:|url\((?!#)|@import|\bfetch\(|XMLHttpRequest|sendBeacon", text)
    assert "default-src 'none'" in text


@pytest.mark.slow
def test_size_for_a_hundred_frames_of_the_worst_texture(tmp_path):
    rng = np.random.default_rng(0)
    frames, scores = make_frames(100, 90, 160), {}
    for frame in frames:
        scores[frame.id] = rng.normal(0, 1, (90, 160)).astype(np.float32)
    save_findings(tmp_path, make_findings(frames, scores))
    image = torch.from_numpy(rng.integers(0, 255, (3, 720, 1280), dtype=np.uint8))
    noise = {"energy": rng.normal(0, 1, (720, 1280)).astype(np.float32)}
    truth = torch.zeros(720, 1280, dtype=torch.uint8)
    truth[300:400, 500:800] = 1
    for frame in frames:
        write_thumbnails(tmp_path, "roadanomaly", Frame(frame.id, image, anomaly=truth), noise)
    page = write_report(tmp_path)
    assert len(Page(page.read_text()).data["sets"][0]["images"]) == 100
    assert page.stat().st_size <= 5_000_000


def test_pictures_beyond_the_budget_are_left_out_and_counted(run, monkeypatch):
    folder, found, _ = run
    monkeypatch.setattr("roadanomaly.report.page_data.PICTURE_BUDGET", 40_000)
    data = Page(write_report(folder).read_text()).data
    for shown, one in zip(data["sets"], found, strict=True):
        assert 0 < len(shown["images"]) < 6
        assert len(shown["images"]) + shown["left_out"] == 6
        known = [f for f in one.per_frame if not np.isnan(f.ap)]
        assert min(known, key=lambda frame: frame.ap).id in shown["images"]


def test_a_run_without_pictures_times_record_or_a_mode_has_a_page(tmp_path):
    frames = make_frames(3)
    found = make_findings(
        frames, make_scores(frames, 2.0), ms=NAN, exact={}, thresholds=(), extra={}
    )
    found.curves.pop("exact")
    save_findings(tmp_path, found)
    page = Page(write_report(tmp_path).read_text())
    assert "results-exact" not in page.tables
    assert page.data["sets"][0]["images"] == {}


def test_a_folder_that_is_no_evaluation_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no evaluation"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())
