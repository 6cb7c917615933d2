"""A model as users hold it: images in, results out, saved and loaded whole."""

from __future__ import annotations

import errno
import json
import warnings

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

import roadanomaly
from roadanomaly.calibration import Calibration
from roadanomaly.errors import DataError, NotCalibrated, UserError
from roadanomaly.model import Model

CLASSES = ("road", "sky", "car")
SIZE = (37, 53)


@pytest.fixture
def model():
    torch.manual_seed(0)
    segmenter = roadanomaly.segmenter("espnetv2", scale=0.5, classes=CLASSES)
    return Model(segmenter, roadanomaly.detector("energy"), min_area=5)


@pytest.fixture
def calibrated(model):
    score = model(picture()).score
    rates = np.geomspace(1e-3, 1, 50)
    scores = np.quantile(score, 1 - rates)
    model.calibration = Calibration(tuple(rates), tuple(scores), 0.2, score.size, "this picture")
    return model


def picture(seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def test_every_kind_of_image_gives_the_same_result(model, tmp_path):
    array = picture()
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), array[:, :, ::-1])
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    expected = model(array)
    assert expected.score.shape == expected.classes.shape == SIZE
    assert expected.score.dtype == np.float32
    assert expected.classes.dtype == np.uint8
    kinds = (path, str(path), Image.fromarray(array), array[:, ::-1][:, ::-1], tensor, tensor / 255)
    for kind in kinds:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = model(kind)
        np.testing.assert_array_equal(found.score, expected.score)
        np.testing.assert_array_equal(found.classes, expected.classes)


def test_grey_and_transparent_pictures_become_rgb(model):
    grey = picture()[:, :, 0]
    expected = model(np.repeat(grey[:, :, None], 3, 2)).score
    np.testing.assert_array_equal(model(Image.fromarray(grey)).score, expected)
    np.testing.assert_array_equal(
        model(Image.fromarray(picture()).convert("RGBA")).score.shape, SIZE
    )


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        torch.zeros(8, 8, 3),
        torch.zeros(1, 3, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.int64),
    ],
    ids=lambda image: f"{tuple(image.shape)}-{image.dtype}",
)
def test_other_arrays_are_refused_with_their_shape(model, image):
    with pytest.raises(DataError, match=r"an image (array|tensor) must be .*, not"):
        model(image)


def test_a_missing_and_a_broken_file_are_named(model, tmp_path):
    with pytest.raises(DataError, match=r"gone\.png"):
        model(tmp_path / "gone.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        model(tmp_path / "broken.png")


def test_without_calibration_there_are_scores_but_no_mask(model):
    result = model(picture())
    assert np.isfinite(result.score).all()
    for name in ("mask", "components", "p_value"):
        with pytest.raises(NotCalibrated, match=r"no threshold yet: .*roadanomaly fit"):
            getattr(result, name)


def test_mask_and_components_are_those_of_the_threshold(calibrated):
    result = calibrated(picture())
    above = result.score > calibrated.calibration.threshold
    assert above.mean() == pytest.approx(0.2, abs=0.02)
    labels, count = ndimage.label(above, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    large = [k for k in range(1, count + 1) if areas[k] >= 5]
    np.testing.assert_array_equal(result.mask, np.isin(labels, large))
    assert sorted(one.area for one in result.components) == sorted(areas[large])
    p = result.p_value
    assert p.shape == SIZE
    assert (p[above] <= 0.201).all()  # the threshold is rounded to float32 there
    assert (p[~above] >= 0.199).all()


def test_a_model_without_gradients_is_in_inference_mode(model):
    assert not model.segmenter.training
    score, segmentation = model.score(torch.rand(2, 3, 32, 32))
    assert not score.requires_grad
    assert not segmentation.logits.requires_grad


def test_saved_and_loaded_it_is_the_same(calibrated, tmp_path):
    folder = calibrated.save(tmp_path / "run" / "model", {"step": 7})
    assert {path.name for path in folder.iterdir()} == {
        "model.json", "weights.safetensors", "README.md"
    }  # fmt: skip
    for place in (folder, folder.parent, str(folder)):
        again = roadanomaly.load(place)
        result, expected = again(picture()), calibrated(picture())
        np.testing.assert_array_equal(result.score, expected.score)
        np.testing.assert_array_equal(result.mask, expected.mask)
        assert again.min_area == 5
        assert again.segmenter.classes == CLASSES
    description = json.loads((folder / "model.json").read_text())
    assert description["record"] == {"step": 7}
    assert "20 % of inlier pixels of this picture" in (folder / "README.md").read_text()


def test_saving_again_replaces(model, calibrated, tmp_path):
    model.save(tmp_path / "model")
    with torch.no_grad():
        model.segmenter.classifier.bias += 1
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        roadanomaly.load(tmp_path / "model")(picture()).score, model(picture()).score
    )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("stop")])
def test_a_save_that_fails_leaves_the_old_model(model, tmp_path, monkeypatch, error):
    model.save(tmp_path / "model")
    before = (tmp_path / "model" / "weights.safetensors").read_bytes()

    def fail(path, _):
        with path.open("wb") as file:
            file.write(b"half")
        raise error

    with torch.no_grad():
        model.segmenter.classifier.bias += 1
    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises((UserError, RuntimeError)):
        model.save(tmp_path / "model")
    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == before
    roadanomaly.load(tmp_path / "model")


def test_a_full_disk_is_a_mistake_that_is_told(model, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(UserError, match=r"cannot be written to .*No space left"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_folder_of_other_things_is_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("three years")
    with pytest.raises(UserError, match="holds other files"):
        model.save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "three years"


def test_an_empty_folder_may_be_filled(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    model.save("model")
    image = np.full((32, 48, 3), 90, np.uint8)
    np.testing.assert_array_equal(roadanomaly.load("model")(image).score, model(image).score)


def test_a_place_below_a_file_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written to"):
        model.save(tmp_path / "file" / "model")


def test_a_part_outside_the_catalogues_cannot_be_saved(tmp_path):
    from tests.contracts.toy import ToySegmenter

    with pytest.raises(UserError, match="in no catalogue"):
        Model(ToySegmenter(), roadanomaly.detector("msp")).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_nothing_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no model at .*: model\.json is missing"):
        roadanomaly.load(tmp_path)


def shorten(path):
    path.write_bytes(path.read_bytes()[:100])


def edit(path, change):
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


BREAKS = {
    "no weights": lambda at: (at / "weights.safetensors").unlink(),
    "short weights": lambda at: shorten(at / "weights.safetensors"),
    "short json": lambda at: shorten(at / "model.json"),
    "no json": lambda at: (at / "model.json").write_bytes(b"\xff\xfe\x00"),
    "a list": lambda at: (at / "model.json").write_text("[]"),
    "a lost key": lambda at: edit(at / "model.json", lambda d: d.pop("detector")),
    "a later format": lambda at: edit(at / "model.json", lambda d: d.update(format=99)),
    "other classes": lambda at: edit(
        at / "model.json", lambda d: d["segmenter"].update(classes=["a", "b"])
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_model_is_named(model, tmp_path, what):
    model.save(tmp_path / "model")
    BREAKS[what](tmp_path / "model")
    with pytest.raises(DataError, match="model"):
        roadanomaly.load(tmp_path / "model")


def test_weights_that_are_missing_are_named(model, tmp_path):
    model.save(tmp_path / "model")
    BREAKS["no weights"](tmp_path / "model")
    with pytest.raises(DataError, match=r"weights\.safetensors is missing"):
        roadanomaly.load(tmp_path / "model")
