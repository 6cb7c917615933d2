"""What is wrong with the files that say where the objects to paste are."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from tests.mistakes.bench import Bench, Words, case, truncate
from tests.negatives import tiny

COCO = "annotations/instances_train.json"
SQUARE = "0.1 0.1 0.5 0.1 0.5 0.5"


def pasted(bench: Bench, *words: object) -> Words:
    """Evaluate on frames with objects pasted into them."""
    options = ("--negatives.name", "paste", "--negatives.root", objects(bench))
    return bench.modelled(*options, *words)


def objects(bench: Bench) -> Path:
    return bench.root / "objects"


def coco(bench: Bench, **changes: object) -> Path:
    """Write a COCO set, each annotation with these fields changed; None removes one."""
    path = tiny.coco(objects(bench), images=1) / COCO
    content = json.loads(path.read_text())
    for note in content["annotations"]:
        note |= changes
    content["annotations"] = [
        {key: value for key, value in note.items() if value is not None}
        for note in content["annotations"]
    ]
    path.write_text(json.dumps(content))
    return path


def yolo(bench: Bench, row: str, names: str = "names: [tyre]") -> Path:
    """Write a YOLO set of one row."""
    root = tiny.yolo(objects(bench), images=1)
    (root / "labels/train/000.txt").write_text(row + "\n")
    (root / "data.yaml").write_text(names)
    return root


@case("the objects' folder does not exist", "objects' does not exist")
def objects_missing(bench):
    return pasted(bench)


@case("the objects' folder is a file", "objects' does not exist")
def objects_are_a_file(bench):
    objects(bench).write_text("no folder")
    return pasted(bench)


@case("the objects' folder is empty", "holds no cut-outs in a known layout", "_annotations.coco")
def objects_of_no_layout(bench):
    objects(bench).mkdir()
    return pasted(bench)


@case("the objects' format is unknown", "no cut-out format is called 'coko'", "`coco`")
def format_unknown(bench):
    coco(bench)
    return pasted(bench, "--negatives.format", "coko")


@case("the objects have another format", "read as yolo", "labels/**/*.txt")
def format_of_another(bench):
    coco(bench)
    return pasted(bench, "--negatives.format", "yolo")


@case("a COCO file is cut off", "instances_train.json is no COCO instance file")
def coco_truncated(bench):
    truncate(coco(bench))
    return pasted(bench)


@case("a COCO file has no categories", "KeyError: 'categories'")
def coco_without_categories(bench):
    path = coco(bench)
    content = json.loads(path.read_text())
    del content["categories"]
    path.write_text(json.dumps(content))
    return pasted(bench)


@case("a COCO file's lists are none", "not all of them are lists")
def coco_without_lists(bench):
    coco(bench).write_text('{"images": {}, "categories": {}, "annotations": {}}')
    return pasted(bench)


@case("a COCO file is brackets without end", "RecursionError", "no COCO instance file")
def coco_of_brackets(bench):
    coco(bench).write_text("[" * 200_000)
    return pasted(bench)


@case("a COCO file is no text", "'utf-8' codec", "no COCO instance file")
def coco_no_text(bench):
    coco(bench).write_bytes(b"\xff\xfe\x00\x01")
    return pasted(bench)


@case("a COCO image has no id", "KeyError: 'id'")
def coco_without_image_id(bench):
    path = coco(bench)
    content = json.loads(path.read_text())
    del content["images"][0]["id"]
    path.write_text(json.dumps(content))
    return pasted(bench)


@case("COCO annotations are of unknown images", "4 x annotation of an unknown `image_id`")
def coco_unknown_images(bench):
    coco(bench, image_id=77)
    return pasted(bench)


@case("COCO annotations are of unknown classes", "3 x annotation of an unknown `category_id`")
def coco_unknown_classes(bench):
    coco(bench, category_id=77)
    return pasted(bench)


@case("COCO annotations have no box", "3 x annotation without a `bbox`")
def coco_without_boxes(bench):
    coco(bench, bbox=None)
    return pasted(bench)


@case("COCO annotations have boxes alone", "3 x annotation without a mask")
def coco_without_masks(bench):
    coco(bench, segmentation=None)
    return pasted(bench)


@case("COCO polygons are odd", "3 x polygon that is no list of x, y, x, y")
def coco_odd_polygons(bench):
    coco(bench, segmentation=[[1, 1, 9, 1, 9, 9, 1]])
    return pasted(bench)


@case("COCO polygons are in other units", "3 x polygon that lies far outside its image")
def coco_polygons_outside(bench):
    coco(bench, segmentation=[[1, 1, 1e9, 1, 9, 9]])
    return pasted(bench)


@case("COCO polygons lie beside their images", "3 x polygon outside its image")
def coco_polygons_beside(bench):
    coco(bench, segmentation=[[-9, 1, -4, 1, -4, 6]])
    return pasted(bench)


@case("COCO polygons are lines", "3 x polygon without area")
def coco_polygons_flat(bench):
    coco(bench, segmentation=[[1, 1, 9, 9, 5, 5]])
    return pasted(bench)


@case("COCO run lengths are cut off", "3 x run lengths that do not fill their image")
def coco_short_runs(bench):
    coco(bench, segmentation={"size": [40, 50], "counts": [5, 10]})
    return pasted(bench)


@case("COCO run lengths are of turned images", "3 x run lengths of another shape")
def coco_turned_runs(bench):
    coco(bench, segmentation={"size": [50, 40], "counts": [1000, 1000]})
    return pasted(bench)


@case("COCO annotations are crowds alone", "4 x annotation of a crowd")
def coco_crowds(bench):
    coco(bench, iscrowd=1)
    return pasted(bench)


@case("COCO annotations have words as flags", "4 x annotation whose `iscrowd` is neither 0 nor 1")
def coco_crowd_words(bench):
    coco(bench, iscrowd="no")
    return pasted(bench)


def recorded(bench: Bench, part: str, *, again: bool = False, **changes: object) -> None:
    """Write a COCO set whose first image or category is changed, or is there again, changed."""
    path = coco(bench)
    content = json.loads(path.read_text())
    first = content[part][0]
    content[part] = [*content[part], first | changes] if again else [first | changes]
    path.write_text(json.dumps(content))


@case("a COCO file has other sizes than its images", "000.png: 50x40, annotated as 40x50")
def coco_turned_images(bench):
    recorded(bench, "images", width=40, height=50)
    return pasted(bench)


@case("a COCO file gives an id to two images", "4 x annotation of a doubled `image_id`")
def coco_doubled_images(bench):
    recorded(bench, "images", again=True, file_name="001.png")
    return pasted(bench)


@case("a COCO file gives ids to two classes", "annotation of a doubled `category_id`")
def coco_doubled_classes(bench):
    path = coco(bench, category_id=3)
    content = json.loads(path.read_text())
    content["categories"].append({"id": 3, "name": "sofa"})
    path.write_text(json.dumps(content))
    return pasted(bench)


@case("a COCO file names an image beyond all length", "label without image (xxx")
def coco_long_name(bench):
    recorded(bench, "images", file_name="x" * 300)
    (objects(bench) / "train" / "000.png").unlink()
    return pasted(bench)


@case("the images of a COCO file are none", "damaged image (000.png)")
def coco_images_rotten(bench):
    coco(bench)
    junk = b"\xff\xd8\xff" + b"junk" * 50 + b"\xff\xd9"
    (objects(bench) / "train" / "000.png").write_bytes(junk)
    return pasted(bench)


@case("the images of a COCO file are not there", "label without image (000.png)")
def coco_without_images(bench):
    coco(bench)
    (objects(bench) / "train" / "000.png").unlink()
    return pasted(bench)


@case("the images of a COCO file are cut off", "truncated image (000.png)")
def coco_images_truncated(bench):
    coco(bench)
    truncate(objects(bench) / "train" / "000.png")
    return pasted(bench)


@case("an excluded class is none of the set's", "`exclude` names the class 'dgo'", "`dog`")
def coco_excludes_unknown(bench):
    coco(bench)
    return pasted(bench, "--negatives.exclude", "[dgo]")


@case("no object is large enough", "`min_area` removed")
def coco_objects_too_small(bench):
    coco(bench)
    return pasted(bench, "--negatives.min_area", "0.99")


@case("a YOLO row lacks a coordinate", "000.txt:1 has an odd number of coordinates")
def yolo_odd(bench):
    yolo(bench, "0 0.1 0.1 0.5 0.1 0.5 0.5 0.2")
    return pasted(bench)


@case("a YOLO row holds a word", "000.txt:1 holds something that is no number")
def yolo_words(bench):
    yolo(bench, f"tyre {SQUARE}")
    return pasted(bench)


@case("a YOLO row holds NaN", "000.txt:1", "no value is NaN")
def yolo_nan(bench):
    yolo(bench, f"nan {SQUARE}")
    return pasted(bench)


@case("a YOLO row names a class beyond the names", "names class 3, but 1 names are known")
def yolo_class_unknown(bench):
    yolo(bench, f"3 {SQUARE}")
    return pasted(bench)


@case("YOLO rows are boxes", "1 x row without a polygon")
def yolo_boxes(bench):
    yolo(bench, "0 0.5 0.5 0.2 0.2")
    return pasted(bench)


@case("YOLO rows are in pixels", "1 x row whose coordinates are not in 0..1 (000.txt: row 1)")
def yolo_pixels(bench):
    yolo(bench, "0 4 15 9 15 9 20 4 20")
    return pasted(bench)


@case("YOLO rows are points", "1 x row whose polygon is without area (000.txt: row 1)")
def yolo_points(bench):
    yolo(bench, "0 0.5 0.5 0.5 0.5 0.5 0.5")
    return pasted(bench)


@case("a YOLO label is no text", "000.txt cannot be read as text")
def yolo_no_text(bench):
    root = yolo(bench, "")
    (root / "labels/train/000.txt").write_bytes(b"\xff\xfe\x00")
    return pasted(bench)


@case("YOLO labels have no images", "label without image (000.jpg)")
def yolo_without_images(bench):
    (yolo(bench, f"0 {SQUARE}") / "images/train/000.jpg").unlink()
    return pasted(bench)


@case("data.yaml is no YAML", "data.yaml does not name the classes")
def description_broken(bench):
    yolo(bench, f"0 {SQUARE}", "names: [tyre")
    return pasted(bench)


@case("data.yaml names no classes", "`names` is None", "`0: name, 1: name`")
def description_without_names(bench):
    yolo(bench, f"0 {SQUARE}", "nc: 1")
    return pasted(bench)


@case("class masks lie on their side", "000.jpg: 50x40, annotated as 40x50", "read as index_mask")
def masks_turned(bench):
    root = tiny.index_mask(objects(bench), images=1)
    path = root / "annotations/training/000.png"
    tiny.write(path, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).T)
    return pasted(bench)


@case("cut-outs have no transparency", "1 x no alpha channel (a.png)", "read as rgba")
def cutouts_without_alpha(bench):
    tiny.write(objects(bench) / "a.png", tiny.photo(0))
    return pasted(bench, "--negatives.format", "rgba")
