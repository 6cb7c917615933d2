"""Several negative sources side by side: each crop takes its negatives from one of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from roadanomaly.errors import OptionError, make_all
from roadanomaly.flows import ImageFlow
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import ASSUMED, IGNORE, TURNS, Batch


class Elsewhere(NegativeSource):
    """In the data workers, the place of a source that works inside the step."""

    stage = "step"

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Leave the batch as it is."""
        del rng
        return batch

    def record(self) -> dict[str, Any]:
        """Return nothing."""
        return {}


class Mixture(NegativeSource):
    """One of several sources for each crop, drawn by weight.

    Sources of the loader mix their crops there; a flow's samples are put into the crops that were
    drawn for it inside the training step. At most one source has parameters. The note `TURNS` says
    which crops are whose; `ASSUMED` is brought together crop by crop, and any other note stays as
    its source gave it, of that source's crops alone.

    Args:
        sources: one mapping a source: `name`, out of the catalogue, an optional `weight` (1 where
            it is not given) and the options of that source.

    Raises:
        OptionError: no source, a source without a name, a weight that is not positive, a mixture
            of mixtures, or more than one source with parameters.
        UnknownName: no source is called so.
    """

    def __init__(self, sources: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if not sources:
            msg = "`sources` of a mixture is empty. List at least one, as {name: paste, weight: 1}."
            raise OptionError(msg)
        weights = np.array([_weight(options) for options in sources])
        self.shares: list[float] = (weights / weights.sum()).tolist()
        self.names = [_name(options) for options in sources]
        self.sources = nn.ModuleList(make_all(_build, sources))
        self.learning = [one for one in self._all() if one.learned_flow() is not None]
        if len(self.learning) > 1:
            msg = "more than one source of the mixture has a flow. Keep one of them."
            raise OptionError(msg)
        if all(one.content == "synthetic negatives" for one in self._all()):
            self.content = "synthetic negatives"
        self.keeps_labels = all(one.keeps_labels for one in self._all())
        self.leaves_unlabelled = any(one.leaves_unlabelled for one in self._all())
        self.stage = "both" if any(one.stage == "step" for one in self._all()) else "loader"

    @classmethod
    def upgrade(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Bring the options of each source to today's form."""
        from roadanomaly.negatives import NEGATIVES

        sources = options.get("sources")
        if not isinstance(sources, Sequence):
            return dict(options)
        return {**options, "sources": [NEGATIVES.upgraded(one) for one in sources]}

    def learned_flow(self) -> ImageFlow | None:
        """Return the flow of the source that has one."""
        return self.learning[0].learned_flow() if self.learning else None

    def attach(self, segmenter: Segmenter) -> None:
        """Hand the segmenter to each source."""
        for source in self._all():
            source.attach(segmenter)

    def label_as(self, classes: tuple[str, ...]) -> None:
        """Hand the class names to each source."""
        for source in self._all():
            source.label_as(classes)

    def loader_part(self) -> Mixture:
        """Return the mixture with nothing in the places of the sources that work in the step."""
        kept = {id(one): one if one.stage == "loader" else Elsewhere() for one in self._all()}
        return copy.deepcopy(self, kept)

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Let each crop's source mix it; see `NegativeSource.mix`.

        In the loader, on uint8 images, the sources are drawn, and those of the loader mix; inside
        the step, on float images, the others do.
        """
        loading = batch.image.dtype == torch.uint8
        turns = batch.note(TURNS)
        if turns is None:
            turns = tuple(rng.choice(len(self.sources), size=len(batch.image), p=self.shares))
        images, labels, assumed = list(batch.image), list(batch.label), list(_assumed(batch))
        notes: dict[str, Any] = {**batch.notes, TURNS: turns}
        originals = list(batch.image if batch.original is None else batch.original)
        assumes = batch.note(ASSUMED) is not None
        for number, source in enumerate(self._all()):
            mine = [index for index, turn in enumerate(turns) if turn == number]
            if not mine or (source.stage == "loader") != loading:
                continue
            mixed = source.mix(_crops(batch, mine), rng)
            assert mixed.original is not None
            parts = zip(
                mine, mixed.image, mixed.label, _assumed(mixed), mixed.original, strict=True
            )
            for index, *found in parts:
                images[index], labels[index], assumed[index], originals[index] = found
            notes |= mixed.notes
            assumes = assumes or mixed.note(ASSUMED) is not None
        return replace(
            batch,
            image=torch.stack(images) if images else batch.image,
            label=torch.stack(labels) if labels else batch.label,
            original=torch.stack(originals) if images else batch.original,
            notes={**notes, ASSUMED: torch.stack(assumed)} if assumes else notes,
        )

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of the source that has parameters."""
        return self.learning[0].loss(batch) if self.learning else {}

    def record(self) -> dict[str, Any]:
        """Return each source's record with its share of the crops."""
        return {
            "name": "mixture",
            "sources": [
                {"share": share, **source.record()}
                for share, source in zip(self.shares, self._all(), strict=True)
            ],
        }

    def _all(self) -> list[NegativeSource]:
        return cast(list[NegativeSource], list(self.sources))


def _assumed(batch: Batch) -> Tensor:
    """Return what a batch assumes; `IGNORE` throughout where that is nothing."""
    assumed = batch.note(ASSUMED)
    return torch.full_like(batch.label, IGNORE) if assumed is None else assumed


def _crops(batch: Batch, indices: Sequence[int]) -> Batch:
    """Return some crops of a batch, with what they assume and no other note."""

    def picked(values: Tensor) -> Tensor:
        return torch.stack([values[index] for index in indices])

    original = None if batch.original is None else picked(batch.original)
    ids = tuple(batch.ids[index] for index in indices)
    crops = Batch(picked(batch.image), picked(batch.label), ids, original)
    assumed = batch.note(ASSUMED)
    return crops if assumed is None else crops.noted({ASSUMED: picked(assumed)})


def _name(options: Mapping[str, Any]) -> str:
    if "name" not in options:
        msg = f"a source of a mixture has no `name`: {dict(options)}. Give one, such as `paste`."
        raise OptionError(msg)
    return options["name"]


def _weight(options: Mapping[str, Any]) -> float:
    weight = options.get("weight", 1)
    if not (isinstance(weight, int | float) and 0 < weight < float("inf")):
        msg = f"the weight of a mixture's source is {weight!r}; it must be a number above 0."
        raise OptionError(msg)
    return float(weight)


def _build(options: Mapping[str, Any]) -> NegativeSource:
    from roadanomaly.negatives import NEGATIVES

    name = _name(options)
    rest = {key: value for key, value in options.items() if key not in ("name", "weight")}
    source = NEGATIVES.build(name, rest)
    if isinstance(source, Mixture):
        msg = "a mixture cannot hold a mixture. List all sources side by side, with their weights."
        raise OptionError(msg)
    return source
