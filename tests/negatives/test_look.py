"""The options of `look`: refused where they cannot work, and today's form of an earlier config."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from roadanomaly.cli.list import describe
from roadanomaly.errors import OptionError
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.look import FLAT, NAMES, OBJECTS, Look
from roadanomaly.negatives.patches import Patch, PatchSource
from roadanomaly.training.run_folder import check_same_run, plain
from roadanomaly.types import IGNORE, NEGATIVE
from tests.negatives import tiny
from tests.training import runs

BEFORE = json.loads((Path(__file__).parent / "before_look.json").read_text())
"""What version 0.1 made of its own options: the generator's state, negatives, mean grey level."""

SPECS = {
    "paste": {"name": "paste"},
    "paste_options": {
        "name": "paste",
        "side": [24, 420],
        "count": [0, 4],
        "rotate": 30,
        "feather": [0, 3],
        "place": "ground",
        "ground": [0],
        "probability": 0.8,
        "brightness": 0.3,
        "colour_match": [0.2, 0.9],
        "flip": 0.3,
    },
    "shapes": {"name": "shapes"},
    "noise": {"name": "noise"},
    "noise_options": {
        "name": "noise",
        "side": [8, 64],
        "feather": [0, 4],
        "count": [1, 3],
        "probability": 0.5,
    },
    "road_obstacles": {"name": "road_obstacles"},
    "road_obstacles_options": {
        "name": "road_obstacles",
        "side": [12, 80],
        "perspective": 0.8,
        "feather": [0, 2],
        "colour_match": [0, 1],
        "textured": 0.7,
    },
}
"""As configs of version 0.1 hold them, beside a set's `root`."""


def nested(spec):
    """Write the same as configs do today, by hand."""
    look = {key: value for key, value in spec.items() if key in FLAT}
    return {**{key: value for key, value in spec.items() if key not in FLAT}, "look": look}


def rooted(spec, name, tmp_path):
    if spec["name"] != "paste":
        return spec
    made = tiny.yolo if name == "paste" else tiny.rgba
    return {**spec, "root": str(made(tmp_path / "set"))}


@pytest.mark.slow
@pytest.mark.parametrize("form", [dict, nested])
@pytest.mark.parametrize("name", SPECS)
def test_both_forms_draw_what_they_drew_before(name, form, tmp_path):
    """The state after mixing is that of a generator of which the same was asked in turn."""
    source = NEGATIVES.from_spec(form(rooted(SPECS[name], name, tmp_path)))
    for seed in (5, 6):
        rng = np.random.default_rng(seed)
        mixed = source.mix(tiny.batch(8, seed=seed), rng)
        found = BEFORE[f"{name}/{seed}"]
        assert hex(rng.bit_generator.state["state"]["state"]) == found["state"]
        assert int(mixed.negative.sum()) == pytest.approx(found["negative"], rel=0.002)
        assert mixed.image.double().mean().item() == pytest.approx(found["mean"], abs=0.01)


def test_a_mixture_brings_its_sources_to_todays_form():
    flat = {"name": "mixture", "sources": [{"name": "noise", "side": [8, 9], "weight": 2}]}
    look = {"name": "noise", "weight": 2, "look": {"side": [8, 9]}}
    assert NEGATIVES.upgraded(flat) == {"name": "mixture", "sources": [look]}
    assert NEGATIVES.from_spec(flat).sources[0].look.side == [8, 9]


def test_what_stands_beside_look_changes_one_key_of_it():
    look = NEGATIVES.build("noise", {"look": {"side": [8, 9], "flip": 1}, "side": [8, 20]}).look
    assert (look.side, look.flip) == ([8, 20], 1)


def test_a_run_that_began_with_an_earlier_config_resumes_with_todays(tmp_path):
    flat = runs.config(tmp_path, negatives={"name": "shapes", "side": [12, 30]})
    today = runs.config(tmp_path, negatives={"name": "shapes", "look": {"side": [12, 30]}})
    check_same_run(plain(flat), 1, today, 1)
    other = runs.config(tmp_path, negatives={"name": "shapes", "look": {"side": [12, 31]}})
    with pytest.raises(OptionError, match="`negatives` was"):
        check_same_run(plain(flat), 1, other, 1)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"look": {"fether": [0, 2]}}, "`look` has no option `fether`; did you mean `feather`"),
        ({"look": {"side": "big"}}, "`look` of a negative source: .*side"),
        ({"look": {"count": [0.5, 2]}}, "count"),
        ({"look": 3}, "look"),
        ({"look": 3, "side": [8, 9]}, "look"),
        ({"look": {"count": (3, 1)}}, "`count`"),
        ({"look": {"side": (2, 50)}}, "`side`"),
        ({"look": {"colour_match": (0, 2)}}, "`colour_match`"),
        ({"look": {"feather": (-1, 0)}}, "`feather`"),
        ({"look": {"flip": 2}}, "`flip`"),
        ({"look": {"rotate": -5}}, "`rotate`"),
        ({"look": {"probability": 1.5}}, "`probability`"),
        ({"look": {"place": "sky"}}, "`place`"),
        ({"look": {"opacity": [0.5, 1.5]}}, "`opacity`"),
        ({"flip": 2}, "`flip`"),
        ({"opacity": [0, 1]}, "`opacity` is not an option"),
    ],
)
def test_what_cannot_work_is_refused(spec, words):
    with pytest.raises(OptionError, match=words):
        NEGATIVES.build("noise", spec)


def test_what_is_not_given_stays_usual():
    look = NEGATIVES.build("shapes", {"look": {"rotate": 5}}).look
    assert look == OBJECTS.changed({"rotate": 5})
    assert (look.rotate, look.side, look.ground) == (5, OBJECTS.side, OBJECTS.ground)


def test_the_list_shows_the_options_of_look():
    text = describe(NEGATIVES)
    for name in ("paste", "noise"):
        look = NEGATIVES.get(name).usual
        assert f"side={look.side!r}, flip={look.flip!r}" in text
    patched = [kind for kind in map(NEGATIVES.get, NEGATIVES) if issubclass(kind, PatchSource)]
    opaque = [kind for kind in patched if kind.usual.opacity == (1, 1)]
    assert text.count("opacity=(1, 1)") == len(opaque) > 4


class White(PatchSource):
    """A white square."""

    usual = OBJECTS.changed({"colour_match": (0, 0), "feather": (0, 0), "brightness": 0})

    def draw(self, side, rng):
        return Patch(np.full((side, side, 3), 255, np.float32), np.ones((side, side), np.float32))

    def record(self):
        return {"name": "white"}


def white(opacity, seed=0):
    """Mix a crop with one patch, whose opacity is the last that is drawn."""
    batch = tiny.batch(1)
    look = {"opacity": opacity, "side": (20, 20), "count": (1, 1)}
    rng, plain = np.random.default_rng(seed), np.random.default_rng(seed)
    mixed = White(look).mix(batch, rng)
    covered = White({**look, "opacity": (1, 1)}).mix(batch, plain).negative
    equal = rng.bit_generator.state == plain.bit_generator.state
    return batch, mixed, covered, equal


@pytest.mark.parametrize(
    ("opacity", "meaning"), [(0.75, NEGATIVE), (0.5, NEGATIVE), (0.3, IGNORE), (0.05, None)]
)
def test_opacity_is_a_factor_on_alpha_for_pixels_and_labels(opacity, meaning):
    batch, mixed, covered, _ = white((opacity, opacity))
    expected = batch.image + opacity * (255 - batch.image.double())
    there = covered[:, None].expand_as(batch.image)
    assert (mixed.image - expected)[there].abs().max() <= 0.5 + 1e-4
    assert torch.equal(mixed.image[~there], batch.image[~there])
    if meaning is None:
        assert torch.equal(mixed.label, batch.label)
    else:
        assert (mixed.label[covered] == meaning).all()
        assert torch.equal(mixed.label[~covered], batch.label[~covered])


def test_opacity_is_drawn_for_each_patch_and_not_at_all_where_it_is_1():
    found = []
    for seed in range(6):
        batch, mixed, covered, equal = white((0.6, 0.9), seed)
        assert not equal
        change = (mixed.image.double() - batch.image).movedim(1, -1)[covered].sum()
        room = (255 - batch.image.double()).movedim(1, -1)[covered].sum()
        found.append(round((change / room).item(), 3))
    assert min(found) > 0.595
    assert max(found) < 0.905
    assert len(set(found)) == 6
    assert white((1, 1))[3]


def test_every_option_and_every_source_is_told():
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    start = page.index("## How negatives are put in")
    told = page[start : page.index("## Blur", start)]
    sources, table = told.split("```yaml")[0], told.split("| --- |")[1]
    assert all(f"`{name}`" in table for name in NAMES)
    assert all(f"\n    {name}: " in inspect.getdoc(Look) for name in NAMES)
    shared = {name for name in NEGATIVES if issubclass(NEGATIVES.get(name), PatchSource)}
    assert set(re.findall(r"`(\w+)`", sources)) == shared
