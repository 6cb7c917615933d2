"""What is wrong with stored score maps."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from tests.mistakes.bench import Bench, case, halves, truncate, write_map


@case("the folder of maps does not exist", "the folder of score maps", "does not exist")
def maps_missing(bench):
    shutil.rmtree(bench.maps)
    return bench.stored()


@case("the folder of maps is a file", "the folder of score maps", "is a file")
def maps_are_a_file(bench):
    shutil.rmtree(bench.maps)
    bench.maps.write_text("no folder")
    return bench.stored()


@case("the folder of maps holds none", "holds no score map, only .txt")
def maps_of_no_kind(bench):
    for path in bench.maps.iterdir():
        path.rename(path.with_suffix(".txt"))
    return bench.stored()


@case("a map is missing", "1 of 10 frames have no map: validation0000")
def map_missing(bench):
    bench.map().unlink()
    return bench.stored()


@case("a map belongs to no frame", "1 maps belong to no frame: validation0077")
def map_extra(bench):
    shutil.copy(bench.map(), bench.map(77))
    return bench.stored()


@case("a map is misnamed", "`validation_0000` looks like `validation0000`")
def map_misnamed(bench):
    bench.map().rename(bench.maps / "validation_0000.hdf5")
    return bench.stored()


@case("a frame has two maps", "frame 'validation0000' has two score maps")
def map_twice(bench):
    np.save(bench.map(0, ".npy"), halves(24, 32))
    return bench.stored()


@case("two methods lie below the folder", "holds 2 folders of score maps (one, two)")
def maps_of_two_methods(bench):
    for name in ("one", "two"):
        (bench.maps / name).mkdir()
        write_map(bench.maps / name / "validation0000.hdf5", halves(24, 32))
    for path in bench.maps.glob("*.hdf5"):
        path.unlink()
    return bench.stored()


@case("a map is larger than its image", "is 64×48, but its image is 32×24", "only a narrower map")
def map_too_large(bench):
    write_map(bench.map(), halves(48, 64))
    return bench.stored()


@case("a map lies on its side", "rows and columns are swapped")
def map_transposed(bench):
    write_map(bench.map(), halves(32, 24))
    return bench.stored()


@case("a map shows a part of the image", "its proportions differ")
def map_cropped(bench):
    write_map(bench.map(), halves(24, 20))
    return bench.stored()


@case("a map has channels", "has shape (2, 24, 32)", "one number a pixel")
def map_of_channels(bench):
    write_map(bench.map(), halves(2, 24, 32))
    return bench.stored()


@case("a map holds NaN", "1 of 768 scores are NaN and 0 infinite")
def map_with_nan(bench):
    score = halves(24, 32)
    score[3, 4] = np.nan
    write_map(bench.map(), score)
    return bench.stored()


@case("a map overflowed", "0 of 768 scores are NaN and 1 infinite", "float16 ends at 65504")
def map_with_infinity(bench):
    score = halves(24, 32)
    score[3, 4] = np.inf
    write_map(bench.map(), score)
    return bench.stored()


@case("a map is constant", "is constant: all 768 scores are 0.5")
def map_constant(bench):
    write_map(bench.map(), np.full((24, 32), 0.5, np.float16))
    return bench.stored()


@case("a map was cut off", "validation0004.hdf5 cannot be read", "truncated")
def map_truncated(bench):
    truncate(bench.map(4))
    return bench.stored()


@case("a map is empty", "validation0004.hdf5 cannot be read (it is empty)")
def map_empty(bench):
    bench.map(4).write_bytes(b"")
    return bench.stored()


@case("a map has another key", "holds 'scores', but no array called 'value'")
def map_of_another_key(bench):
    write_map(bench.map(), halves(24, 32), "scores")
    return bench.stored()


@case("a map holds classes", "holds int64; a score map is float16, float32 or float64")
def map_of_integers(bench):
    write_map(bench.map(), halves(24, 32).astype(np.int64))
    return bench.stored()


def as_other(bench: Bench, suffix: str) -> Path:
    bench.map().unlink()
    return bench.map(0, suffix)


@case("a map is a picture of 8 bits", "has 8 bits a pixel")
def map_of_8_bits(bench):
    assert cv2.imwrite(str(as_other(bench, ".png")), np.eye(24, 32, dtype=np.uint8) * 255)
    return bench.stored()


@case("a map is a coloured picture", "has shape (24, 32, 3)")
def map_in_colour(bench):
    path = as_other(bench, ".png")
    assert cv2.imwrite(str(path), np.full((24, 32, 3), 900, np.uint16))
    return bench.stored()


@case("an .npz has several arrays, none called value", "holds 'a', 'b', but no array")
def npz_of_other_names(bench):
    np.savez(as_other(bench, ".npz"), a=halves(24, 32), b=halves(24, 32))
    return bench.stored()


@case("an .npy is another thing", "validation0000.npy cannot be read")
def npy_of_text(bench):
    as_other(bench, ".npy").write_text("1 2 3")
    return bench.stored()


@case("an .npy holds Python objects", "validation0000.npy cannot be read", "allow_pickle")
def npy_of_objects(bench):
    np.save(as_other(bench, ".npy"), np.array([{"a": 1}], object), allow_pickle=True)
    return bench.stored()
