"""The features of a segmenter: perception without any other network's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from roadanomaly.encoders.base import Encoder
from roadanomaly.errors import OptionError
from roadanomaly.segmenters import SEGMENTERS


class SegmenterEncoder(Encoder):
    """Named feature maps of a segmenter, from fine to coarse.

    Args:
        segmenter: catalogue `name` of the segmenter, and its options.
        features: names of its maps, in any order; None takes all of its own.

    Raises:
        OptionError: a segmenter without a name or without features.
        FeatureError: a map that it does not offer.
    """

    def __init__(self, segmenter: Mapping[str, Any], features: Sequence[str] | None = None) -> None:
        if "name" not in segmenter:
            msg = "the encoder `segmenter`: give `segmenter: {name: ..., ...}`."
            raise OptionError(msg)
        given = dict(segmenter)
        network = SEGMENTERS.build(given.pop("name"), given)
        names = list(network.features if features is None else features)
        if not names:
            msg = f"the segmenter `{segmenter['name']}` offers no features: take another encoder."
            raise OptionError(msg)
        names.sort(key=lambda name: network.feature(name).stride)
        found = [network.feature(name) for name in names]
        super().__init__(
            [one.channels for one in found],
            [one.stride for one in found],
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            weights=str(given.get("weights") or "none"),
        )
        self.segmenter = network
        self.features = names

    def maps(self, image: Tensor) -> list[Tensor]:
        """Compute the maps; the segmenter normalises by itself."""
        found = self.segmenter(image, self.features).features
        return [found[name] for name in self.features]

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this encoder, weights aside."""
        options = self.segmenter.options()
        return {
            "segmenter": {"name": SEGMENTERS.name_of(self.segmenter), **options},
            "features": self.features,
        }
