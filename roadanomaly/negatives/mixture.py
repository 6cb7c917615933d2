"""Several negative sources side by side: each crop takes its negatives from one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from roadanomaly.errors import OptionError
from roadanomaly.negatives.base import NegativeSource
from roadanomaly.types import Batch


class Mixture(NegativeSource):
    """One of several loader sources for each crop, drawn by weight.

    Args:
        sources: one mapping a source: `name`, out of the catalogue, an optional `weight` (1 where
            it is not given) and the options of that source.

    Raises:
        OptionError: no source, a source without a name, a weight that is not positive, or a
            source that runs inside the training step.
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
        self.sources = nn.ModuleList(_build(options) for options in sources)

    def mix(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Let each crop's source mix it; see `NegativeSource.mix`."""
        picks = rng.choice(len(self.sources), size=len(batch.image), p=self.shares)
        crops = [
            self._source(pick).mix(_crop(batch, index), rng) for index, pick in enumerate(picks)
        ]
        if not crops:
            return replace(batch, original=batch.image)
        return replace(
            batch,
            image=torch.cat([crop.image for crop in crops]),
            label=torch.cat([crop.label for crop in crops]),
            original=batch.image if batch.original is None else batch.original,
        )

    def record(self) -> dict[str, Any]:
        """Return each source's record with its share of the crops."""
        return {
            "name": "mixture",
            "sources": [
                {"share": share, **self._source(index).record()}
                for index, share in enumerate(self.shares)
            ],
        }

    def _source(self, index: int) -> NegativeSource:
        return cast(NegativeSource, self.sources[index])


def _crop(batch: Batch, index: int) -> Batch:
    window = slice(index, index + 1)
    return Batch(batch.image[window], batch.label[window], batch.ids[window])


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
    if source.stage != "loader":
        msg = (
            f"the source `{name}` runs inside the training step, and a mixture only in the loader. "
            "Use it alone."
        )
        raise OptionError(msg)
    return source
