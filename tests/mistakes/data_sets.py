"""What is wrong with a data set on the disk."""

from __future__ import annotations

from tests import layouts
from tests.mistakes.bench import case, truncate


@case("the root does not exist", "nowhere", "was looked for")
def root_missing(bench):
    return bench.evaluate("--scores", bench.maps, "--root", bench.root / "nowhere")


@case("the root holds another set", "has not the layout of `smiyc-obstacle`", "--root")
def root_of_another(bench):
    return bench.stored("--on", "smiyc-obstacle")


@case("the root is a file", "that is a file")
def root_is_a_file(bench):
    file = bench.root / "a.txt"
    file.write_text("no folder")
    return bench.evaluate("--scores", bench.maps, "--root", file)


@case("a public label is missing", "1 of 10 frames", "have no label file", "validation0003")
def label_missing(bench):
    (bench.track / "labels_masks" / "validation0003_labels_semantic.png").unlink()
    return bench.stored()


@case("all images are gone", "no frame of the split `validation`")
def images_missing(bench):
    for path in (bench.track / "images").iterdir():
        path.unlink()
    return bench.stored()


@case("an image is cut off", "validation0002.jpg")
def image_truncated(bench):
    truncate(bench.track / "images" / "validation0002.jpg")
    return bench.stored()


@case("a label is cut off", "validation0002_labels_semantic.png")
def label_truncated(bench):
    truncate(bench.track / "labels_masks" / "validation0002_labels_semantic.png")
    return bench.stored()


@case("a label has another size than its image", "validation0001", "32×24", "16×12")
def label_of_another_size(bench):
    layouts.write_ids(
        bench.track / "labels_masks" / "validation0001_labels_semantic.png", (0, 1), (12, 16)
    )
    return bench.stored()


@case("a label has colours", "validation0001_labels_semantic.png")
def label_in_colour(bench):
    layouts.write_photo(bench.track / "labels_masks" / "validation0001_labels_semantic.png", 1)
    return bench.stored()


@case("the truth is hidden", "frames cannot be scored", "is hidden", "export a submission")
def truth_hidden(bench):
    return bench.stored("--data.split", "test")


@case("two files are one frame", "two files have the id validation0001")
def one_id_twice(bench):
    (bench.track / "images" / "more").mkdir()
    layouts.write_photo(bench.track / "images" / "more" / "validation0001.jpg", 1)
    return bench.stored()


@case("a label of a folder holds an id that means nothing", "7 (a.png)", "--data.values")
def folder_of_foreign_ids(bench):
    layouts.write_photo(bench.root / "own" / "images" / "a.png", 1)
    layouts.write_ids(bench.root / "own" / "labels" / "a.png", (0, 7))
    return bench.evaluate(bench.model, "--on", "folder", "--root", bench.root / "own")


@case("a folder of images has no labels", "a cannot be scored", "it has no label")
def folder_without_labels(bench):
    layouts.write_photo(bench.root / "own" / "images" / "a.png", 1)
    return bench.evaluate(bench.model, "--on", "folder", "--root", bench.root / "own")


@case("some images of a folder have no label", "1 of 2 images have no label", "b")
def folder_with_too_few_labels(bench):
    for name in "ab":
        layouts.write_photo(bench.root / "own" / "images" / f"{name}.png", 1)
    layouts.write_ids(bench.root / "own" / "labels" / "a.png", (0, 1))
    return bench.evaluate(bench.model, "--on", "folder", "--root", bench.root / "own")
