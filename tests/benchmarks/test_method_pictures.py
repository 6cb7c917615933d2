"""A picture a method: the command that makes them, and those that the site shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from benchmarks.method_pictures import (
    HEIGHT,
    OUT,
    RAREST,
    SHOWN,
    KeptStreets,
    Studio,
    board_with_all,
    rarity,
    read_figures,
)
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.report.pictures import heat
from tests.leaderboard.made import make_board

MOST, MOST_OF_ALL = 25_000, 2_500_000
"""Bytes of a picture, and of all."""

TINY = {"name": "streets", "count": 2, "height": 48, "width": 96}
ROWS = {
    "msp": {"how": "fit", "options": {"detector": {"name": "msp"}}},
    "knn": {"how": "fit", "options": {"detector": {"name": "knn", "feature": "no_such_map"}}},
    "entropy": {"options": {"detector": {"name": "entropy"}, "val_negatives": None}},
}


@pytest.fixture(scope="module")
def shown():
    """The rows of the committed table that have a picture, by method."""
    return {row["method"]: row for row in read_figures(OUT) if not row["reason"]}


def tiny_studio(folder, **changes):
    training = {"train_data": TINY, "val_data": {**TINY, "split": "val"}, "steps": 1}
    training |= {"batch_size": 2, "crop": [32, 64], "val_frames": 0, "validate_every": 0}
    board = make_board(
        folder / "work",
        rows=ROWS,
        training=training | {"workers": 0},
        fitting={"data": TINY, "calibration_data": {**TINY, "split": "val"}},
        sets={"streets": {"data": {**TINY, "split": "test"}}},
        **changes,
    )
    (folder / "out").mkdir(exist_ok=True)
    return Studio(board, folder / "out")


def test_every_detector_has_a_picture_or_a_reason(shown):
    told = {row["method"] for row in read_figures(OUT)}
    assert told == set(DETECTORS), "python benchmarks/method_pictures.py --only NAME"
    drawn = {path.stem for path in OUT.glob("*.webp")} - {"frames", "scale"}
    assert drawn == set(shown)


def test_the_board_has_a_row_for_every_detector():
    missing = set(DETECTORS) - set(board_with_all("runs/x").rows)
    assert not missing, "name how they are trained in benchmarks/method_pictures.yaml"


def test_pictures_are_small():
    sizes = [path.stat().st_size for path in OUT.glob("*.webp")]
    assert max(sizes) <= MOST
    assert sum(sizes) <= MOST_OF_ALL


@pytest.mark.slow
def test_score_maps_have_the_colours_of_the_scale_alone(shown):
    """So they are no photographs; and they show something, and not one colour."""
    scale = heat(np.linspace(0, RAREST, 256)[None], 0, RAREST)[0].astype(np.float32)
    for name in shown:
        picture = cv2.imread(str(OUT / f"{name}.webp"))
        assert picture.shape == (HEIGHT, 6 * HEIGHT + 8, 3)
        picture = picture[::6, ::6, ::-1]
        pixels = picture[(picture < 250).any(2)].astype(np.float32)
        off = np.linalg.norm(pixels[:, None] - scale, axis=2).min(1)
        assert np.median(off) < 12, name
        assert pixels.std() > 10, name


@pytest.mark.slow
def test_the_frames_are_drawn_by_the_package():
    frames = DATASETS.build("streets", {"split": "test", "count": 12})
    picture = cv2.imread(str(OUT / "frames.webp"))[:HEIGHT, :, ::-1].astype(float)
    for place, index in enumerate(SHOWN):
        left = place * (2 * HEIGHT + 4)
        image = frames[index].image.permute(1, 2, 0).numpy()
        small = cv2.resize(image, (2 * HEIGHT, HEIGHT), interpolation=cv2.INTER_AREA)
        assert np.abs(picture[:, left : left + 2 * HEIGHT] - small).mean() < 8


@pytest.mark.slow
def test_kept_streets_are_the_streets_whatever_was_drawn_before():
    kinds = ({}, {"strange": "void"}, {"count": 1})
    for options in kinds:
        given = {"split": "test", "count": 2, "height": 32, "width": 64, **options}
        kept, fresh = KeptStreets(**given)[0], DATASETS.build("streets", given)[0]
        assert torch.equal(kept.image, fresh.image)
        assert torch.equal(kept.label, fresh.label)
    assert len(KeptStreets.kept) == 2


def test_rarity_is_the_share_of_what_scores_as_high():
    scores = np.random.default_rng(0).integers(0, 20, (3, 5, 6)).astype(np.float32)
    share = np.array([(scores >= one).mean() for one in scores.ravel()]).reshape(scores.shape)
    np.testing.assert_allclose(rarity(scores), -np.log10(share))


@pytest.mark.slow
def test_a_tiny_run_ends_with_files_and_goes_on_where_it_stood(tmp_path, capsys):
    studio = tiny_studio(tmp_path)
    failed = studio.go(list(ROWS))
    assert list(failed) == ["knn"]
    assert "no_such_map" in failed["knn"]
    rows = {row["method"]: row for row in read_figures(tmp_path / "out")}
    assert list(rows) == sorted(ROWS)
    assert rows["knn"]["reason"] == failed["knn"]
    assert rows["knn"]["ap"] == ""
    assert int(rows["entropy"]["trained"]) > int(rows["msp"]["trained"]) == 0
    for name in ("msp", "entropy", "frames", "scale"):
        assert cv2.imread(str(tmp_path / "out" / f"{name}.webp")) is not None
    assert not (tmp_path / "out" / "knn.webp").exists()
    (tmp_path / "out" / "msp.webp").unlink()
    capsys.readouterr()
    again = tiny_studio(tmp_path)
    assert again.go(["msp", "entropy"]) == {}
    assert "roadanomaly " not in capsys.readouterr().out
    assert (tmp_path / "out" / "msp.webp").exists()
