import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from roadanomaly.data.cutouts import READERS, open_cutouts
from roadanomaly.data.cutouts.base import fill_polygon
from roadanomaly.data.cutouts.names import COCO, ROAD_CLASSES
from roadanomaly.data.cutouts.yolo import parse
from roadanomaly.errors import DataError, OptionError
from tests.negatives import tiny
from tests.photographs import photograph, save


@pytest.mark.parametrize("layout", READERS)
def test_format_is_found_and_each_object_is_read(tmp_path, layout):
    reader = open_cutouts(tiny.FORMATS[layout](tmp_path))
    assert reader.format == layout
    for entry in reader.entries:
        cutout = reader.read(entry)
        assert cutout.colour.shape == (*cutout.alpha.shape, 3)
        assert cutout.alpha.max() == 255
        assert (cutout.colour[cutout.alpha == 0] == 0).all()


@pytest.mark.parametrize("layout", READERS)
def test_hidden_copies_are_no_cut_outs(tmp_path, layout):
    root = tiny.FORMATS[layout](tmp_path)
    before = open_cutouts(root).entries
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07\xff")
        if path.suffix in (".png", ".jpg", ".txt"):
            copies = path.parent / ".Trash-0"
            copies.mkdir(exist_ok=True)
            (copies / f"old_{path.name}").write_bytes(path.read_bytes())
    reader = open_cutouts(root)
    assert (reader.format, reader.entries) == (layout, before)


@pytest.mark.parametrize(
    ("layout", "categories"),
    [
        ("yolo", ["dog", "car"]),
        ("coco", ["dog", "kite", "car"]),
        ("index_mask", ["wall", "lamp", "lamp"]),
        ("rgba", ["car", "cone"]),
    ],
)
def test_categories_of_each_format(tmp_path, layout, categories):
    reader = open_cutouts(tiny.FORMATS[layout](tmp_path, images=2))
    assert sorted(e.category for e in reader.entries) == sorted(2 * categories)


@pytest.mark.parametrize("layout", READERS)
def test_box_and_pixels_of_a_known_rectangle(tmp_path, layout):
    root = tiny.FORMATS[layout](tmp_path, images=1)
    reader = open_cutouts(root)
    x, y, width, height = tiny.BOX
    wanted = {"yolo": "dog", "coco": "dog", "index_mask": "lamp", "rgba": "cone"}[layout]
    entry = next(e for e in reader.entries if e.category == wanted)
    assert entry.share == pytest.approx(width * height / (tiny.WIDTH * tiny.HEIGHT), abs=1e-6)
    cutout = reader.read(entry)
    assert cutout.alpha.shape == (height, width)
    image = cv2.imread(str(entry.image))[..., ::-1]
    solid = cutout.alpha == 255
    assert (cutout.colour[solid] == image[y : y + height, x : x + width][solid]).all()


def test_parts_are_united_and_holes_stay_open(tmp_path):
    reader = open_cutouts(tiny.coco(tmp_path, images=1))
    dog, kite = (
        reader.read(next(e for e in reader.entries if e.category == name)).alpha
        for name in ("dog", "kite")
    )
    assert dog[:10].all()
    assert dog[20:].all()
    assert not dog[10:20].any()
    expected = np.full((10, 15), 255)
    expected[3:6, 5:10] = 0
    assert (kite == expected).all()
    assert reader.skipped == {"annotation of a crowd": 1}


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.3, 0.7), (-6.2, -9.6), (34.0, 21.0)])
def test_filled_polygon_is_the_set_of_pixel_centres_inside(offset):
    corners = np.array([[8.0, 3], [27, 11], [19, 33], [12, 20], [4, 27]]) + offset
    mask = fill_polygon(corners, 40, 50)
    contour = corners.astype(np.float32)[:, None]
    centres = ((x + 0.5, y + 0.5) for y in range(40) for x in range(50))
    inside = [cv2.pointPolygonTest(contour, centre, False) > 0 for centre in centres]
    wrong = (mask > 0) != np.reshape(inside, (40, 50))
    edges = np.sqrt((np.diff(np.vstack([corners, corners[:1]]), axis=0) ** 2).sum(1)).sum()
    assert wrong.sum() < 0.15 * edges


def test_polygon_with_a_bridged_hole_is_filled_by_the_even_odd_rule(tmp_path):
    root = tiny.yolo(tmp_path, images=1)
    outer = [(5, 5), (45, 5), (45, 35), (5, 35), (5, 5)]
    inner = [(15, 15), (15, 25), (30, 25), (30, 15), (15, 15)]
    numbers = " ".join(f"{x / tiny.WIDTH} {y / tiny.HEIGHT}" for x, y in outer + inner)
    (root / "labels/train/000.txt").write_text(f"16 {numbers}\n")
    reader = open_cutouts(root)
    alpha = reader.read(reader.entries[0]).alpha
    expected = np.full((30, 40), 255)
    expected[10:20, 10:25] = 0
    assert np.count_nonzero(alpha != expected) <= 15


def test_components_or_whole_classes_and_never_unlabelled_pixels(tmp_path):
    root = tiny.index_mask(tmp_path, images=1)
    single = open_cutouts(root, objects="components")
    whole = open_cutouts(root, objects="classes")
    assert [e.category for e in single.entries] == ["wall", "lamp", "lamp"]
    assert [e.category for e in whole.entries] == ["wall", "lamp"]
    _, _, width, height = tiny.BOX
    alpha = whole.read(whole.entries[1]).alpha
    assert np.count_nonzero(alpha) == width * height + 100
    assert alpha.shape == (30, 35)


@pytest.mark.parametrize("upright", [True, False])
def test_an_index_mask_decides_which_way_up_its_image_is_read(tmp_path, upright):
    save(tmp_path / "images" / "a.png", photograph(), 6)
    ids = np.zeros((32, 24) if upright else (24, 32), np.uint8)
    ids[2:8, 3:12] = 1
    tiny.write(tmp_path / "annotations" / "a.png", ids)
    reader = open_cutouts(tmp_path)
    image = np.asarray(photograph())
    expected = (np.rot90(image, -1) if upright else image)[2:8, 3:12]
    np.testing.assert_array_equal(reader.read(reader.entries[0]).colour, expected)


@pytest.mark.parametrize("shape", [(50, 40), (40, 40), (80, 80)])
def test_an_index_mask_of_other_proportions_than_its_image_is_left_out(tmp_path, shape):
    root = tiny.index_mask(tmp_path, images=2)
    tiny.write(root / "annotations/training/000.png", np.full(shape, 2, np.uint8))
    reader = open_cutouts(root)
    assert {entry.image.stem for entry in reader.entries} == {"001"}
    assert reader.images == 1
    assert "1 x image of other proportions than its annotations (000.jpg: 50x40, annotated as " in (
        reader.left_out()
    )


def test_a_smaller_index_mask_is_scaled_to_its_image(tmp_path):
    root = tiny.index_mask(tmp_path, images=1)
    path = root / "annotations/training/000.png"
    tiny.write(path, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[::2, ::2])
    reader = open_cutouts(root)
    assert not reader.skipped
    assert reader.read(reader.entries[1]).alpha.shape == (30, 20)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_cut_out_file_is_turned_upright_with_its_transparency(tmp_path, orientation):
    image = photograph().convert("RGBA")
    image.putalpha(Image.fromarray(np.pad(np.full((6, 9), 255, np.uint8), ((2, 16), (3, 20)))))
    save(tmp_path / "cone" / "a.png", image, orientation)
    reader = open_cutouts(tmp_path, "rgba")
    shape = (6, 9) if orientation == 1 else (9, 6)
    assert reader.read(reader.entries[0]).alpha.shape == shape


def test_index_mask_without_names_calls_classes_by_id(tmp_path):
    root = tiny.index_mask(tmp_path, images=1)
    (root / "objectInfo150.txt").unlink()
    assert {e.category for e in open_cutouts(root).entries} == {"1", "2"}


def test_soft_alpha_stays_soft(tmp_path):
    reader = open_cutouts(tiny.rgba(tmp_path, images=1))
    cutout = reader.read(reader.entries[0])
    assert set(np.unique(cutout.alpha)) == {128, 255}


def test_truncated_and_missing_images_are_counted_and_logged(tmp_path, caplog):
    root = tiny.yolo(tmp_path, images=4)
    broken, lost = root / "images/train/001.jpg", root / "images/train/002.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    lost.unlink()
    with caplog.at_level(logging.WARNING):
        reader = open_cutouts(root)
    assert reader.skipped == {"truncated image": 1, "label without image": 1}
    assert reader.images == 2
    assert {e.image.stem for e in reader.entries} == {"000", "003"}
    assert "001.jpg" in caplog.text


@pytest.mark.parametrize("layout", ["index_mask", "rgba"])
def test_a_mask_that_is_damaged_after_the_start_is_left_out_with_a_warning(
    tmp_path, layout, caplog
):
    root = tiny.FORMATS[layout](tmp_path, images=1)
    reader = open_cutouts(root)
    entry = reader.entries[0]
    assert reader.read(entry) is not None
    folder = root / "annotations" if layout == "index_mask" else root
    for path in folder.rglob("*.png"):
        path.write_bytes(path.read_bytes()[:-20])
    assert reader.read(entry) is None
    assert "cut-out left out: " in caplog.text
    assert str(folder) in caplog.text


@pytest.mark.parametrize("left", ["", "\n \n", "0 0.5 0.5 0.25 0.25\n"])
def test_a_text_that_was_shortened_after_the_start_is_left_out_with_a_warning(
    tmp_path, left, caplog
):
    reader = open_cutouts(tiny.yolo(tmp_path, images=1))
    (label,) = tmp_path.rglob("labels/**/*.txt")
    label.write_text(left)
    assert [reader.read(entry) for entry in reader.entries] == [None] * len(reader.entries)
    for entry in reader.entries:
        assert f"{label}:{entry.key + 1} holds no polygon any more" in caplog.text


def test_damaged_pixels_are_not_taken_for_a_missing_alpha_channel(tmp_path):
    root = tiny.rgba(tmp_path, images=2)
    path = sorted(root.rglob("*.png"))[-1]
    data = bytearray(path.read_bytes())
    data[-40:-20] = bytes(20)
    path.write_bytes(bytes(data))
    assert dict(open_cutouts(root).skipped) == {"damaged image": 1}


def test_folder_without_cutouts(tmp_path):
    with pytest.raises(DataError, match="instances_"):
        open_cutouts(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        open_cutouts(tmp_path / "nowhere")


def test_labels_of_boxes_hold_no_polygon(tmp_path):
    root = tiny.yolo(tmp_path, images=1)
    (root / "labels/train/000.txt").write_text("16 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match="1 x row without a polygon"):
        open_cutouts(root)


def test_unknown_format_and_kind_of_objects(tmp_path):
    with pytest.raises(OptionError, match="did you mean `yolo`"):
        open_cutouts(tmp_path, "yollo")
    with pytest.raises(OptionError, match="did you mean `classes`"):
        open_cutouts(tmp_path, objects="class")


@pytest.mark.parametrize(("line", "match"), [("1 0.1 x", "no number"), ("1 0.1 0.2 0.3", "odd")])
def test_malformed_rows(line, match):
    with pytest.raises(DataError, match=match):
        parse(line, "labels/a.txt:1")


def test_class_without_a_name(tmp_path):
    root = tiny.yolo(tmp_path, images=1)
    (root / "labels/train/000.txt").write_text("80 0.1 0.1 0.5 0.1 0.5 0.5\n")
    with pytest.raises(DataError, match="names class 80"):
        open_cutouts(root)
    (root / "names.txt").write_text("\n".join(f"thing {i}" for i in range(81)))
    assert open_cutouts(root).entries[0].category == "thing 80"


def test_coco_file_that_is_none(tmp_path):
    (tmp_path / "instances_a.json").write_text('{"images": []}')
    with pytest.raises(DataError, match="no COCO instance file"):
        open_cutouts(tmp_path)


def test_coco_names():
    assert len(set(COCO)) == 80
    # Official anchors of the 80-class order: https://cocodataset.org
    assert [COCO[i] for i in (0, 9, 16, 24, 39, 56, 79)] == [
        "person",
        "traffic light",
        "dog",
        "backpack",
        "bottle",
        "chair",
        "toothbrush",
    ]
    assert {"person", "car", "traffic light", "wall"} <= ROAD_CLASSES
