"""Training sets side by side, each with its share."""

from collections import Counter

import numpy as np
import pytest

from roadanomaly.data import DATASETS
from roadanomaly.data.derived import Resized
from roadanomaly.data.images import write_image
from roadanomaly.data.streets import Streets
from roadanomaly.data.subset import Picked
from roadanomaly.errors import OptionError, UnknownName


def union(*sets):
    return DATASETS.build("union", {"sets": list(sets)})


def streets(count, seed, **options):
    return {"name": "streets", "count": count, "seed": seed, "height": 48, "width": 64, **options}


@pytest.mark.slow
def test_shares_hold_and_every_frame_occurs():
    both = union(streets(10, 0, share=2), streets(2, 1, share=1))
    counts = Counter(number for number, _ in both.places)
    assert counts == {0: 10, 1: 5}
    own = [frame.id.split(".") for frame in both]
    assert [turn for number, turn, _ in own if number == "01"] == [
        "000",
        "000",
        "001",
        "001",
        "002",
    ]
    assert len({name for number, _, name in own if number == "01"}) == 2
    assert len(both) == len(own) == 15


def test_a_small_share_of_a_large_set_still_holds_every_frame():
    both = union(streets(3, 0, share=0.9), streets(4, 1, share=0.1))
    counts = Counter(number for number, _ in both.places)
    assert counts == {0: 36, 1: 4}
    assert len({frame.id.split(".")[2] for frame in both if frame.id.startswith("00.")}) == 3


def test_frames_are_those_of_the_sets():
    alone = DATASETS.build("streets", {"count": 2, "seed": 1, "height": 48, "width": 64})
    both = union(streets(2, 0), streets(2, 1))
    assert both[2].image.equal(alone[0].image)
    assert both.record()["sets"][1] == {"share": 0.5, **alone.record()}


def test_each_set_may_have_a_size_of_its_own():
    both = union(streets(1, 0), streets(1, 1, size=[96, 128]))
    assert both[0].image.shape[-2:] == (48, 64)
    assert both[1].image.shape[-2:] == both[1].label.shape == (96, 128)
    alone = DATASETS.build("streets", {"count": 1, "seed": 1, "height": 48, "width": 64})[0]
    assert both[1].label[::2, ::2].eq(alone.label).float().mean() > 0.95
    assert both.record()["sets"][1]["size"] == [96, 128]


def test_it_is_called_after_its_sets(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((48, 64, 3), np.uint8))
    folder = {"name": "folder", "images": str(tmp_path), "kind": "ordinary"}
    both = union(streets(1, 0, split="val"), folder)
    assert both.title == f"union of streets val, folder all ({tmp_path.name})"


@pytest.mark.parametrize(
    ("sets", "error", "match"),
    [
        ([], OptionError, "List at least one"),
        ([{"share": 1}], OptionError, "no `name`"),
        ([{"name": "streets", "share": 0}], OptionError, "share .* is 0; .* above 0"),
        (
            [{"name": "streets", "size": [720]}],
            OptionError,
            r"`size` .* is \[720\]; .* as \[720, 960\]",
        ),
        ([{"name": "streets", "size": "720"}], OptionError, "`size` .* is 720; give"),
        ([{"name": "streets", "size": [0, 960]}], OptionError, r"`size` .* is \[0, 960\]"),
        ([{"name": "steets"}], UnknownName, "did you mean `streets`"),
    ],
)
def test_refusals(sets, error, match):
    with pytest.raises(error, match=match):
        union(*sets)


def test_sets_of_other_classes_are_refused(tmp_path):
    for folder in ("images", "labels"):
        write_image(tmp_path / folder / "a.png", np.zeros((48, 64), np.uint8))
    folder = {
        "name": "folder",
        "images": str(tmp_path / "images"),
        "labels": str(tmp_path / "labels"),
        "kind": "classes",
        "classes": ["road", "sky"],
    }
    with pytest.raises(OptionError, match=r"same classes.* 2 and the first set 19"):
        union(streets(2, 0), folder)


def test_ids_are_those_of_the_frames_and_no_frame_is_read_for_them(monkeypatch):
    nested = {"name": "union", "sets": [streets(3, 0, share=2), streets(1, 1)], "share": 1}
    both = union(nested, streets(2, 1, share=3))
    drawn = [frame.id for frame in both]
    monkeypatch.setattr(Streets, "__getitem__", lambda *_: pytest.fail("a frame was drawn"))
    assert both.frame_ids() == drawn
    assert both.own_ids() == [name.split(".")[-1] for name in drawn]
    assert Resized(Picked(both, [4, 0]), (8, 8)).own_ids() == [both.own_ids()[4], both.own_ids()[0]]
