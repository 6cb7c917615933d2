"""What users get wrong: each mistake has a message of its own, exit code 2, and costs nothing.

Every case begins from what works, `Bench`, spoils one thing, and says what the message must hold.
An earlier result lies in `--out` and must stay byte for byte. Further commands add a list of their
own and join `CASES`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from roadanomaly.cli.main import main
from tests import layouts

Words = list[str]


@dataclass
class Bench:
    """What lies ready for a command, all of it in order.

    Args:
        root: holds `dataset_AnomalyTrack/`, whose ten validation frames are labelled.
        maps: a score map of each of these frames, `<id>.hdf5`.
        out: an evaluation's folder with an earlier result.
        model: folder of a saved model.
    """

    root: Path
    maps: Path
    out: Path
    model: Path

    @property
    def track(self) -> Path:
        return self.root / "dataset_AnomalyTrack"

    def map(self, number: int = 0, suffix: str = ".hdf5") -> Path:
        return self.maps / f"validation{number:04d}{suffix}"

    def stored(self, *words: object) -> Words:
        """Evaluate the score maps."""
        return self.evaluate("--scores", self.maps, "--root", self.root, *words)

    def modelled(self, *words: object) -> Words:
        """Evaluate the model."""
        return self.evaluate(self.model, "--root", self.root, *words)

    def evaluate(self, *words: object) -> Words:
        named = [] if "--on" in words else ["--on", "smiyc-anomaly"]
        out = [] if "--out" in words else ["--out", self.out]
        return ["evaluate", *map(str, [*words, *named, *out])]


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Make everything once; each case spoils a copy."""
    base = tmp_path_factory.mktemp("whole")
    layouts.smiyc_anomaly(base / "root")
    (base / "maps").mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        score = rng.normal(size=(layouts.HEIGHT, layouts.WIDTH)).astype(np.float16)
        write_map(base / "maps" / f"validation{number:04d}.hdf5", score)
    (base / "out").mkdir()
    (base / "out" / "metrics.json").write_text('{"earlier": "result"}\n')
    return base


@pytest.fixture
def bench(whole, tmp_path, model_folder):
    shutil.copytree(whole, tmp_path / "bench")
    shutil.copytree(model_folder, tmp_path / "bench" / "model")
    base = tmp_path / "bench"
    return Bench(base / "root", base / "maps", base / "out", base / "model")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    import roadanomaly as ra

    folder = tmp_path_factory.mktemp("model") / "run"
    ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy")).save(folder / "model")
    return folder


def write_map(path: Path, score: np.ndarray, key: str = "value") -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=score)


def halves(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float16).reshape(shape)


def truncate(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@dataclass(frozen=True)
class Case:
    """One mistake.

    Args:
        name: what is wrong.
        spoil: makes it, and returns the command line.
        says: what the message holds.
    """

    name: str
    spoil: Callable[[Bench], Words]
    says: tuple[str, ...]


def case(name: str, *says: str) -> Callable[[Callable[[Bench], Words]], Case]:
    """Turn a function into a case."""
    return lambda spoil: Case(name, spoil, says)


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


@case("a label of a folder holds an id that means nothing", "a.png", "it defines 0 to 1, 255")
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


@case("the set is unknown", "no data set is called 'smiyc-anomly'", "`smiyc-anomaly`")
def set_unknown(bench):
    return bench.stored("--on", "smiyc-anomly")


@case("a set is named twice", "names a set twice")
def set_twice(bench):
    return bench.stored("--on", "smiyc-anomaly,smiyc-anomaly")


@case("the split is unknown", "`split` of smiyc-anomaly is 'valid'")
def split_unknown(bench):
    return bench.stored("--data.split", "valid")


@case("an option of the set is unknown", "`spilt` is not an option", "`split`")
def data_option_unknown(bench):
    return bench.stored("--data.spilt", "validation")


@case("the mode is unknown", "no mode is called 'oficial'", "`official`")
def mode_unknown(bench):
    return bench.stored("--mode", "oficial")


@case("the track is unknown", "no track is called 'road'")
def track_unknown(bench):
    return bench.stored("--track", "road")


@case("an option is unknown", "`--mod` is not an option", "`--mode`")
def option_unknown(bench):
    return bench.stored("--mod", "exact")


@case("a rate is no share", "--rates 1,5", "between 0 and 1")
def rates_too_large(bench):
    return bench.stored("--rates", "1,5")


@case("a rate is no number", "--rates low", "between 0 and 1")
def rates_no_number(bench):
    return bench.stored("--rates", "low")


@case("there are no workers", "--workers is 0")
def no_workers(bench):
    return bench.stored("--workers", "0")


@case("pictures are less than none", "--pictures is -1")
def pictures_negative(bench):
    return bench.stored("--pictures", "-1")


@case("pictures are no number", "pictures")
def pictures_no_number(bench):
    return bench.stored("--pictures", "many")


@case("maps and a model are named", "--scores takes maps from files")
def maps_and_model(bench):
    return bench.stored(bench.model)


@case("a validation set lacks its maps", "--validation_scores DIR")
def validation_without_maps(bench):
    return bench.stored("--validate_on", "smiyc-anomaly")


@case("validation maps lack their set", "belongs to --scores and --validate_on")
def validation_maps_alone(bench):
    return bench.stored("--validation_scores", bench.maps)


@case("neither maps nor a model are named", "name a run folder")
def nothing_to_score(bench):
    return bench.evaluate("--root", bench.root)


@case("the detector is unknown", "no detector is called 'enrgy'", "`energy`")
def detector_unknown(bench):
    return bench.modelled("--detectors", "enrgy")


@case("the detector needs training", "`densehybrid` must be prepared first")
def detector_untrained(bench):
    return bench.modelled("--detectors", "densehybrid")


@case("the model's folder does not exist", "no model at", "model.json is missing")
def model_missing(bench):
    return bench.evaluate(bench.root / "nowhere", "--root", bench.root)


@case("the model's folder holds something else", "no model at", "maps")
def model_of_no_kind(bench):
    return bench.evaluate(bench.maps, "--root", bench.root)


@case("the model's description is cut off", "is broken")
def model_truncated(bench):
    truncate(bench.model / "model" / "model.json")
    return bench.modelled()


@case("the model's weights are cut off", "is broken")
def weights_truncated(bench):
    truncate(bench.model / "model" / "weights.safetensors")
    return bench.modelled()


@case("the model is of another version", "its format is 99")
def model_of_another_version(bench):
    path = bench.model / "model" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    return bench.modelled()


@case("the segmenter's weights do not exist", "nowhere.pth")
def segmenter_weights_missing(bench):
    words = ("--segmenter.name", "espnetv2", "--segmenter.weights", bench.root / "nowhere.pth")
    return bench.evaluate(*words, "--root", bench.root)


@case("the device is none of this machine", "--device cuda:77: not usable here")
def device_missing(bench):
    return bench.modelled("--device", "cuda:77")


@case("the output is a file", "the folder cannot be written (it is a file)")
def out_is_a_file(bench):
    return bench.stored("--out", bench.map())


@case("the output cannot be made", "--out /dev/null/x: the folder cannot be written")
def out_unwritable(bench):
    return bench.stored("--out", "/dev/null/x")


CASES = [value for value in list(globals().values()) if isinstance(value, Case)]
"""Every mistake of this file."""


def everything(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder but those that an evaluation keeps while it runs."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".partial" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_a_mistake_is_explained_and_costs_nothing(one, bench, capsys):
    words = one.spoil(bench)
    earlier = everything(bench.out)
    code = main(words)
    _, err = capsys.readouterr()
    assert code == 2
    for part in one.says:
        assert part in err
    assert "Traceback" not in err
    assert everything(bench.out) == earlier


def test_there_are_many_and_they_differ():
    assert len({one.name for one in CASES}) == len(CASES) >= 40


def test_without_a_mistake_it_works(bench, capsys):
    assert main(bench.stored("--pictures", "0")) == 0
    assert "smiyc-anomaly" in capsys.readouterr().out
    numbers = json.loads((bench.out / "metrics.json").read_text())["smiyc-anomaly"]
    assert numbers["frames"] == 10
    assert set(numbers["official"]) == set(numbers["exact"])


def test_a_mistake_in_a_frame_loses_no_other_frame(bench, capsys):
    """The last map is broken; once it is whole again, the frames before it are not read again."""
    good = bench.map(9).read_bytes()
    truncate(bench.map(9))
    assert main(bench.stored("--pictures", "0")) == 2
    kept = len(list(bench.out.glob(".partial/*/*.npz")))
    bench.map(9).write_bytes(good)
    capsys.readouterr()
    assert kept == 9
    assert main(bench.stored("--pictures", "0")) == 0
    assert "9 of 10 frames were scored before; going on" in capsys.readouterr().err
