"""An export holds a graph that was compared, or a report that says why there is none."""

import json

import numpy as np
import pytest
import torch

from roadanomaly.errors import DataError, OptionError, UserError
from roadanomaly.evaluation.folder import EvaluationFolder
from roadanomaly.ledger import LEDGER, Ledger
from roadanomaly.runtimes.base import Scores
from roadanomaly.runtimes.export import write_onnx
from roadanomaly.runtimes.exported import export, read_exported
from roadanomaly.runtimes.parity import ParityError, compare
from roadanomaly.runtimes.ready import Choice, Opened, prepare
from tests.runtimes.models import SIZE, eager, street_frames, toy_model


@pytest.fixture(scope="module")
def toy():
    return toy_model("energy")


@pytest.mark.slow
@pytest.mark.usefixtures("one_onnx")
@pytest.mark.parametrize("to", ["onnx", "openvino", "torchscript"])
def test_export_opens_again_and_scores_the_same(to, toy, tmp_path):
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}.get(to, "torch"))
    frames = street_frames()
    (parity,) = export(toy, to, SIZE, tmp_path / "out", street_frames, "streets")
    written = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert written == parity.as_dict()
    assert written["passed"]
    assert written["rank_correlation"] > 0.9999
    opened = Opened(tmp_path / "out")
    found = opened.runtime(SIZE)(frames[0][0])
    np.testing.assert_allclose(found.score, eager(toy, frames[0][0])[0], atol=1e-4)
    with pytest.raises(OptionError, match="give --size 128x96"):
        opened.runtime((64, 64))


class Flat:
    """A runtime that scores every pixel alike."""

    name, precision = "flat", "f32"

    def __init__(self, runtime):
        self.runtime, self.size = runtime, runtime.size

    def __call__(self, image):
        found = self.runtime(image)
        return Scores(found.classes, np.zeros_like(found.score), found.rarity)


@pytest.mark.slow
def test_equal_scores_have_no_ranks_and_are_refused_whatever_their_ap():
    runtime = prepare(toy_model("energy"), SIZE, Choice("torch"))
    parity = compare(runtime, Flat(runtime), street_frames(), "streets", tolerance=100)
    assert parity.ranks == "undefined (equal scores)"
    assert json.loads(json.dumps(parity.as_dict(), allow_nan=False))["rank_correlation"] is None
    assert not parity.passed
    with pytest.raises(ParityError, match="rank correlation undefined"):
        parity.require()
    both = compare(Flat(runtime), Flat(runtime), street_frames(), "streets")
    assert both.passed


class Scaled:
    """A runtime whose scores have the model's ranks, and so its AP, on another scale."""

    name = "scaled"

    def __init__(self, runtime, factor, precision):
        self.runtime, self.size = runtime, runtime.size
        self.factor, self.precision = factor, precision

    def __call__(self, image):
        found = self.runtime(image)
        return Scores(found.classes, found.score * self.factor, found.rarity)


@pytest.mark.slow
def test_other_scores_of_the_same_ranks_are_refused():
    """At which share of the spread: by NumPy, of all pixels at once."""
    runtime, frames = prepare(toy_model("energy"), SIZE, Choice("torch")), street_frames()
    scores = np.stack([runtime(image).score for image, _ in frames]).astype(float)
    off = scores.std() / np.abs(scores).mean()
    for precision, most in (("f32", 0.05), ("f16", 0.5)):
        for share in (0.9, 1.1):
            scaled = Scaled(runtime, 1 + share * most * off, precision)
            parity = compare(runtime, scaled, frames, "streets")
            assert parity.ap_after == pytest.approx(parity.ap_before, abs=0.01)
            assert parity.spread == pytest.approx(scores.std())
            assert parity.passed == (share < 1)
    with pytest.raises(ParityError, match=r"something else than the model.*higher --precision"):
        parity.require()


class Shuffled:
    """A runtime that is fast and wrong."""

    name, precision = "openvino", "int8"

    def __init__(self, runtime):
        self.runtime, self.size = runtime, runtime.size

    def __call__(self, image):
        found = self.runtime(image)
        return Scores(found.classes, -found.score, found.rarity)


def test_graph_whose_ap_moves_is_refused(tmp_path, monkeypatch):
    model = toy_model("energy")
    monkeypatch.setattr(
        "roadanomaly.runtimes.exported._open",
        lambda *_: Shuffled(prepare(model, SIZE, Choice("torch"))),
    )
    with pytest.raises(ParityError, match="no graph was written"):
        export(
            model, "torchscript", SIZE, tmp_path / "out", street_frames, "streets", tolerance=0.01
        )
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"parity.json", ".roadanomaly.json"}
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert not report["passed"]
    assert report["rank_correlation"] == pytest.approx(-1)


def toy_export(out, monkeypatch, kind=lambda runtime: runtime):
    """Export a graph that nobody looks into, run by PyTorch as `kind` changes it."""
    model = toy_model("energy")
    where = "roadanomaly.runtimes.exported."
    monkeypatch.setattr(f"{where}_open", lambda *_: kind(prepare(model, SIZE, Choice("torch"))))
    monkeypatch.setattr(f"{where}_write", lambda *given: given[3].write_text("graph"))
    export(model, "torchscript", SIZE, out, street_frames, "streets")


def contents(folder):
    names = ("export.json", "graph.pt", "parity.json")
    return {name: (folder / name).read_bytes() for name in names}


def test_an_export_that_is_refused_leaves_the_older_one_whole(tmp_path, monkeypatch):
    toy_export(tmp_path, monkeypatch)
    before = contents(tmp_path)
    with pytest.raises(ParityError, match=r"written.*stays; parity_refused\.json"):
        toy_export(tmp_path, monkeypatch, Shuffled)
    assert contents(tmp_path) == before
    assert not json.loads((tmp_path / "parity_refused.json").read_text())["passed"]
    toy_export(tmp_path, monkeypatch)
    assert contents(tmp_path).keys() == before.keys()
    assert not (tmp_path / "parity_refused.json").exists()


def test_a_file_put_there_while_it_is_made_is_kept(tmp_path, monkeypatch):
    def meanwhile(runtime):
        (tmp_path / "graph.pt").write_text("of the user")
        return runtime

    with pytest.raises(UserError, match=r"holds graph\.pt, which this command would replace"):
        toy_export(tmp_path, monkeypatch, meanwhile)
    assert (tmp_path / "graph.pt").read_text() == "of the user"


def test_beside_an_older_export_only_files_that_it_wrote_are_replaced(tmp_path, monkeypatch):
    def meanwhile(runtime):
        (tmp_path / "graph.onnx").write_text("of the user")
        return runtime

    toy_export(tmp_path, monkeypatch)
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"holds graph\.onnx, which this command would replace"):
        toy_export(tmp_path, monkeypatch, meanwhile)
    assert (tmp_path / "graph.onnx").read_text() == "of the user"
    assert contents(tmp_path) == before


def test_a_graph_that_was_replaced_by_another_is_its_own_no_longer(tmp_path, monkeypatch):
    toy_export(tmp_path, monkeypatch)
    Ledger(tmp_path).add(["graph.onnx"])
    (tmp_path / "graph.onnx").write_text("of an earlier export")
    toy_export(tmp_path, monkeypatch)
    assert not (tmp_path / "graph.onnx").exists()
    (tmp_path / "graph.onnx").write_text("of the user")
    with pytest.raises(UserError, match=r"holds graph\.onnx"):
        toy_export(tmp_path, monkeypatch)


@pytest.mark.parametrize("other", [False, True])
def test_an_export_of_a_version_without_a_ledger_is_replaced(tmp_path, monkeypatch, other):
    """Also where another command has begun one since."""
    toy_export(tmp_path, monkeypatch)
    (tmp_path / LEDGER).unlink()
    if other:
        Ledger(tmp_path).add(["table.txt"])
    toy_export(tmp_path, monkeypatch)
    assert contents(tmp_path)


def test_the_scored_frames_of_an_unfinished_evaluation_are_kept(tmp_path, monkeypatch):
    out = EvaluationFolder(tmp_path)
    out.require_usable()
    out.scored("key").mkdir()
    (out.scored("key") / "000000.npz").write_text("scored")
    with pytest.raises(UserError, match="unfinished `evaluate` has scored"):
        toy_export(tmp_path, monkeypatch)
    assert (out.scored("key") / "000000.npz").read_text() == "scored"
    assert not (tmp_path / "graph.pt").exists()


class Branches(torch.nn.Module):
    """A layer that asks its input which way to go."""

    def forward(self, x):
        return 2 * x if x.mean() > 0.5 else x


class Complains(torch.nn.Module):
    """A layer that no exporter gets through, and that says so in colour."""

    def forward(self, x):
        if torch.compiler.is_exporting():
            msg = "\x1b[96mno such\x1b[0m layer.\nmore of it"
            raise RuntimeError(msg)
        return x


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "reason"), [(Branches, "Could not guard on data"), (Complains, "no such layer. The")]
)
def test_what_stops_an_exporter_is_told_in_one_plain_line(layer, reason, tmp_path, capfd):
    model = toy_model("energy")
    model.segmenter.classifier = torch.nn.Sequential(layer(), model.segmenter.classifier)
    with pytest.raises(UserError) as refused:
        write_onnx(model, SIZE, tmp_path / "graph.onnx")
    said = str(refused.value)
    assert said.startswith(f"`energy` on `ToySegmenter` cannot be written as ONNX: {reason}")
    assert said.isprintable()
    assert capfd.readouterr() == ("", "")


class Silent(Flat):
    """A runtime that fails and does not say why."""

    def __call__(self, image):
        raise AssertionError


@pytest.mark.slow
def test_what_fails_without_a_word_is_told_by_its_kind(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "roadanomaly.runtimes.exported._open",
        lambda to, graph, size, precision: Silent(prepare(toy, size, Choice("torch"))),
    )
    monkeypatch.setattr("roadanomaly.runtimes.exported._write", lambda *_: None)
    with pytest.raises(UserError, match=r"frames of 96x128 \(HxW\): AssertionError\."):
        export(toy, "torchscript", SIZE, tmp_path / "out", street_frames, "streets")


def test_comparison_needs_an_anomaly():
    runtime = prepare(toy_model("energy"), SIZE, Choice("torch"))
    blank = [(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8))]
    with pytest.raises(DataError, match="no frame of nothing shows an anomaly"):
        compare(runtime, runtime, blank, "nothing")


def none(size):
    return []


def test_int8_needs_frames(tmp_path):
    pytest.importorskip("openvino")
    with pytest.raises(OptionError, match="--quantise_on"):
        export(toy_model("energy"), "openvino", SIZE, tmp_path / "x", none, "x", precision="int8")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@pytest.mark.usefixtures("one_onnx")
def test_int8_is_compared_like_the_rest(toy, tmp_path):
    pytest.importorskip("nncf")
    (parity,) = export(
        toy,
        "openvino",
        SIZE,
        tmp_path / "x",
        street_frames,
        "streets",
        precision="int8",
        tolerance=100,
        quantise_on=[image for image, _ in street_frames()],
    )
    assert parity.runtime == "openvino int8"
    assert 0.5 < parity.rank_correlation < 0.99999


def test_broken_description_is_an_error(tmp_path):
    (tmp_path / "export.json").write_text("{}")
    with pytest.raises(DataError, match="export model"):
        read_exported(tmp_path)
