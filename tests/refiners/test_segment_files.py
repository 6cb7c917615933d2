"""Means over segments that lie in files: NumPy's, on label maps and masks that Pillow wrote."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import roadanomaly
from roadanomaly.cli import predict
from roadanomaly.errors import DataError, OptionError
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.fitting import fit_refiners
from roadanomaly.inliers import scored
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from roadanomaly.refiners.base import refuse_ids
from roadanomaly.refiners.segment_files import SegmentFiles
from roadanomaly.training.adapt_config import AdaptConfig
from roadanomaly.training.adapt_parts import prepare_model
from roadanomaly.training.parts import Parts, _check
from tests.contracts import toy

SIZE = toy.HEIGHT, toy.WIDTH


def label_map(seed, most=6):
    rng = np.random.default_rng(seed)
    return rng.integers(0, most, (5, 7)).repeat(4, 0).repeat(4, 1).astype(np.uint8)


def write(path, values, mode=None):
    path.parent.mkdir(exist_ok=True, parents=True)
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path)


def averaged(score, ids):
    """Return the mean of each id's pixels, by NumPy; those of id 0 as they are."""
    found = score.copy()
    for one in np.unique(ids[ids > 0]):
        found[ids == one] = score[ids == one].mean(dtype=np.float64)
    return found


def model_with(folder, detector="energy", **options):
    refiner = REFINERS.build("segments", {"by": "files", "folder": str(folder), **options})
    return Model(toy.ToySegmenter(), roadanomaly.detector(detector), refiners=[refiner])


@pytest.fixture
def frames(tmp_path):
    frames = toy.Frames(toy.planted(toy.inliers(3, 0), 0.3))
    for number, frame in enumerate(frames):
        write(tmp_path / f"{frame.id}.png", label_map(number))
    return frames


def plain_scores(frames):
    model = Model(toy.ToySegmenter(), roadanomaly.detector("energy"))
    return [model.score(frame.image[None] / 255)[0][0].numpy() for frame in frames]


def test_each_frame_takes_the_means_of_its_own_map(frames, tmp_path):
    model = model_with(tmp_path, largest=1.0)
    source = NetworkScores(model.segmenter, {"energy": model.head})
    source.check(frames)
    together = source.score_together(list(frames), [0, 1, 2])
    walked = [score for _, score in scored(model, frames, "test", batch=2)]
    for number, plain in enumerate(plain_scores(frames)):
        expected = averaged(plain, label_map(number))
        for found in (together[number].scores["energy"], walked[number]):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_detector_that_is_asked_one_by_one_takes_the_right_map(frames, tmp_path):
    model = model_with(tmp_path, "odin", largest=1.0)
    source = NetworkScores(model.segmenter, {"odin": model.head})
    assert model.head.one_by_one
    together = source.score_together(list(frames), [0, 1, 2])
    for number, frame in enumerate(frames):
        expected = model.score(frame.image[None] / 255, (frame.id,))[0][0]
        np.testing.assert_allclose(together[number].scores["odin"], expected.numpy(), rtol=1e-5)


def test_a_refiner_that_learns_behind_it_is_fitted_on_its_means(frames, tmp_path):
    model = model_with(tmp_path)
    score = model.refine([*model.head.refiners, REFINERS.build("p_value")])
    fit_refiners(score, frames)
    ranked, _ = score.score(frames[0].image[None] / 255, (frames[0].id,))
    assert ((ranked >= 0) & (ranked <= 1)).all()


def test_a_path_is_found_by_its_name(frames, tmp_path):
    image = frames[0].image.permute(1, 2, 0).numpy()
    write(tmp_path / "pictures" / f"{frames[0].id}.png", image)
    model = model_with(tmp_path, largest=1.0)
    expected = averaged(plain_scores(frames)[0], label_map(0))
    by_path = model(tmp_path / "pictures" / f"{frames[0].id}.png").score
    by_name = model(image, frames[0].id).score
    for found in (by_path, by_name):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(OptionError, match="here frames have none"):
        model(image)


def test_predict_finds_them_by_the_names_of_its_results(frames, tmp_path, monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    image = tmp_path / "pictures" / f"{frames[1].id}.png"
    write(image, frames[1].image.permute(1, 2, 0).numpy())
    model_with(tmp_path, largest=1.0).save(tmp_path / "model")
    out = tmp_path / "out"
    predict.run([str(tmp_path / "model"), str(image), "--out", str(out), "--device", "cpu"])
    expected = averaged(plain_scores(frames)[1], label_map(1))
    found = np.load(out / f"{frames[1].id}_score.npy")
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["indexed", "sixteen bits", "colours", "half size"])
def test_maps_of_all_kinds_say_the_same_segments(kind, tmp_path):
    ids, path = label_map(3), tmp_path / "a.png"
    if kind == "indexed":
        image = Image.fromarray(ids, "P")
        image.putpalette([7] * 768)
        image.save(path)
    elif kind == "sixteen bits":
        write(path, ids.astype(np.uint16) * 1000)
    elif kind == "colours":
        write(path, np.stack([ids % 2, ids // 2, 0 * ids], -1))
    else:
        write(path, ids[::2, ::2])
    found = SegmentFiles(tmp_path).read("a", SIZE).numpy()
    assert ((found == -1) == (ids == 0)).all()
    pairs = np.unique(np.stack([found.ravel(), ids.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(ids)) == len(np.unique(found))


def test_of_masks_that_overlap_the_smaller_wins(tmp_path):
    large, small, other = (np.zeros(SIZE, np.uint8) for _ in range(3))
    large[2:12, 2:16], small[4:6, 4:20], other[15:18, 20:26] = 255, 1, 255
    for name, mask in {"2": large, "1": small, "3": other}.items():
        write(tmp_path / "a" / f"{name}.png", mask)
    found = SegmentFiles(tmp_path).read("a", SIZE).numpy()
    assert len({int(found[4, 4]), int(found[2, 2]), int(found[16, 22])}) == 3
    assert (found[4:6, 4:20] == found[4, 4]).all()
    assert (found[6:12, 2:16] == found[2, 2]).all()
    assert ((found == -1) == ((large | small | other) == 0)).all()


def test_a_map_that_is_written_again_is_read_again(frames, tmp_path):
    model = model_with(tmp_path)
    source = NetworkScores(model.segmenter, {"energy": model.head})
    before = source.mark(frames[0].id)
    write(tmp_path / f"{frames[0].id}.png", label_map(9, 200))
    assert before
    assert source.mark(frames[0].id) != before
    assert source.mark(frames[1].id) == source.mark(frames[1].id)


def test_what_cannot_be_is_refused(frames, tmp_path):
    with pytest.raises(OptionError, match="needs the option `folder`"):
        REFINERS.build("segments", {"by": "files"})
    with pytest.raises(OptionError, match="belongs to `by: files`"):
        REFINERS.build("segments", {"folder": "maps"})
    model = model_with(tmp_path)
    source = NetworkScores(model.segmenter, {"energy": model.head})
    (tmp_path / f"{frames[2].id}.png").unlink()
    with pytest.raises(DataError, match=f"no segments of frame '{frames[2].id}'"):
        source.check(frames)
    write(tmp_path / "wide.png", np.zeros((20, 60), np.uint8))
    with pytest.raises(DataError, match="60×20, but the frame's score is 28×20"):
        SegmentFiles(tmp_path).read("wide", SIZE)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="broken"):
        SegmentFiles(tmp_path).read("broken", SIZE)


def test_a_training_and_an_adaptation_refuse_them(frames, tmp_path):
    model = model_with(tmp_path)
    parts = Parts(frames, None, SimpleNamespace(frames=frames), model)
    with pytest.raises(OptionError, match="train: the refiner `segments` reads"):
        _check(parts)
    named = ("train_data", "negatives", "val_data", "val_negatives", "world")
    config = AdaptConfig(model="run", out="", **{key: {"name": "any"} for key in named})
    with pytest.raises(OptionError, match="adapt: the refiner `segments` reads"):
        prepare_model(model, config)
    refuse_ids([REFINERS.build("segments")], "train")
