"""What a config of worlds may say, and what is refused by name."""

import numpy as np
import pytest

from roadanomaly.errors import DataError, OptionError, UnknownName, UserError
from roadanomaly.evaluation.worlds import open_world, open_worlds, read_worlds
from roadanomaly.types import NEGATIVE

STREETS = "{name: streets, split: val, count: 5, height: 64, width: 128}"


def config(tmp_path, text):
    path = tmp_path / "worlds.yaml"
    path.write_text(text)
    return path


@pytest.mark.slow
def test_frames_are_picked_sized_and_mixed(tmp_path):
    negatives = "{name: shapes, look: {side: [12, 30]}}"
    path = config(
        tmp_path,
        f"a: {{data: {STREETS}, frames: 3, size: [96, 160], negatives: {negatives}}}\n"
        f"b: {{data: {STREETS}}}\n",
    )
    (a, b), skipped = open_worlds(path)
    assert (a.name, b.name, skipped) == ("a", "b", {})
    assert a.frames.frame_ids() == ["val_0000", "val_0002", "val_0004"]
    assert a.frames[0].image.shape == (3, 96, 160)
    assert (a.frames[0].label == NEGATIVE).any()
    assert np.array_equal(a.frames[1].image, open_worlds(path, ["a"])[0][0].frames[1].image)
    assert len(b.frames) == 5
    assert not (b.frames[0].label == NEGATIVE).any()


def test_the_other_frames_are_those_that_are_left_out(tmp_path):
    text = f"a: {{data: {STREETS}, frames: 2}}\nb: {{data: {STREETS}, frames: 2, others: true}}\n"
    (a, b), _ = open_worlds(config(tmp_path, text))
    assert a.frames.frame_ids() == ["val_0000", "val_0004"]
    assert b.frames.frame_ids() == ["val_0001", "val_0002", "val_0003"]


@pytest.mark.parametrize("frames", [0, 5, 9])
def test_a_world_of_others_needs_some(tmp_path, frames):
    path = config(tmp_path, f"a: {{data: {STREETS}, frames: {frames}, others: true}}")
    with pytest.raises(OptionError, match=f"`frames: {frames}`, which leaves no frame out"):
        open_worlds(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"a: {{data: {STREETS}, frame: 3}}", "the world `a` has the key `frame`.*`frames`"),
        ("a: {frames: 3}", "the world `a` lacks the key `data`"),
        ("a: streets", "the world `a` is 'streets'; it must be a mapping"),
        (f"a: {{data: {STREETS}, frames: some}}", 'the world `a`: option "frames"'),
        (f"a: {{data: {STREETS}, size: [9, 96]}}", "from 32 each"),
        (f"a: {{data: {STREETS}, missing: skp}}", 'the world `a`: option "missing"'),
        (f"a/b: {{data: {STREETS}}}", "needs a name of letters"),
        ("- a", "must hold a mapping"),
        ("a: [", "not valid YAML"),
        ("a: &a [*a]", "not valid YAML: its aliases .* make inf characters"),
        ("[" * 100_000, "not valid YAML: it is nested too deeply"),
    ],
)
def test_a_mistake_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(OptionError, match=said):
        read_worlds(config(tmp_path, text))


def test_no_file_and_no_such_world_are_refused(tmp_path):
    with pytest.raises(OptionError, match="cannot be read"):
        read_worlds(tmp_path / "none.yaml")
    with pytest.raises(OptionError, match="no world 'street'; did you mean `streets`"):
        open_worlds(config(tmp_path, f"streets: {{data: {STREETS}}}"), ["street"])


def test_a_set_that_is_not_there_is_refused_or_skipped_as_the_config_says(tmp_path, monkeypatch):
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    absent = "data: {name: camvid, split: val}"
    with pytest.raises(DataError, match=r"the world `c` of .*missing: skip"):
        open_worlds(config(tmp_path, f"s: {{data: {STREETS}}}\nc: {{{absent}}}"))
    path = config(tmp_path, f"s: {{data: {STREETS}}}\nc: {{{absent}, missing: skip}}")
    worlds, skipped = open_worlds(path)
    assert [world.name for world in worlds] == ["s"]
    assert list(skipped) == ["c"]
    with pytest.raises(UserError, match=r"no world of .* is left"):
        open_worlds(path, ["c"])


def test_an_unknown_set_is_skipped_too_but_a_wrong_option_never(tmp_path):
    path = config(tmp_path, f"s: {{data: {STREETS}}}\nc: {{data: {{name: later}}, missing: skip}}")
    assert list(open_worlds(path)[1]) == ["c"]
    with pytest.raises(UnknownName):
        open_world("c", {"data": {"name": "later"}})
    wrong = {"data": {"name": "streets", "spilt": "val"}, "missing": "skip"}
    with pytest.raises(OptionError, match="`split`"):
        open_world("c", wrong)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: {data: {name: folder, images: 2024-31-12}}", "month must be in 1..12"),
        ("a: " + "[" * 20_000, "nested too deeply"),
    ],
)
def test_values_that_yaml_cannot_make_are_refused_by_name(tmp_path, text, says):
    with pytest.raises(OptionError, match=rf"worlds\.yaml is not valid YAML: .*{says}"):
        read_worlds(config(tmp_path, text))
