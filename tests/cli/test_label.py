"""`roadanomaly label`: class maps of unlabelled images, which train as a folder of labels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.cli.main import main
from roadanomaly.data import DATASETS
from roadanomaly.data.images import read_label, write_image
from roadanomaly.segmenters.teacher import Teacher
from roadanomaly.types import IGNORE, INLIER
from tests.contracts.toy import ToySegmenter


def test_unsure_pixels_are_ignored_and_the_others_carry_the_most_likely_class():
    segmenter = ToySegmenter().eval()
    image = torch.randint(0, 256, (3, 32, 48), dtype=torch.uint8)
    with torch.inference_mode():
        chances = segmenter(image[None].float() / 255).image_logits()[0].softmax(0).numpy()
    least = float(np.median(chances.max(0)))
    label = Teacher(segmenter, least).label(image)
    sure = chances.max(0) >= least
    assert (label[sure] == chances.argmax(0)[sure]).all()
    assert (label[~sure] == IGNORE).all()
    assert 0.3 < sure.mean() < 0.7


def test_views_that_disagree_leave_a_pixel_unsure():
    """A network that reads the column alone says the opposite of the mirrored image."""

    class Sided(ToySegmenter):
        def forward(self, image, features=()):
            found = super().forward(image, features)
            width = found.logits.shape[-1]
            logits = torch.zeros_like(found.logits)
            middle = slice(3 * width // 8, 5 * width // 8)
            logits[..., : width // 2][:, 0] = 5
            logits[..., width // 2 :][:, 1] = 5
            logits[..., middle] = 0
            logits[:, 2, :, middle] = 5
            return replace(found, logits=logits)

    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    alone = Teacher(Sided().eval(), 0).label(image)
    together = Teacher(Sided().eval(), 0, agree=True).label(image)
    assert set(np.unique(alone)) == {0, 1, 2}
    assert (together[:, :16] == IGNORE).all()
    assert (together[:, 48:] == IGNORE).all()
    assert (together[:, 29:35] == 2).all()


def test_unsure_pixels_of_ordinary_roads_can_stay_inliers(tmp_path, capsys):
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    write_image(tmp_path / "images" / "a.png", picture)
    words = [str(tmp_path / "images"), "--least", "1", "--unsure", "inlier"]
    network = ["--segmenter.name", "espnetv2", "--segmenter.scale", "0.5"]
    assert main(["label", *words, *network, "--out", str(tmp_path / "labels")]) == 0
    assert "the rest is 252" in capsys.readouterr().out
    assert (read_label(tmp_path / "labels" / "a.png") == INLIER).all()


@pytest.mark.slow
def test_what_it_writes_is_a_training_set(tmp_path, capsys):
    for name in "ab":
        picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        write_image(tmp_path / "images" / f"{name}.png", picture)
    out = tmp_path / "labels"
    given = [str(tmp_path / "images"), "--least", "0", "--out", str(out)]
    network = ["--segmenter.name", "espnetv2", "--segmenter.scale", "0.5"]
    assert main(["label", *given, *network]) == 0
    assert "2 class maps" in capsys.readouterr().out
    frames = DATASETS.build(
        "folder", {"images": str(tmp_path / "images"), "labels": str(out), "kind": "classes"}
    )
    assert [frame.id for frame in frames] == ["a", "b"]
    assert frames[0].label is not None
    assert frames[0].label.max() < 19


def test_a_broken_image_is_told_and_maps_beside_their_images_are_none(tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for name in "ac":
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), pixels)
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    words = ["label", str(tmp_path), "--out", str(tmp_path)]
    network = ["--segmenter.name", "espnetv2", "--segmenter.scale", "0.5"]
    for _ in range(2):
        assert main([*words, *network]) == 2
        told = capsys.readouterr()
        assert "2 class maps" in told.out
        assert "1 of 3 images could not be used" in told.err
        assert "b.jpg" in told.err
    assert {path.name for path in tmp_path.glob("*.png")} == {"a.png", "c.png"}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--unsure", "inlyer"], "did you mean `inlier`"),
        (["--least", "1.5"], "--least 1.5 must lie between 0 and 1"),
        ([], "names occur twice (a)"),
    ],
)
def test_refusals(tmp_path, capsys, arguments, match):
    for folder in ("one", "two"):
        write_image(tmp_path / folder / "a.png", np.zeros((8, 8, 3), np.uint8))
    given = [str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]
    assert main(["label", *given, "--segmenter.name", "espnetv2", *arguments]) == 2
    assert match in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
