"""Where a detector takes feature maps from: the segmenter's own, or a frozen encoder's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.detectors.padding import grown_to
from roadanomaly.encoders import ENCODERS, Encoder
from roadanomaly.errors import FeatureError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import Segmentation


class FeatureSource(nn.Module):
    """Named maps of an image: those of its segmentation, or those of an encoder that never learns.

    Args:
        features: names of the segmenter's maps; None takes its default. Of an encoder, its option
            `stages` chooses.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps;
            its weights become part of the model.

    Raises:
        OptionError: both are given.
    """

    def __init__(
        self, features: Sequence[str] | None = None, encoder: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        if features and encoder:
            msg = (
                f"`features: {list(features)}` names maps of the segmenter; with an `encoder` its "
                "own are taken. Give one of the two; an encoder's option `stages` chooses."
            )
            raise OptionError(msg)
        self.features = tuple(features) if features else ()
        self.encoder: Encoder | None = None
        if encoder:
            self.encoder = ENCODERS.from_spec(encoder).requires_grad_(False).eval()
        self.names: tuple[str, ...] = ()
        self.channels: tuple[int, ...] = ()
        self.strides: tuple[int, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return the two options, the encoder's weights aside."""
        if self.encoder is None:
            return {"features": list(self.features), "encoder": None}
        name = ENCODERS.name_of(self.encoder)
        return {"features": [], "encoder": {"name": name, **self.encoder.options()}}

    def attach(self, segmenter: Segmenter) -> None:
        """Learn the names and widths of the maps.

        Raises:
            FeatureError: a map that the segmenter does not offer, or it offers none.
        """
        if self.encoder is not None:
            self.channels, self.strides = self.encoder.channels, self.encoder.strides
            self.names = tuple(f"level{number}" for number in range(len(self.channels)))
            return
        if not self.features and not segmenter.default_feature:
            msg = (
                f"`{called(segmenter)}` offers no features: take a network that does, or give "
                "an `encoder`."
            )
            raise FeatureError(msg)
        self.features = self.features or (segmenter.default_feature,)
        found = [segmenter.feature(name) for name in self.features]
        self.names = self.features
        self.channels = tuple(one.channels for one in found)
        self.strides = tuple(one.stride for one in found)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the segmenter's features that are read."""
        return self.features

    def train(self, mode: bool = True) -> FeatureSource:
        """Stay in inference mode."""
        del mode
        return super().train(False)

    def maps(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the maps, `(B, C, h, w)` each, over all that the segmentation covers.

        Args:
            segmentation: of `image`, with the features of `needs`.
            image: `(B, 3, H, W)` float in 0..1.
        """
        if self.encoder is None:
            return {name: segmentation.features[name] for name in self.features}
        grown = grown_to(image, segmentation.padded)
        return dict(zip(self.names, self.encoder(grown), strict=True))

    def labels(self, segmentation: Segmentation, label: Tensor, cells: Tensor) -> Tensor:
        """Bring labels to the cells of a map; padding becomes `IGNORE`.

        Args:
            segmentation: of the images.
            label: `(B, H, W)` uint8 at image size.
            cells: `(B, C, h, w)`, the map.

        Returns:
            `(B, h, w)` int64.
        """
        return labels_at(label, replace(self._placed(segmentation), logits=cells))

    def to_image(self, segmentation: Segmentation, values: Tensor) -> Tensor:
        """Bring `(B, h, w)` values of the maps' cells to image size."""
        return self._placed(segmentation).to_image(values)

    def joined(self, segmentation: Segmentation, maps: Sequence[Tensor]) -> Tensor:
        """Bring maps to the size of the first, bilinearly, and put their channels together.

        Args:
            segmentation: of the images.
            maps: `(B, C, h, w)` each, as `maps` gives them.

        Returns:
            `(B, sum C, h, w)` float32.
        """
        size = tuple(maps[0].shape[-2:])
        corners = self.aligned(segmentation)
        brought = [
            one.float()
            if tuple(one.shape[-2:]) == size
            else functional.interpolate(one.float(), size, mode="bilinear", align_corners=corners)
            for one in maps
        ]
        return torch.cat(brought, 1)

    def aligned(self, segmentation: Segmentation) -> bool:
        """Tell whether the maps' corner cells lie on corner pixels, not half a cell inside."""
        return self.encoder is None and segmentation.align_corners

    def _placed(self, segmentation: Segmentation) -> Segmentation:
        """Return a segmentation that says where the maps' cells lie."""
        return replace(segmentation, align_corners=self.aligned(segmentation))
