"""What is wrong with stored score maps."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import cv2
import h5py
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


def npy(descr: str, shape: str, data: bytes = b"") -> bytes:
    """Write an array file by hand, whatever its header claims."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


BROKEN = "validation0000.npy cannot be read"


@case("an .npy's header is no header", BROKEN)
def npy_header(bench):
    as_other(bench, ".npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': (((" * 9 + b"\n")
    return bench.stored()


@case("an .npy's header is brackets", BROKEN)
def npy_brackets(bench):
    content = b"\x93NUMPY\x02\x00" + (9000).to_bytes(4, "little") + b"[" * 9000
    as_other(bench, ".npy").write_bytes(content)
    return bench.stored()


@case("an .npy's header claims 4 GB", BROKEN, "its header claims")
def npy_long_header(bench):
    as_other(bench, ".npy").write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{")
    return bench.stored()


@case("an .npy claims 10^14 numbers", "is 10000000×10000000, but its image is 32×24")
def npy_absurd(bench):
    as_other(bench, ".npy").write_bytes(npy("'<f4'", "(10000000, 10000000)"))
    return bench.stored()


@case("an .npy claims many channels", "claims the shape (100000, 24, 32)", "has 32×24")
def npy_deep(bench):
    as_other(bench, ".npy").write_bytes(npy("'<f4'", "(100000, 24, 32)"))
    return bench.stored()


@case("an .npy claims more than it holds", "needs 3072 bytes, and it holds 12")
def npy_short(bench):
    as_other(bench, ".npy").write_bytes(npy("'<f4'", "(24, 32)", bytes(12)))
    return bench.stored()


@case("an .npy has a negative side", BROKEN, "its shape is")
def npy_negative(bench):
    as_other(bench, ".npy").write_bytes(npy("'<f4'", "(-24, -32)"))
    return bench.stored()


@case("an .npy is of an unknown type", BROKEN)
def npy_type(bench):
    as_other(bench, ".npy").write_bytes(npy("'<q9'", "(24, 32)", bytes(9999)))
    return bench.stored()


@case("an .npy holds complex numbers", "holds complex64; a score map is")
def npy_complex(bench):
    np.save(as_other(bench, ".npy"), halves(24, 32).astype(np.complex64))
    return bench.stored()


@case("an .npy holds records", "a score map is float16, float32 or float64")
def npy_records(bench):
    np.save(as_other(bench, ".npy"), np.zeros((24, 32), [("a", "<f4"), ("b", "<f4")]))
    return bench.stored()


@case("an .npz holds a text and no array", "validation0000.npz holds nothing", "no array")
def npz_text(bench):
    with zipfile.ZipFile(as_other(bench, ".npz"), "w") as archive:
        archive.writestr("readme.txt", "no array")
    return bench.stored()


@case("an .npz is an empty archive", "validation0000.npz holds nothing")
def npz_empty(bench):
    zipfile.ZipFile(as_other(bench, ".npz"), "w").close()
    return bench.stored()


@case("an .npz claims 10^14 numbers", "is 10000000×10000000, but its image is 32×24")
def npz_absurd(bench):
    with zipfile.ZipFile(as_other(bench, ".npz"), "w") as archive:
        archive.writestr("value.npy", npy("'<f4'", "(10000000, 10000000)"))
    return bench.stored()


@case("an .npz's array is damaged", "validation0000.npz cannot be read")
def npz_damaged(bench):
    path = as_other(bench, ".npz")
    np.savez(path, value=halves(24, 32))
    content = bytearray(path.read_bytes())
    content[400] ^= 0xFF
    path.write_bytes(content)
    return bench.stored()


@case("an .npz is locked by a password", "validation0000.npz cannot be read")
def npz_locked(bench):
    path = as_other(bench, ".npz")
    np.savez(path, value=halves(24, 32))
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    return bench.stored()


@case("an HDF5 file claims 10^14 numbers", "is 10000000×10000000, but its image is 32×24")
def hdf5_sparse(bench):
    with h5py.File(bench.map(), "w") as file:
        file.create_dataset("value", (10**7, 10**7), "f4", chunks=(1000, 1000))
    return bench.stored()


@case("an HDF5 file has a group in place of the array", "holds a group called 'value' ('scores')")
def hdf5_group(bench):
    with h5py.File(bench.map(), "w") as file:
        file.create_dataset("value/scores", data=halves(24, 32))
    return bench.stored()


@case("an HDF5 file's array is nothing", "validation0000.hdf5")
def hdf5_nothing(bench):
    with h5py.File(bench.map(), "w") as file:
        file.create_dataset("value", data=h5py.Empty("f4"))
    return bench.stored()


@case("an HDF5 file holds words", "validation0000.hdf5 holds object")
def hdf5_words(bench):
    with h5py.File(bench.map(), "w") as file:
        file.create_dataset("value", data=["a", "b"])
    return bench.stored()


@case("the folder of maps is empty", "holds no file at all")
def maps_folder_empty(bench):
    for path in bench.maps.iterdir():
        path.unlink()
    return bench.stored()


@case("a map is a folder", "1 of 10 frames have no map: validation0000")
def map_is_a_folder(bench):
    bench.map().unlink()
    bench.map().mkdir()
    return bench.stored()


@case("a TIFF is another thing", "validation0000.tiff cannot be read")
def tiff_of_text(bench):
    as_other(bench, ".tiff").write_bytes(b"II*\x00" + bytes(60))
    return bench.stored()
