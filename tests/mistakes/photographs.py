"""What is wrong with photographs, with masks drawn on them, and with sets that are handed round."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from tests import layouts
from tests.mistakes.bench import Bench, Words, case, truncate
from tests.photographs import photograph, save


def predict(bench: Bench, *words: object) -> Words:
    return ["predict", str(bench.model), *map(str, words), "--out", str(bench.out)]


def label(bench: Bench, *words: object) -> Words:
    options = ["--segmenter.name", "espnetv2", "--segmenter.scale", "0.5", "--out", str(bench.out)]
    return ["label", *map(str, words), *options]


def own(bench: Bench, *masks: tuple[int, ...]) -> None:
    """Write `own/images/` and `own/labels/`, a photograph for each tuple of values."""
    for number, values in enumerate(masks):
        layouts.write_photo(bench.root / "own" / "images" / f"{number}.png", number)
        layouts.write_ids(bench.root / "own" / "labels" / f"{number}.png", values)


def checked(bench: Bench, *words: object, name: str = "folder") -> Words:
    root = bench.root / ("own" if name == "folder" else "Validation_Dataset")
    return ["data", "check", name, "--root", str(root), *map(str, words)]


@case("an image is a text", "note.jpg cannot be decoded as an image")
def image_is_text(bench):
    (bench.root / "note.jpg").write_text("no picture")
    return predict(bench, bench.root / "note.jpg")


@case("an image is empty", "empty.png is empty")
def image_is_empty(bench):
    (bench.root / "empty.png").touch()
    return predict(bench, bench.root / "empty.png")


@case("a photograph was cut off while it was copied", "phone.jpg is truncated")
def photograph_cut_off(bench):
    truncate(save(bench.root / "phone.jpg", photograph(), 6))
    return predict(bench, bench.root / "phone.jpg")


@case("an image claims more pixels than there can be", "huge.png", "cannot be decoded")
def image_of_too_many_pixels(bench):
    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", 90_000, 90_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    (bench.root / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return predict(bench, bench.root / "huge.png")


@case("a folder to predict on holds no image", "names no image")
def folder_without_images(bench):
    (bench.root / "empty").mkdir()
    return predict(bench, bench.root / "empty")


@case("an image to predict on does not exist", "nowhere.jpg' names no image; it does not exist")
def image_missing(bench):
    return predict(bench, bench.root / "nowhere.jpg")


@case("a name would be labelled twice", "1 names occur twice (a)")
def label_twice(bench):
    paths = [bench.root / folder / "a.png" for folder in ("one", "two")]
    for path in paths:
        layouts.write_photo(path, 0)
    return label(bench, *paths)


@case("the least softmax is no share", "--least 50 must lie between 0 and 1")
def label_least(bench):
    return label(bench, bench.track / "images", "--least", "50")


@case("a label was drawn on a photograph as it is stored", "--data.upright false", "EXIF")
def label_of_stored_pixels(bench):
    save(bench.root / "own" / "images" / "0.png", photograph(), 6)
    layouts.write_ids(bench.root / "own" / "labels" / "0.png", (0, 1))
    return bench.evaluate(bench.model, "--on", "folder", "--root", bench.root / "own")


@case("a benchmark's photograph was turned", "fits only the upright photograph", "published")
def benchmark_of_another_orientation(bench):
    save(bench.track / "images" / "validation0001.jpg", photograph(), 8)
    path = bench.track / "labels_masks" / "validation0001_labels_semantic.png"
    layouts.write_ids(path, (0, 1), (32, 24))
    return bench.stored()


@case("masks hold three values of which none is ignored", "1 or 2 anomaly", "--data.values '{")
def masks_of_three_values(bench):
    own(bench, (0, 1, 2))
    return checked(bench)


@case("one mask holds another value than the rest", "128 (1.png)", '"anomaly": [1, 128]')
def masks_of_two_conventions(bench):
    own(bench, (0, 1), (0, 128))
    return checked(bench)


@case("masks are white all over", "255 (0.png)", "have no meaning by themselves")
def masks_all_white(bench):
    own(bench, (255,))
    return checked(bench)


@case("masks hold class labels", "--data.kind classes")
def masks_of_classes(bench):
    own(bench, tuple(range(12)))
    return checked(bench)


@case("masks were saved as JPEG", "JPEG and WebP change values", "PNG")
def masks_as_jpeg(bench):
    own(bench, (0, 1))
    mask = cv2.circle(np.zeros((24, 32), np.uint8), (14, 11), 7, 255, -1)
    (bench.root / "own" / "labels" / "0.png").unlink()
    cv2.imwrite(str(bench.root / "own" / "labels" / "0.jpg"), mask)
    return checked(bench)


@case("an indexed mask is in negative", "can be read in two ways", '"anomaly": [0]')
def mask_in_negative(bench):
    own(bench, (0, 1))
    image = Image.new("P", (32, 24))
    image.paste(1, (3, 3, 9, 9))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(bench.root / "own" / "labels" / "0.png")
    return checked(bench)


@case("a mask holds instance ids", "ids up to 26001", "semantic labels")
def mask_of_instances(bench):
    own(bench, (0, 1))
    path = bench.root / "own" / "labels" / "0.png"
    cv2.imwrite(str(path), np.full((24, 32), 26001, np.uint16))
    return bench.evaluate(bench.model, "--on", "folder", "--root", bench.root / "own")


@case("a mask is a coloured drawing", "is a colour image", "0.png")
def mask_in_colour(bench):
    own(bench, (0, 1))
    layouts.write_photo(bench.root / "own" / "labels" / "0.png", 1)
    return bench.evaluate(bench.model, "--on", "folder", "--root", bench.root / "own")


@case("a meaning of values is unknown", "has the key 'anomalies'", "`anomaly`")
def values_of_unknown_meaning(bench):
    own(bench, (0, 1))
    return checked(bench, "--data.values", '{"anomalies": [1]}')


@case("a value has two meanings", "gives 1 to anomaly", "one meaning")
def value_twice(bench):
    own(bench, (0, 1))
    return checked(bench, "--data.values", '{"inlier": [0, 1], "anomaly": [1]}')


@case("the kind of labels is unknown", "kind", "'label_ids'", "mask")
def kind_unknown(bench):
    own(bench, (0, 1))
    return checked(bench, "--data.kind", "mask")


@case("values are given of class labels", "belongs to kind `anomaly`")
def values_of_classes(bench):
    own(bench, (0, 1))
    return checked(bench, "--data.kind", "classes", "--data.values", '{"inlier": [0]}')


@case("the labels named are no folder", "is not a folder", "nowhere")
def labels_missing(bench):
    own(bench, (0, 1))
    return checked(bench, "--data.labels", bench.root / "nowhere")


@case("a glob matches no image", "no images were found", "*.bmp")
def glob_of_nothing(bench):
    own(bench, (0, 1))
    return checked(bench, "--data.images", bench.root / "own" / "images" / "*.bmp")


@case("two photographs differ by their endings alone", "two images have the name 0")
def photographs_of_one_name(bench):
    own(bench, (0, 1))
    layouts.write_photo(bench.root / "own" / "images" / "0.jpg", 1)
    return checked(bench)


@case("the folder handed round is another set's", "RoadObsticle21 is that of `smiyc-obstacle`")
def handed_round_of_another(bench):
    folder = layouts.validation_dataset(bench.root) / "RoadObsticle21"
    return ["data", "check", "smiyc-anomaly", "--root", str(folder)]


@case("a set handed round lacks a mask", "1 of 30 frames", "have no label file", "30")
def handed_round_without_a_mask(bench):
    folder = layouts.validation_dataset(bench.root) / "RoadObsticle21"
    (folder / "labels_masks" / "3.png").unlink()
    return bench.stored("--on", "smiyc-obstacle", "--root", folder)


@case("a set handed round lacks an image", "1 of the labels", "have no image", "12")
def handed_round_without_an_image(bench):
    root = layouts.validation_dataset(bench.root)
    (root / "RoadAnomaly" / "images" / "12.jpg").unlink()
    return checked(bench, name="roadanomaly")


@case("a set handed round has a number twice", "two files have the id 4")
def handed_round_number_twice(bench):
    root = layouts.validation_dataset(bench.root)
    layouts.write_photo(root / "fs_static" / "images" / "4.png", 0)
    return checked(bench, name="fishyscapes-static")


@case("the maps of a set handed round have official names", "validation0000", "0")
def handed_round_with_official_maps(bench):
    root = layouts.validation_dataset(bench.root) / "RoadAnomaly21"
    return ["evaluate", "--scores", str(bench.maps), "--on", "smiyc-anomaly", "--root", str(root)]


@case("a set handed round would be submitted", "its frames are numbered", "official ids")
def handed_round_submitted(bench):
    root = layouts.validation_dataset(bench.root / "given")
    words = ["--for", "smiyc-anomaly", "--root", root, "--out", bench.root / "submission"]
    return ["export", "submission", "--scores", str(bench.maps), *map(str, words)]
