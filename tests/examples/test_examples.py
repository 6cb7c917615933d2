"""The examples import without the libraries that they are for, and do their part."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from roadanomaly.data.streets import Streets
from roadanomaly.metrics import score_frames

EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGE = np.random.default_rng(0).integers(0, 255, (32, 45, 3), dtype=np.uint8)


def example(name, monkeypatch, missing=()):
    """Import an example, as if some packages were not installed."""
    for one in missing:
        monkeypatch.setitem(sys.modules, one, None)
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model():
    made = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"), min_area=3)
    made.calibration = calibrate([made(IMAGE).score.ravel()], 0.2, "noise")
    return made


@pytest.mark.parametrize("name", ["mmseg_hook", "pytorch_ood_detector", "ros2_node"])
def test_a_docstring_says_how_to_start_it(name):
    text = (EXAMPLES / f"{name}.py").read_text()
    assert text.startswith('"""')
    assert "pip install" in text.split('"""')[1]


def message(image, encoding, padding=3):
    """Return what a camera's driver sends: rows that are longer than their pixels."""
    height, width, count = image.shape
    rows = np.full((height, width * count + padding), 99, np.uint8)
    rows[:, : width * count] = image.reshape(height, -1)
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        step=rows.shape[1],
        data=rows.tobytes(),
        header="head",
    )


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_ros_images_are_read_by_their_encoding(encoding, monkeypatch):
    ros = example("ros2_node", monkeypatch, ["rclpy"])
    by_letter = dict(zip("rgba", (*np.moveaxis(IMAGE, 2, 0), IMAGE[..., 0]), strict=True))
    stored = np.stack([by_letter[letter] for letter in encoding[:-1]], 2)
    np.testing.assert_array_equal(ros.pixels_of(message(stored, encoding)), IMAGE)
    grey = ros.pixels_of(message(IMAGE[..., :1], "mono8"))
    np.testing.assert_array_equal(grey, np.repeat(IMAGE[..., :1], 3, 2))


def test_ros_images_that_cannot_be_read_are_refused(monkeypatch):
    ros = example("ros2_node", monkeypatch, ["rclpy"])
    with pytest.raises(ValueError, match="bayer_rggb8"):
        ros.pixels_of(message(IMAGE, "bayer_rggb8"))
    short = message(IMAGE, "rgb8")
    short.data = short.data[:-9]
    with pytest.raises(ValueError, match="45x32"):
        ros.pixels_of(short)


def test_a_ros_node_publishes_what_the_model_says(model, monkeypatch):
    ros = example("ros2_node", monkeypatch, ["rclpy"])
    sent, heard, errors = {}, [], []
    node = SimpleNamespace(
        create_publisher=lambda kind, topic, depth: SimpleNamespace(
            publish=lambda one: sent.setdefault(topic, one)
        ),
        create_subscription=lambda kind, topic, call, depth: heard.append((topic, call)),
        get_logger=lambda: SimpleNamespace(error=errors.append),
    )
    ros.attach(node, model, SimpleNamespace, SimpleNamespace)
    ((topic, call),) = heard
    assert topic == "image"
    call(message(IMAGE, "yuv422"))
    assert len(errors) == 1
    assert not sent
    call(message(IMAGE, "rgb8"))
    result = model(IMAGE)
    mask, score = sent["~/mask"], sent["~/score"]
    assert (mask.header, mask.encoding, score.encoding) == ("head", "mono8", "32FC1")
    stored = np.frombuffer(mask.data, np.uint8).reshape(mask.height, mask.step)
    np.testing.assert_array_equal(stored, 255 * result.mask)
    stored = np.frombuffer(score.data, np.float32).reshape(score.height, score.step // 4)
    np.testing.assert_array_equal(stored, result.score)
    assert len(json.loads(sent["~/objects"].data)["features"]) == len(result.components) > 0


def test_pytorch_ood_s_methods_give_the_model_s_scores(model, monkeypatch):
    ood = example("pytorch_ood_detector", monkeypatch, ["pytorch_ood"])
    detector = ood.RoadAnomaly(model)
    batch = torch.from_numpy(IMAGE).permute(2, 0, 1)[None].float() / 255
    assert detector.fit([]) is detector.fit_features(batch, batch) is detector
    with pytest.raises(TypeError, match=r"not features \(2, 3\): give them to `predict`"):
        detector.predict_features(torch.zeros(2, 3))
    np.testing.assert_array_equal(detector(batch)[0].detach().numpy(), model(IMAGE).score)
    labels = ood.ood_labels(torch.tensor([0, 1, 255], dtype=torch.uint8))
    assert [value < 0 for value in labels.tolist()] == [False, True, False]


@pytest.mark.slow
def test_the_pytorch_ood_example_runs(model, monkeypatch, capsys):
    monkeypatch.setattr(ra, "load", lambda: model, raising=False)
    example("pytorch_ood_detector", monkeypatch, ["pytorch_ood"]).main()
    assert "'fpr95'" in capsys.readouterr().out


@pytest.mark.parametrize("missing", [(), ("mmengine", "mmengine.hooks", "mmengine.registry")])
def test_the_hook_of_mmsegmentation_adds_our_numbers(missing, monkeypatch):
    if not missing:
        registry = pytest.importorskip("mmengine.registry")
        registry.HOOKS.module_dict.pop("RoadAnomalyHook", None)
    module = example("mmseg_hook", monkeypatch, missing)
    settings = {"type": "RoadAnomalyHook", "anomaly": 19, "ignore": [255, 7], "track": "obstacle"}
    if missing:
        hook = module.RoadAnomalyHook(**{key: settings[key] for key in list(settings)[1:]})
    else:
        hook = registry.HOOKS.build(settings)
    rng, frames, samples = np.random.default_rng(1), [], []
    for _ in range(3):
        label = np.full((40, 50), 3)
        label[5:15, 10:30], label[30:, :9], label[0] = 19, 7, 255
        logits = rng.normal(size=(19, 40, 50)) * (1 + 4 * (label != 19))
        truth = np.select([label == 19, (label == 7) | (label == 255)], [1, 255], 0)
        energy = -np.log(np.exp(logits.astype(np.float32)).sum(0))
        frames.append((energy.astype(np.float32), truth.astype(np.uint8)))
        samples.append(
            SimpleNamespace(
                seg_logits=SimpleNamespace(data=torch.from_numpy(logits)),
                gt_sem_seg=SimpleNamespace(data=torch.from_numpy(label)[None]),
            )
        )
    said, logged = [], {}
    runner = SimpleNamespace(
        message_hub=SimpleNamespace(update_scalar=logged.__setitem__),
        logger=SimpleNamespace(info=said.append),
    )
    hook.after_val_iter(runner, 0, None, samples[:2])
    hook.after_val_iter(runner, 1, None, samples[2:])
    metrics = {"mIoU": 50.0}
    hook.after_val_epoch(runner, metrics)
    expected = score_frames(frames, "obstacle")
    for name in ("ap", "fpr95", "siou", "f1"):
        assert metrics[f"smiyc/{name}"] == pytest.approx(100 * expected[name], abs=0.05)
        assert logged[f"val/smiyc/{name}"] == metrics[f"smiyc/{name}"]
    assert metrics["mIoU"] == 50.0
    assert "smiyc/ap" in said[0]
    assert not hook.metric.about


def test_streets_suit_the_examples():
    assert Streets("test", count=1)[0].truth is not None
