"""The sets of known classes: what their ids mean, by what the publishers say of them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from roadanomaly.cli.main import main
from roadanomaly.data import DATASETS
from roadanomaly.data.acdc import Acdc
from roadanomaly.data.ade20k import Ade20k
from roadanomaly.data.bdd100k import Bdd100k
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.idd import Idd
from roadanomaly.data.labelled import LabelledSet
from roadanomaly.data.mapillary_vistas import MapillaryVistas, MapillaryVistas2
from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives.paste import Paste
from tests import labelled_layouts, layouts

SETS = [name for name in DATASETS if issubclass(DATASETS.get(name), LabelledSet)]

IDD_TABLE = {
    0: "road",
    3: "sidewalk",
    5: "terrain",
    6: "person",
    8: "rider",
    9: "motorcycle",
    10: "bicycle",
    12: "car",
    13: "truck",
    14: "bus",
    17: "train",
    20: "wall",
    21: "fence",
    24: "traffic sign",
    25: "traffic light",
    26: "pole",
    29: "building",
    32: "vegetation",
    33: "sky",
}
"""AutoNUE's ids that have a Cityscapes train id in its own table: 1 and 2 are parking and drivable
fallback, 7 animal, 11 autorickshaw, 18 vehicle fallback, 34 background."""

IDD_LEVEL3 = (0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12, 13, 14, 15, 16)
IDD_LEVEL3 += (17, 18, 19, 20, 20, 21, 22, 23, 23, 24, 25, 25)
"""Level-3 id of each of AutoNUE's ids 0 to 34, from its table."""

ADE = {
    1: None,
    2: "building",
    3: "sky",
    4: None,
    5: "vegetation",
    7: "road",
    12: "sidewalk",
    13: "person",
    20: None,
    21: "car",
    33: "fence",
    35: None,
    44: None,
    81: "bus",
    84: "truck",
    94: "pole",
    127: None,
    128: "bicycle",
    137: "traffic light",
    150: None,
}
"""Places, from 1, in the published list: wall, building, sky, floor, tree, road, sidewalk, person,
chair, car, fence, rock, signboard, bus, truck, pole, animal, bicycle, traffic light, flag."""


def runs(label) -> list[int]:
    """Return the values of a label of stripes, from left to right, equal neighbours as one."""
    row = label[0].tolist()
    return [row[0], *(b for a, b in pairwise(row) if a != b)]


def stripes(label, count: int) -> list[int]:
    """Return what each of so many equally wide stripes became."""
    row = label[0].tolist()
    return [
        row[next(x for x in range(len(row)) if x * count // len(row) == i)] for i in range(count)
    ]


def ids(names) -> list[int]:
    return [255 if name is None else CITYSCAPES.index(name) for name in names]


@pytest.mark.parametrize("name", SETS)
def test_hidden_frames_carry_no_label_and_say_so(name, tmp_path: Path):
    getattr(layouts, name)(tmp_path)
    kept = [split for split, one in DATASETS.get(name).card.splits.items() if not one.public]
    for split in kept[:1]:
        frames = DATASETS.build(name, {"root": str(tmp_path), "split": split})
        assert all(frame.label is None for frame in frames)
        assert all(key.startswith("test_") for key in frames.ids)
        assert "hidden" in frames.hidden(frames.ids[0])


@pytest.mark.parametrize("name", SETS)
def test_splits_share_no_frame(name, tmp_path: Path):
    getattr(layouts, name)(tmp_path)
    kind, seen = DATASETS.get(name), []
    whole = [split for split in kind.card.splits if "-" not in split]
    for split in whole:
        seen += DATASETS.build(name, {"root": str(tmp_path), "split": split}).ids
    assert (
        len(seen)
        == len(set(seen))
        == len(kind.scan(DATASETS.build(name, {"root": str(tmp_path)}).root))
    )


@pytest.mark.parametrize("name", SETS)
def test_data_check_counts_and_reads(name, tmp_path: Path, capsys):
    getattr(layouts, name)(tmp_path)
    split = DATASETS.get(name).card.default
    code = main(["data", "check", name, "--root", str(tmp_path), "--split", split])
    out = capsys.readouterr().out
    assert "licence: " in out
    assert "classes: " in out
    problems = [line for line in out.splitlines() if line.startswith("problem: ")]
    missing = [f"the split {split} has", "missing"]
    assert all(all(word in line for word in missing) for line in problems), problems
    assert code == (2 if problems else 0)


@pytest.mark.parametrize("name", SETS)
def test_void_is_a_word_that_is_known(name, tmp_path: Path):
    getattr(layouts, name)(tmp_path)
    with pytest.raises(OptionError, match=f"`void` of {name} is 'lable'; did you mean `label`"):
        DATASETS.get(name)(root=tmp_path, void="lable")
    labels = [
        DATASETS.build(name, {"root": str(tmp_path), "void": v})[0].label
        for v in ("ignore", "label")
    ]
    changed = labels[0] != labels[1]
    assert changed.any()
    assert (labels[0][changed] == 255).all()
    assert (labels[1][changed] == 253).all()


def test_bdd_ids_are_train_ids_and_its_releases_are_alike(tmp_path: Path):
    frames = Bdd100k("val", labelled_layouts.bdd100k(tmp_path / "new"))
    assert runs(frames[0].label) == [*range(19), 255]
    old = tmp_path / "old" / "bdd100k" / "seg"
    layouts.write_all(old / "images" / "val", ["val0000-0.jpg"])
    layouts.write_all(old / "labels" / "val", ["val0000-0_train_id.png"], (18, 0, 255))
    (old / "color_labels" / "val").mkdir(parents=True)
    assert runs(Bdd100k("val", tmp_path / "old")[0].label) == [18, 0, 255]


def test_acdc_conditions_and_the_two_kinds_of_label(tmp_path: Path):
    root = labelled_layouts.acdc(tmp_path)
    assert len(Acdc("val", root)) == 4
    fog, night = Acdc("fog-val", root), Acdc("night-val", root)
    assert [frames.ids for frames in (fog, night)] == [
        ["fog_GOPR0401_frame_000001"],
        ["night_GOPR0401_frame_000001"],
    ]
    assert runs(fog[0].label) == [18, 255, 0]
    assert runs(night[0].label) == [0, 1, 255, 18]
    assert runs(Acdc("night-val", root, void="label")[0].label) == [0, 1, 253, 18]
    assert {name: one.frames for name, one in Acdc.card.splits.items() if "-" not in name} == {
        "train": 1600,
        "val": 406,
        "test": 2000,
    }
    assert Acdc.card.splits["night-val"].frames == 106


def test_idd_ids_become_what_its_own_table_says(tmp_path: Path):
    frames = Idd(root=labelled_layouts.idd(tmp_path))
    assert frames.ids == ["train_12_frame0029", "train_201_frame0029"]
    expected = ids(IDD_TABLE.get(index) for index in range(40))
    assert stripes(frames[0].label, 41)[:40] == expected
    kept = stripes(Idd(root=tmp_path, void="label")[0].label, 41)
    assert [kept[i] for i in (1, 2, 7, 11, 18, 34)] == [253] * 6
    assert kept[35:] == [255] * 6


def test_idd_level_3_takes_the_main_class_of_what_it_joins(tmp_path: Path):
    root = labelled_layouts.idd(tmp_path, "labellevel3Ids", (*range(26), 255))
    found = stripes(Idd(root=root)[0].label, 27)
    main_of = {5: 3, 6: 4, 26: 20, 33: 25}
    for index, level in enumerate(IDD_LEVEL3):
        alone = IDD_LEVEL3.count(level) == 1
        if alone or main_of.get(index) == level:
            assert found[level] == ids([IDD_TABLE.get(index)])[0], index
    assert [found[i] for i in (1, 8, 12, 13, 16, 17, 21, 23, 26)] == [255] * 9


def test_idd_id_files_are_taken_before_level_3(tmp_path: Path):
    labelled_layouts.idd(tmp_path)
    labelled_layouts.idd(tmp_path, "labellevel3Ids", (1,))
    assert Idd.version(tmp_path / "IDD_Segmentation") == "labels *_gtFine_labelids"
    assert 0 in Idd(root=tmp_path)[0].label


def test_idd_polygons_alone_are_no_labels(tmp_path: Path):
    labelled_layouts.idd(tmp_path)
    for path in tmp_path.rglob("*_labelids.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"2 of 2 frames .* no label file.*createLabels\.py"):
        Idd(root=tmp_path)
    assert "none made" in Idd.version(tmp_path / "IDD_Segmentation")


def test_ade_ids_count_from_one(tmp_path: Path):
    frames = Ade20k("validation", labelled_layouts.ade20k(tmp_path))
    found = stripes(frames[0].label, 151)
    assert found[0] == 255
    assert {key: found[key] for key in ADE} == dict(zip(ADE, ids(ADE.values()), strict=True))
    kept = stripes(Ade20k("validation", tmp_path, void="label")[0].label, 151)
    assert (kept[0], kept[1], kept[150]) == (255, 253, 253)


def test_vistas_follows_the_order_of_its_config(tmp_path: Path):
    expected = dict(zip(labelled_layouts.VISTAS, ids([
        None, None, "sidewalk", "fence", "fence", None, "wall", "road", "road", "sidewalk", "road",
        "sidewalk", "road", "road", "rider", "road", "car", None, None,
    ]), strict=True))  # fmt: skip
    for place, names in (("a", labelled_layouts.VISTAS), ("b", labelled_layouts.VISTAS[::-1])):
        root = labelled_layouts.mapillary_vistas(tmp_path / place, names=names)
        found = stripes(MapillaryVistas(root=root)[0].label, len(names))
        assert dict(zip(names, found, strict=True)) == expected
    kept = stripes(MapillaryVistas(root=tmp_path / "a", void="label")[0].label, 19)
    assert [i for i, value in enumerate(kept) if value == 253] == [0, 1, 5]
    assert kept[-2:] == [255, 255]


def test_vistas_first_archive_and_version_2(tmp_path: Path):
    old = MapillaryVistas("validation", labelled_layouts.mapillary_vistas(tmp_path / "o", old=True))
    new = MapillaryVistas("validation", labelled_layouts.mapillary_vistas(tmp_path / "n"))
    assert (old[0].label == new[0].label).all()
    frames = MapillaryVistas2(root=labelled_layouts.mapillary_vistas_v2(tmp_path / "v2"))
    expected = ids(["person", "road", "traffic light", None, None])
    assert stripes(frames[0].label, 5) == expected


@pytest.mark.parametrize("content", ["no json", "{}", '{"labels": [1]}', '{"labels": []}'])
def test_vistas_broken_config(tmp_path: Path, content):
    root = labelled_layouts.mapillary_vistas(tmp_path)
    (root / "mapillary-vistas" / "config_v1.2.json").write_text(content)
    with pytest.raises(DataError, match=r"config_v1\.2\.json should list the classes"):
        MapillaryVistas(root=root)[0]


def test_vistas_id_beyond_the_config(tmp_path: Path):
    root = labelled_layouts.mapillary_vistas(tmp_path)
    path = next(root.rglob("training/v1.2/labels/*.png"))
    layouts.write_ids(path, (0, 65), (24, 38))
    with pytest.raises(DataError, match=r"\[65\].*defines 0 to 18"):
        MapillaryVistas(root=root)[0]


def test_paste_takes_coco_as_it_unpacks(tmp_path: Path):
    source = Paste(root=str(labelled_layouts.coco(tmp_path / "coco")))
    assert source.reader.format == "coco"
    assert source.record()["classes"] == {"cow": 2}
    assert source.record()["images"] == 2
    assert not source.reader.skipped
    (tmp_path / "coco" / "train2017").rename(tmp_path / "elsewhere")
    alone = Paste(root=str(tmp_path / "coco"))
    assert alone.record()["classes"] == {"cow": 1}
    assert alone.reader.skipped == {"label without image": 1}


def test_paste_takes_ade20k_as_it_unpacks(tmp_path: Path):
    labelled_layouts.ade20k(tmp_path)
    names = [json.dumps(i) for i in range(1, 151)]
    (tmp_path / "ADEChallengeData2016" / "names.txt").write_text("\n".join(names))
    source = Paste(root=str(tmp_path / "ADEChallengeData2016"), min_area=0.0, objects="classes")
    assert source.reader.format == "index_mask"
    assert source.reader.images == 4
