"""VGG's convolutions, on which the perceptual distances of the literature are defined."""

from __future__ import annotations

from typing import Any
from urllib.error import URLError

from torch import Tensor, nn
from torchvision.models import VGG16_Weights, VGG19_Weights
from torchvision.models.vgg import cfgs, make_layers

from roadanomaly.encoders.base import Encoder
from roadanomaly.errors import DataError, OptionError
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights

LAYOUTS = {16: ("D", (3, 8, 15, 22)), 19: ("E", (3, 8, 15, 24))}
"""Depth to torchvision's layout, and the places of relu1_2, relu2_2, relu3_3 and relu4_3."""

PRETRAINED = {16: VGG16_Weights.IMAGENET1K_V1, 19: VGG19_Weights.IMAGENET1K_V1}
CHANNELS, STRIDES = (64, 128, 256, 512), (1, 2, 4, 8)


class VggEncoder(Encoder):
    """VGG16 or VGG19 (Simonyan and Zisserman, 2015): relu1_2, relu2_2, relu3_3 and relu4_3.

    Args:
        depth: 16 or 19.
        weights: `imagenet`, torchvision's, downloaded when they are not in its cache; a state
            dict of torchvision's VGG, its path or its name under a weights folder; or `none`.

    Raises:
        OptionError: another depth.
        DataError: weights that are missing, do not fit, or cannot be downloaded.
    """

    def __init__(self, depth: int = 16, weights: str = "imagenet") -> None:
        if depth not in LAYOUTS:
            msg = f"`depth` of the encoder `vgg` is {depth}; allowed are 16 and 19."
            raise OptionError(msg)
        super().__init__(CHANNELS, STRIDES, weights=weights)
        layout, self.places = LAYOUTS[depth]
        self.depth = depth
        self.layers: nn.Sequential = make_layers(cfgs[layout])[: self.places[-1] + 1]
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # the maps are kept
        if weights == "none":
            return
        state, path = self._read(weights)
        own = {
            name.removeprefix("features."): value
            for name, value in state.items()
            if name.removeprefix("features.") in self.layers.state_dict()
        }
        load_strictly(self.layers, own, path)

    def _read(self, weights: str) -> tuple[dict[str, Tensor], Any]:
        if weights != "imagenet":
            path = find_weights(weights)
            return read_weights(path), path
        try:
            return dict(PRETRAINED[self.depth].get_state_dict(progress=False)), "torchvision"
        except (URLError, OSError, RuntimeError) as error:
            msg = (
                f"the ImageNet weights of VGG{self.depth} cannot be downloaded ({error}). Give a "
                "file of torchvision's with `weights`, or another encoder: `name: timm, model: "
                "tf_efficientnet_lite0, weights: efficientnet_lite0` needs no connection, and "
                "`name: segmenter` takes the features of a segmenter that you have."
            )
            raise DataError(msg) from error

    def maps(self, image: Tensor) -> list[Tensor]:
        """Compute the four maps."""
        found = []
        for place, layer in enumerate(self.layers):
            image = layer(image)
            if place in self.places:
                found.append(image)
        return found

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this encoder, weights aside."""
        return {"depth": self.depth, "weights": "none"}
