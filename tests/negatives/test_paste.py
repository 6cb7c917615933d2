import copy
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from roadanomaly.data.camvid import CamVid
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.cutouts import READERS
from roadanomaly.data.memory import Memory
from roadanomaly.errors import DataError, OptionError
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames
from roadanomaly.negatives.paste import GROWTH, Paste
from roadanomaly.types import IGNORE, NEGATIVE, TURNS
from tests import layouts
from tests.negatives import tiny

HARD = {"feather": (0, 0), "colour_match": (0, 0), "brightness": 0.0}


@pytest.mark.parametrize("layout", READERS)
def test_negatives_of_each_format_change_the_image_where_they_are_labelled(tmp_path, layout):
    source = Paste(str(tiny.FORMATS[layout](tmp_path)), look={"count": (1, 2), "side": (24, 60)})
    batch = tiny.batch()
    mixed = source.mix(batch, np.random.default_rng(0))
    changed = (mixed.image != batch.image).any(1)
    assert mixed.negative.flatten(1).sum(1).ge(16).all()
    assert changed[mixed.negative].float().mean() > 0.98
    touched = mixed.label != batch.label
    assert set(mixed.label[touched].tolist()) <= {NEGATIVE, IGNORE}
    assert mixed.label[~mixed.negative & ~touched].eq(batch.label[~mixed.negative & ~touched]).all()


def test_label_and_pixels_follow_alpha_exactly(tmp_path):
    source = Paste(str(tiny.yolo(tmp_path)), look={"count": (1, 1), "flip": 0.0, **HARD})
    batch = tiny.batch(size=8)
    placed = []
    spread = source._place

    def remember(alpha, shape, foot, rng):
        placed.append((alpha, *spread(alpha, shape, foot, rng)))
        return placed[-1][1:]

    source._place = remember
    mixed = source.mix(batch, np.random.default_rng(3))
    for index, (alpha, top, left) in enumerate(placed):
        rows, columns = np.mgrid[: batch.label.shape[1], : batch.label.shape[2]]
        rows, columns = rows - top, columns - left
        inside = (rows >= 0) & (rows < alpha.shape[0]) & (columns >= 0) & (columns < alpha.shape[1])
        full = np.zeros(batch.label.shape[1:], np.float32)
        full[inside] = alpha[rows[inside], columns[inside]]
        assert ((mixed.label[index] == NEGATIVE).numpy() == (full >= 0.5)).all()
        outside = torch.from_numpy(full == 0)
        assert (mixed.image[index][:, outside] == batch.image[index][:, outside]).all()
        assert (mixed.label[index][outside] == batch.label[index][outside]).all()


def test_hard_edges_paste_the_pixels_of_the_set(tmp_path):
    source = Paste(
        str(tiny.yolo(tmp_path, images=1)),
        look={"count": (1, 1), "side": (30, 30), "flip": 0.0, **HARD},
    )
    cutout = source.reader.read(source.entries[0])
    assert max(cutout.alpha.shape) == 30
    mixed = source.mix(tiny.batch(size=20), np.random.default_rng(0))
    full = [i for i in range(20) if mixed.negative[i].sum() == np.count_nonzero(cutout.alpha)]
    assert full
    for index in full:
        rows, columns = mixed.negative[index].nonzero(as_tuple=True)
        window = mixed.image[index][
            :, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1
        ]
        assert (window.permute(1, 2, 0).numpy() == cutout.colour).all()


def test_equal_generators_give_equal_batches_and_the_input_stays(tmp_path):
    root = str(tiny.yolo(tmp_path))
    batch = tiny.batch()
    before = copy.deepcopy(batch)
    first = Paste(root, look={"rotate": 30}).mix(batch, np.random.default_rng(1))
    warm = Paste(root, look={"rotate": 30})
    warm.mix(batch, np.random.default_rng(5))
    second = warm.mix(batch, np.random.default_rng(1))
    other = warm.mix(batch, np.random.default_rng(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.label, second.label)
    assert not torch.equal(first.image, other.image)
    assert torch.equal(batch.image, before.image)
    assert torch.equal(batch.label, before.label)
    assert torch.equal(first.original, before.image)
    assert first.ids == batch.ids


def test_original_of_an_earlier_source_stays(tmp_path):
    source = Paste(str(tiny.yolo(tmp_path)))
    batch = tiny.batch()
    once = source.mix(batch, np.random.default_rng(0))
    assert torch.equal(source.mix(once, np.random.default_rng(1)).original, batch.image)


def test_parts_are_disjoint_and_together_all(tmp_path):
    root = str(tiny.yolo(tmp_path, images=30))
    parts = {part: set(Paste(root, part=part).entries) for part in ("all", "train", "held_out")}
    images = {part: {e.image for e in entries} for part, entries in parts.items()}
    assert parts["train"] | parts["held_out"] == parts["all"]
    assert not images["train"] & images["held_out"]
    assert 0 < len(images["held_out"]) < len(images["train"])


def test_excluded_classes_never_appear(tmp_path):
    root = str(tiny.yolo(tmp_path))
    assert {e.category for e in Paste(root).entries} == {"dog"}
    assert {e.category for e in Paste(root, exclude=["dog"]).entries} == {"car"}
    assert {e.category for e in Paste(root, exclude=[]).entries} == {"dog", "car"}
    with pytest.raises(OptionError, match="did you mean `zebra`"):
        Paste(root, exclude=["zerba"])


CAR, HALF = CITYSCAPES.index("car"), {"count": (0, 0), "side": (40, 40)}


def test_known_objects_carry_their_class_and_are_part_of_the_original(tmp_path):
    """Nothing but cars is laid over the crops, so each changed pixel says car, or is an edge."""
    source = Paste(str(tiny.coco(tmp_path)), min_area=0, known=(2, 2), look=HALF)
    batch = tiny.batch()
    mixed = source.mix(batch, np.random.default_rng(0))
    changed = (mixed.image != batch.image).any(1)
    cars = mixed.label == CAR
    assert cars.flatten(1).any(1).all()
    assert changed[cars].float().mean() > 0.98
    assert set(mixed.label[changed].tolist()) <= {CAR, IGNORE}
    assert not mixed.negative.any()
    assert torch.equal(mixed.original, mixed.image)


def test_negatives_lie_over_known_objects_and_not_in_the_original(tmp_path):
    look = {"count": (1, 2), "side": (40, 60)}
    source = Paste(str(tiny.coco(tmp_path)), min_area=0, known=(1, 3), look=look)
    batch = tiny.batch(size=8)
    mixed = source.mix(batch, np.random.default_rng(0))
    foreign = (mixed.image != mixed.original).any(1)
    known = (mixed.original != batch.image).any(1)
    assert (mixed.label == CAR).any()
    assert mixed.negative.flatten(1).any(1).all()
    assert foreign[mixed.negative].float().mean() > 0.98
    assert not foreign[mixed.label == CAR].any()
    assert known[mixed.label == CAR].float().mean() > 0.98
    assert (known & mixed.negative).any()
    assert source.record()["known"] == {"car": 3}


def test_known_objects_that_the_set_does_not_have_are_asked_for_in_vain(tmp_path):
    with pytest.raises(DataError, match=r"no cut-out is left of the .*: `known` removed \d+\."):
        Paste(str(tiny.index_mask(tmp_path)), exclude=[], min_area=0, known=(0, 2))


def test_known_objects_take_the_classes_of_the_frames(tmp_path):
    source = Paste(str(tiny.coco(tmp_path)), min_area=0, known=(2, 2), look=HALF)
    source.label_as(("road", "sky", "car"))
    assert (source.mix(tiny.batch(), np.random.default_rng(0)).label == 2).any()
    with pytest.raises(OptionError, match=r"objects of the classes car over .* among the 2"):
        source.label_as(("road", "sky"))


def test_frames_into_which_negatives_are_put_say_what_a_car_is(tmp_path):
    """CamVid's own eleven classes have no number 13, which is Cityscapes' car."""
    layouts.camvid(tmp_path / "camvid")
    frames = CamVid("val", root=tmp_path / "camvid", classes="camvid")
    known = {"root": str(tiny.coco(tmp_path / "coco")), "min_area": 0, "known": (2, 2)}
    source = NEGATIVES.build("mixture", {"sources": [{"name": "paste", **known, "look": HALF}]})
    label = MixedFrames(frames, source)[0].label
    changed = label[label != frames[0].label]
    assert set(changed.tolist()) <= {frames.classes.index("car"), IGNORE}
    assert len(changed) > 50


def test_a_class_is_not_strange_and_known_at_once(tmp_path):
    with pytest.raises(OptionError, match="car would be pasted as negatives and"):
        Paste(str(tiny.coco(tmp_path)), exclude=["kite"], min_area=0, known=(0, 2))


def test_a_mixture_keeps_the_original_of_each_source(tmp_path):
    """The crops of the source with known objects show them there, the others what they showed."""
    known = {"root": str(tiny.coco(tmp_path)), "min_area": 0, "known": (2, 2), "look": HALF}
    sources = [{"name": "paste", **known}, {"name": "noise"}]
    batch = tiny.batch(size=8)
    mixed = NEGATIVES.build("mixture", {"sources": sources}).mix(batch, np.random.default_rng(0))
    turns = torch.tensor(mixed.note(TURNS))
    assert set(turns.tolist()) == {0, 1}
    assert torch.equal(mixed.original[turns == 0], mixed.image[turns == 0])
    assert torch.equal(mixed.original[turns == 1], batch.image[turns == 1])


def test_filters_that_leave_nothing_say_what_they_removed(tmp_path):
    root = str(tiny.yolo(tmp_path))
    with pytest.raises(DataError, match=r"of the 6 .*`exclude` removed 3, `min_area` removed 3"):
        Paste(root, min_area=0.9)


@pytest.mark.parametrize(
    "option",
    [
        {"part": "trian"},
        {"held_out": -0.1},
        {"min_area": 2},
    ],
)
def test_options_out_of_range(tmp_path, option):
    with pytest.raises(OptionError, match=next(iter(option))):
        Paste(str(tiny.yolo(tmp_path)), **option)


def test_float_images_are_refused(tmp_path):
    with pytest.raises(TypeError, match="uint8"):
        Paste(str(tiny.yolo(tmp_path))).mix(tiny.batch().to("cpu"), np.random.default_rng(0))


def test_probability_and_count_zero(tmp_path):
    root = str(tiny.yolo(tmp_path))
    batch = tiny.batch()
    for source in (Paste(root, look={"probability": 0.0}), Paste(root, look={"count": (0, 0)})):
        mixed = source.mix(batch, np.random.default_rng(0))
        assert torch.equal(mixed.image, batch.image)
        assert torch.equal(mixed.label, batch.label)
    some = Paste(root, look={"probability": 0.5}).mix(tiny.batch(size=60), np.random.default_rng(0))
    assert 15 < some.negative.flatten(1).any(1).sum() < 45


def test_on_the_ground_feet_stand_on_ground_and_lower_means_bigger(tmp_path):
    source = Paste(
        str(tiny.yolo(tmp_path)),
        look={"count": (1, 1), "side": (12, 48), "place": "ground", "flip": 0.0, **HARD},
    )
    batch = tiny.batch(size=200, height=128, width=256)
    mixed = source.mix(batch, np.random.default_rng(0))
    sizes, bottoms = [], []
    for before, negative in zip(batch.label, mixed.negative, strict=True):
        rows, columns = negative.nonzero(as_tuple=True)
        bottom = int(rows.max())
        assert (before[bottom, columns[rows == bottom]] == 0).any()
        sizes.append(bottom - int(rows.min()) + 1)
        bottoms.append(bottom)
    assert np.corrcoef(sizes, bottoms)[0, 1] > 0.4


def test_without_ground_a_place_is_found_anyway(tmp_path):
    source = Paste(str(tiny.yolo(tmp_path)), look={"place": "ground", "ground": (7,)})
    assert source.mix(tiny.batch(), np.random.default_rng(0)).negative.any()


def test_at_least_16_pixels_are_seen(tmp_path):
    source = Paste(
        str(tiny.yolo(tmp_path)), look={"count": (1, 1), "side": (24, 300), "rotate": 45}
    )
    for seed in range(10):
        mixed = source.mix(tiny.batch(size=8), np.random.default_rng(seed))
        assert mixed.negative.flatten(1).sum(1).min() >= 16


def test_small_cutouts_are_not_blown_up(tmp_path):
    source = Paste(str(tiny.yolo(tmp_path)), look={"side": (300, 300)})
    patch = source.draw(300, np.random.default_rng(0))
    assert max(patch.alpha.shape) == round(GROWTH * 30)


def test_two_sources_of_one_folder_say_once_what_is_left_out(tmp_path, caplog):
    root = tiny.yolo(tmp_path / "objects", images=6)
    (root / "images/train/000.jpg").unlink()
    for part in ("train", "held_out", "all"):
        Paste(root=str(root), part=part, held_out=0.4)
    said = "cut-outs of objects left out: 1 x label without image (000.jpg)"
    assert [record.getMessage() for record in caplog.records] == [said]
    (root / "images/train/001.jpg").unlink()
    Paste(root=str(root))
    assert caplog.records[-1].getMessage() == said.replace("1 x", "2 x")


def test_image_that_breaks_later_is_skipped(tmp_path, caplog):
    source = Paste(str(tiny.yolo(tmp_path, images=2)))
    source.entries[0].image.write_bytes(b"")
    for seed in range(5):
        assert source.mix(tiny.batch(), np.random.default_rng(seed)).negative.any()
    assert "cut-out left out" in caplog.text


def test_record(tmp_path):
    assert Paste(str(tiny.yolo(tmp_path / "mine"))).record() == {
        "name": "paste",
        "root": "mine",
        "format": "yolo",
        "part": "all",
        "images": 3,
        "cutouts": 3,
        "classes": {"dog": 3},
        "skipped": {},
    }


def test_workers_get_it_without_the_decoded_pixels(tmp_path):
    source = Paste(str(tiny.yolo(tmp_path)))
    batch = tiny.batch()
    expected = source.mix(batch, np.random.default_rng(0))
    copied = pickle.loads(pickle.dumps(source))
    assert len(copied._memory) == 0 < len(source._memory)
    assert torch.equal(copied.mix(batch, np.random.default_rng(0)).image, expected.image)


def test_memory_drops_what_was_used_longest_ago():
    memory = Memory(limit=250)
    read = []

    def get(key):
        return memory.get(key, lambda: (read.append(key), np.zeros(100, np.uint8))[1])

    for key in "abacab":
        get(key)
    assert read == ["a", "b", "c", "b"]
    assert memory.used == 200


def test_plain_names_are_looked_up_among_the_data(tmp_path, monkeypatch):
    tiny.yolo(tmp_path / "things")
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    assert Paste("things").record()["cutouts"] == 3
    with pytest.raises(DataError, match="nothings"):
        Paste("nothings")


def test_coco128seg_has_the_documented_number_of_cutouts():
    data = os.environ.get("ROADANOMALY_DATA")
    if not data or not (Path(data) / "coco128seg").is_dir():
        pytest.skip("needs ROADANOMALY_DATA with coco128seg/")
    assert len(Paste("coco128seg", min_area=0).entries) == 580
    assert len(Paste("coco128seg", min_area=0.01).entries) == 323
