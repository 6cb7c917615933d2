"""The sets as they are handed round: found, counted, scored by number, and never submitted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from roadanomaly.cli.main import main
from roadanomaly.data import DATASETS, handed_round
from roadanomaly.data.handed_round import FOLDERS
from roadanomaly.errors import DataError
from tests import layouts

SETS = {
    "smiyc-anomaly": ("RoadAnomaly21", 10),
    "smiyc-obstacle": ("RoadObsticle21", 30),
    "fishyscapes-laf": ("FS_LostFound_full", 100),
    "fishyscapes-static": ("fs_static", 30),
    "roadanomaly": ("RoadAnomaly", 60),
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return layouts.validation_dataset(tmp_path_factory.mktemp("given"))


def opened(name, root):
    return DATASETS.from_spec({"name": name, "root": str(root)})


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_found_from_the_collection_or_its_own_folder(collection, name):
    folder, count = SETS[name]
    for root in (collection, collection / folder, collection.parent):
        frames = opened(name, root)
        assert len(frames) == count
        assert frames.frame_ids() == sorted(map(str, range(count)))
        assert frames.record()["frames"] == f"{count} of {count}"
    frame = frames[1]
    anomaly = np.asarray(frame.truth)
    expected = [0, 1, 1, 0] if name == "roadanomaly" else [0, 1, 255, 0]
    np.testing.assert_array_equal(anomaly[0, ::8], expected)


@pytest.mark.parametrize("name", SETS)
def test_data_check_recognises_it_and_its_count(collection, name, capsys):
    assert main(["data", "check", name, "--root", str(collection), "--limit", "3"]) == 0
    out = capsys.readouterr().out
    assert "version: as handed round" in out
    assert f"read of {SETS[name][1]}, 0 with problems" in out


def test_score_maps_are_named_by_its_ids(collection, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "maps").mkdir()
    for number in range(10):
        np.save(tmp_path / "maps" / f"{number}.npy", rng.normal(size=(24, 32)).astype("f4"))
    words = ["evaluate", "--scores", tmp_path / "maps", "--on", "smiyc-anomaly"]
    words += ["--root", collection, "--out", tmp_path / "out", "--pictures", "0", "--mode", "exact"]
    assert main(list(map(str, words))) == 0
    numbers = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert numbers["smiyc-anomaly"]["frames"] == 10


@pytest.mark.parametrize(("name", "other"), [("smiyc-anomaly", "smiyc-obstacle")])
def test_the_folder_of_another_set_is_refused(collection, name, other):
    with pytest.raises(DataError, match=f"is that of `{other}`"):
        opened(name, collection / SETS[other][0])


def test_a_copy_under_any_name_is_taken(collection, tmp_path):
    own = tmp_path / "my_copy"
    (collection / "fs_static").rename(own)
    try:
        assert len(opened("fishyscapes-static", own)) == 30
    finally:
        own.rename(collection / "fs_static")


def test_a_missing_frame_is_counted_and_a_missing_mask_named(tmp_path, capsys):
    root = layouts.validation_dataset(tmp_path)
    (root / "RoadAnomaly21" / "images" / "3.png").unlink()
    assert main(["data", "check", "smiyc-anomaly", "--root", str(root)]) == 2
    out = capsys.readouterr().out
    assert "the split validation has 9 frames, not 10: 1 missing" in out
    assert "1 label files have no image: 3." in out
    (root / "RoadAnomaly" / "labels_masks" / "7.png").unlink()
    with pytest.raises(DataError, match=r"1 of the images .* have no label.*: 7"):
        opened("roadanomaly", root)


def test_a_frame_without_a_mask_is_opened_and_two_of_one_number_are_not(tmp_path):
    root = layouts.validation_dataset(tmp_path)
    images, masks = handed_round.numbered(root / "RoadAnomaly", "roadanomaly")
    masks["7"].unlink()
    kept, left = handed_round.numbered(root / "RoadAnomaly", "roadanomaly")
    assert (set(kept) - set(left), kept) == ({"7"}, images)
    images["3"].with_suffix(".bmp").touch()
    with pytest.raises(DataError, match="two files have the id 3"):
        handed_round.numbered(root / "RoadAnomaly", "roadanomaly")


@pytest.mark.parametrize("name", ["smiyc-anomaly", "fishyscapes-static"])
def test_a_stray_mask_is_named_and_the_set_is_recognised(tmp_path, capsys, name):
    root = layouts.validation_dataset(tmp_path)
    masks = root / SETS[name][0] / "labels_masks"
    (masks / "0 (1).png").write_bytes((masks / "0.png").read_bytes())
    assert main(["data", "check", name, "--root", str(root)]) == 2
    out = capsys.readouterr().out
    assert "version: as handed round" in out
    assert "problem: 1 label files have no image: 0 (1)." in out
    assert "no label file" not in out
    assert len(opened(name, root)) == SETS[name][1]


def test_a_stray_mask_of_roadanomaly_is_named(tmp_path):
    root = layouts.validation_dataset(tmp_path)
    masks = root / "RoadAnomaly" / "labels_masks"
    (masks / "0 (1).png").write_bytes((masks / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"1 of the labels .* have no image .*: 0 \(1\)"):
        opened("roadanomaly", root)


@pytest.mark.parametrize("name", SETS)
def test_a_frame_that_lies_there_twice_is_refused_by_its_files(tmp_path, name):
    root = layouts.validation_dataset(tmp_path)
    for folder in ("images", "labels_masks"):
        path = next((root / SETS[name][0] / folder).glob("0.*"))
        path.with_name(f"0 (1){path.suffix}").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"1 have another name: .*images/0 \(1\).*take them out"):
        opened(name, root)


def test_few_numbers_among_other_masks_are_another_layout(tmp_path):
    layouts.smiyc_anomaly(tmp_path)
    top = tmp_path / "dataset_AnomalyTrack"
    layouts.write_all(top / "labels_masks", ["0.png"])
    assert not handed_round.is_handed_round(top)


def test_the_published_layout_goes_first(tmp_path):
    root = layouts.validation_dataset(tmp_path)
    layouts.smiyc_anomaly(root)
    assert opened("smiyc-anomaly", root).frame_ids()[0] == "validation0000"


def test_published_frames_under_a_known_name_are_published_frames(tmp_path):
    layouts.smiyc_anomaly(tmp_path)
    (tmp_path / "dataset_AnomalyTrack").rename(tmp_path / "RoadAnomaly21")
    assert opened("smiyc-anomaly", tmp_path).frame_ids()[0] == "validation0000"


@pytest.mark.parametrize("benchmark", ["smiyc-anomaly", "smiyc-obstacle"])
def test_numbers_are_no_official_ids_so_nothing_is_submitted(
    collection, benchmark, tmp_path, capsys
):
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "0.npy", np.eye(24, 32, dtype="f4"))
    words = ["export", "submission", "--scores", tmp_path / "maps", "--for", benchmark]
    words += ["--root", collection, "--out", tmp_path / "out", "--incomplete"]
    assert main(list(map(str, words))) == 2
    told = capsys.readouterr().err
    assert "its frames are numbered" in told
    assert "official ids" in told
    assert not (tmp_path / "out").exists()


def test_every_folder_is_of_a_set_that_exists():
    assert set(FOLDERS.values()) == set(SETS) <= set(DATASETS)
