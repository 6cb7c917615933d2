"""One dynamic graph does what PyTorch does at every size, in every runtime."""

import json

import numpy as np
import pytest
import torch

from roadanomaly.errors import OptionError, UserError
from roadanomaly.runtimes.exported import export
from roadanomaly.runtimes.parity import ParityError
from roadanomaly.runtimes.ready import Choice, Opened, prepare
from roadanomaly.runtimes.sizes import other_sizes
from tests.runtimes.models import SIZE, calibrated, eager, small_model, street_frames, toy_model

NEEDED = {"onnx": "onnxruntime", "openvino": "openvino", "torchscript": "torch"}
SIZES = ((96, 128), (128, 64), (176, 304), (90, 131), (64, 300))
"""Fitting and not, upright, with odd numbers of steps, and with a side of fewer than 5 at 1/16."""


def assert_equal_to_eager(model, folder, sizes, tolerance=1e-4):
    opened = Opened(folder)
    assert opened.fixed_size is None
    for size in sizes:
        image = np.random.default_rng(size[1]).integers(0, 255, (*size, 3), dtype=np.uint8)
        score, classes = eager(model, image)
        found = opened.runtime(size)(image)
        np.testing.assert_allclose(found.score, score, rtol=tolerance, atol=tolerance)
        assert found.score.shape == found.classes.shape == found.rarity.shape == size
        assert (found.classes == classes).mean() > 0.999


def written(model, to, folder, **options):
    pytest.importorskip(NEEDED[to])
    export(model, to, SIZE, folder, street_frames, "streets", dynamic=True, **options)
    return json.loads((folder / "export.json").read_text())


@pytest.fixture(scope="module")
def toy():
    return toy_model("energy")


@pytest.fixture(scope="module")
def brief_espnetv2():
    """An ESPNetv2 without what repeats: one unit, and each size of a pyramid in one of the four."""
    model = small_model()
    network = model.segmenter
    network.units3, network.units4 = network.units3[:1], torch.nn.Sequential()
    kept = ((2.0, 0.5), (1.0,), (1.0,), (1.5, 0.1))
    for pyramid, scales in zip(network.pyramids, kept, strict=True):
        pyramid.sizes = torch.nn.ModuleList(one for one in pyramid.sizes if one.scale in scales)
    return calibrated(model)


def brief_torchvision():
    """A DeepLabV3 on MobileNetV3 without most of the blocks that keep channels and size."""
    model = small_model("energy", "torchvision")
    backbone = model.segmenter.network.backbone
    keeping = [name for name, one in backbone.items() if getattr(one, "use_res_connect", False)]
    for name in keeping[1:-1]:
        del backbone[name]
    return calibrated(model)


def brief_smp():
    """A U-Net on ResNet-18, of which each level keeps one block."""
    model = small_model("energy", "smp")
    encoder = model.segmenter.network.encoder
    for level in ("layer1", "layer2", "layer3", "layer4"):
        setattr(encoder, level, getattr(encoder, level)[:1])
    return calibrated(model)


@pytest.mark.slow
@pytest.mark.usefixtures("one_onnx")
@pytest.mark.parametrize("to", NEEDED)
def test_a_dynamic_graph_takes_any_size(to, toy, tmp_path):
    description = written(toy, to, tmp_path)
    assert description["dynamic"] == {"least": 64}
    assert "H and W from 64 pixels" in description["input"]
    report = json.loads((tmp_path / "parity.json").read_text())
    compared = [tuple(one["size"]) for one in (report, *report["other_sizes"])]
    assert len({height / width for height, width in compared}) >= 2
    assert len(set(compared)) == 3
    assert_equal_to_eager(toy, tmp_path, SIZES)
    with pytest.raises(OptionError, match="from 64 pixels a side, not 96x63"):
        Opened(tmp_path).runtime((96, 63))


@pytest.mark.slow
@pytest.mark.usefixtures("one_onnx")
@pytest.mark.parametrize("to", NEEDED)
def test_espnetv2_pools_to_its_own_sizes_at_every_size(to, brief_espnetv2, tmp_path):
    assert written(brief_espnetv2, to, tmp_path)["dynamic"] == {"least": 64}
    assert_equal_to_eager(brief_espnetv2, tmp_path, SIZES[-2:])


@pytest.mark.slow
@pytest.mark.parametrize("brief", [brief_torchvision, brief_smp])
def test_other_networks_are_dynamic_too(brief, tmp_path):
    model = brief()
    assert written(model, "onnx", tmp_path)["dynamic"] == {"least": 64}
    assert_equal_to_eager(model, tmp_path, ((96, 128), (160, 70)))


@pytest.mark.slow
def test_a_graph_that_fails_at_another_size_is_refused(tmp_path, monkeypatch):
    """The second size decides like the first."""
    model = toy_model("energy")

    def shuffle_elsewhere(to, graph, size, precision):
        runtime = prepare(model, size, Choice("torch"))
        if size != SIZE:
            run = runtime.run
            monkeypatch.setattr(runtime, "run", lambda image: _negative(run(image)))
        return runtime

    monkeypatch.setattr("roadanomaly.runtimes.exported._open", shuffle_elsewhere)
    with pytest.raises(ParityError, match=r"at 134x179 .*one size only"):
        written(model, "torchscript", tmp_path, tolerance=0.01)
    assert {path.name for path in tmp_path.iterdir()} == {"parity.json", ".roadanomaly.json"}
    report = json.loads((tmp_path / "parity.json").read_text())
    assert not report["passed"]
    assert not all(one["passed"] for one in report["other_sizes"])


def _negative(scores):
    return type(scores)(scores.classes, -scores.score, scores.rarity)


class Counts(torch.nn.Module):
    """A layer that reads a side as a number, which fixes it."""

    def forward(self, x):
        return x * float(int(x.shape[-1]))


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "torchscript"])
def test_a_network_of_fixed_sizes_is_refused_in_plain_words(to, tmp_path):
    model = toy_model("energy")
    model.segmenter.classifier = torch.nn.Sequential(Counts(), model.segmenter.classifier)
    with pytest.raises(UserError, match="Leave out --dynamic"):
        written(model, to, tmp_path)
    assert not (tmp_path / "export.json").exists()


@pytest.mark.slow
def test_wrong_sizes_and_int8_are_refused_before_the_work(tmp_path):
    model = toy_model("energy")
    with pytest.raises(OptionError, match="from 64 pixels"):
        export(model, "onnx", (32, 128), tmp_path / "x", street_frames, "streets", dynamic=True)
    with pytest.raises(OptionError, match="leave out --dynamic"):
        written(model, "openvino", tmp_path / "x", precision="int8")
    assert not list(tmp_path.iterdir())


def test_other_sizes_differ_in_resolution_and_in_aspect_ratio():
    for size in ((64, 64), (96, 128), (512, 1024), (720, 1280), (100, 2000)):
        others = other_sizes(size, 64)
        assert min(min(other) for other in others) >= 64
        assert len({size, *others}) == 3
        assert others[1][0] / others[1][1] != pytest.approx(size[0] / size[1], rel=0.2)
