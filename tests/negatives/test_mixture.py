import copy

import numpy as np
import pytest
import torch

from roadanomaly.errors import OptionError, UnknownName
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.negatives.mixture import Mixture
from roadanomaly.types import REPLACED, TURNS, Batch
from tests.negatives import tiny


class Grey(NegativeSource):
    """Fills a crop with one value."""

    def __init__(self, value: int) -> None:
        super().__init__()
        self.value = value

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        rng.random()
        return Batch(
            torch.full_like(batch.image, self.value),
            torch.full_like(batch.label, 254),
            batch.ids,
            batch.image,
        )

    def record(self):
        return {"name": "grey", "value": self.value}


class Late(Grey):
    stage = "step"


@pytest.fixture(autouse=True)
def catalogue(monkeypatch):
    entries = {"grey": f"{__name__}:Grey", "late": f"{__name__}:Late"}
    monkeypatch.setattr(NEGATIVES, "entries", {**NEGATIVES.entries, **entries})


def test_each_crop_has_one_source_by_weight():
    mixture = Mixture(
        [{"name": "grey", "value": 1, "weight": 3}, {"name": "grey", "value": 2, "weight": 1}]
    )
    mixed = mixture.mix(tiny.batch(size=400, height=4, width=4), np.random.default_rng(0))
    values = mixed.image.flatten(1)
    assert (values == values[:, :1]).all()
    # 3/4 of 400 with a deviation of 8.7
    assert abs(int((values[:, 0] == 1).sum()) - 300) < 35


def test_reproducible_and_pure(tmp_path):
    options = [
        {"name": "paste", "root": str(tiny.yolo(tmp_path)), "side": [24, 60]},
        {"name": "shapes", "side": [24, 60]},
    ]
    batch = tiny.batch()
    before = copy.deepcopy(batch)
    first, second = (Mixture(options).mix(batch, np.random.default_rng(4)) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.label, second.label)
    assert torch.equal(first.original, before.image)
    assert torch.equal(batch.image, before.image)
    assert first.ids == batch.ids


def test_a_late_source_mixes_its_crops_inside_the_step():
    """The loader's crops are grey after the loader, the rest after the step."""
    mixture = Mixture([{"name": "grey", "value": 1}, {"name": "late", "value": 0}])
    assert mixture.stage == "both"
    batch = tiny.batch(size=64, height=4, width=4)
    loaded = mixture.mix(batch, np.random.default_rng(0))
    early = torch.tensor(loaded.note(TURNS)) == 0
    assert 10 < early.sum() < 54
    assert (loaded.image[early] == 1).all()
    assert torch.equal(loaded.image[~early], batch.image[~early])
    assert torch.equal(loaded.negative.flatten(1).all(1), early)
    mixed = mixture.mix(loaded.to("cpu"), np.random.default_rng(1))
    assert torch.equal(mixed.image[early], loaded.to("cpu").image[early])
    assert (mixed.image[~early] == 0).all()
    assert mixed.negative.all()
    assert torch.equal(mixed.original, batch.to("cpu").image)
    assert mixed.note(TURNS) == loaded.note(TURNS)


def test_a_mixture_carries_the_loss_of_its_flow():
    small = {"name": "glow", "levels": 1, "steps": 1, "hidden": 4}
    mixture = Mixture([{"name": "shapes"}, {"name": "flow", "flow": small, "side": [8, 16]}])
    loaded = mixture.mix(tiny.batch(size=6), np.random.default_rng(2))
    mixed = mixture.mix(loaded.to("cpu"), np.random.default_rng(3))
    samples = sum(turn == 1 for turn in loaded.note(TURNS))
    assert 0 < samples < 6
    assert len(mixed.note(REPLACED)) == samples
    assert list(mixture.loss(mixed)) == ["flow_bits_per_dim"]
    assert mixture.learned_flow() is mixture.sources[1].flow
    none = Mixture([{"name": "shapes"}])
    assert none.learned_flow() is None
    assert none.loss(mixed) == {}


def test_record_lists_the_sources_and_their_shares():
    mixture = NEGATIVES.build(
        "mixture",
        {"sources": [{"name": "grey", "value": 1, "weight": 3}, {"name": "grey", "value": 2}]},
    )
    assert mixture.record() == {
        "name": "mixture",
        "sources": [
            {"share": 0.75, "name": "grey", "value": 1},
            {"share": 0.25, "name": "grey", "value": 2},
        ],
    }


@pytest.mark.parametrize(
    ("sources", "error", "match"),
    [
        ([], OptionError, "empty"),
        ([{"weight": 1}], OptionError, "no `name`"),
        ([{"name": "grey", "value": 1, "weight": 0}], OptionError, "above 0"),
        ([{"name": "gray"}], UnknownName, "did you mean `grey`"),
        ([{"name": "grey", "vale": 1}], OptionError, "did you mean `value`"),
        ([{"name": "mixture", "sources": []}], OptionError, "empty"),
        (
            [{"name": "mixture", "sources": [{"name": "grey", "value": 1}]}],
            OptionError,
            "cannot hold a mixture",
        ),
        ([{"name": "flow"}, {"name": "flow"}], OptionError, "more than one source"),
    ],
)
def test_faults(sources, error, match):
    with pytest.raises(error, match=match):
        Mixture(sources)
