"""Ladder DenseNet-121: a dense encoder whose skips are blended back in, under published names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.segmenters.published_weights import load_without_dataset_head
from roadanomaly.segmenters.resizing import average

STEM = 64
PYRAMID_WIDTH = 512
PYRAMID_GRIDS = (8, 4, 2, 1)
LADDER_WIDTHS = (256, 256, 128)
MOMENTUM = 0.01


class LadderDenseNet(Segmenter):
    """Ladder DenseNet-121, 11.1 million parameters, under the tensor names of its checkpoints.

    Features are the dense blocks' outputs, `encoder4` to `encoder32`, and `decoder`, the 128
    channels at stride 4 that the class and the dataset logits read.

    Args:
        classes: names of the known classes, in the order of the logits.
        weights: a state dict with the published names; a dataset head in it is left out
            (`roadanomaly.load_published` takes it along): its path, or its name under a weights
            folder.
        blocks: layers of the four dense blocks; (6, 12, 24, 16) is DenseNet-121.
        growth: channels that a layer adds.

    Source: Kreso et al., Efficient Ladder-style DenseNets for Semantic Segmentation of Large
    Images, 2020, as used by Grcic et al. in DenseHybrid, 2022. Images go in as RGB in 0..1,
    without mean and standard deviation, as the published training did.
    """

    default_feature = "decoder"
    classified = "decoder"

    def __init__(
        self,
        classes: tuple[str, ...] = CITYSCAPES,
        weights: str | None = None,
        blocks: Sequence[int] = (6, 12, 24, 16),
        growth: int = 32,
    ) -> None:
        if len(blocks) != 4 or min(blocks) < 1 or growth < 1:
            msg = (
                "ladder_densenet: `blocks` must be four positive numbers and `growth` positive, "
                f"not {tuple(blocks)} and {growth}."
            )
            raise OptionError(msg)
        super().__init__(classes, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), divisor=32)
        self.blocks = tuple(blocks)
        self.growth = growth
        features = DenseFeatures(self.blocks, growth)
        self.backbone = nn.ModuleDict({"features": features})
        widths = features.widths
        self.spp = _nested("spp", "spp", SpatialPyramid(widths[-1]))
        self.upsample = nn.ModuleDict({"upsample_layers": Ladder(widths[:-1])})
        self.logits = NormActConv(LADDER_WIDTHS[-1], len(classes), 1, bias=True)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = MOMENTUM
        self.features = {
            f"encoder{4 << level}": FeatureInfo(width, 4 << level)
            for level, width in enumerate(widths)
        } | {"decoder": FeatureInfo(LADDER_WIDTHS[-1], 4)}
        if weights is not None:
            load_without_dataset_head(self, weights)

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        return {"classes": self.classes, "blocks": list(self.blocks), "growth": self.growth}

    def maps(self, image: Tensor, features: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute logits at stride 4 and the named features."""
        stages = self.backbone["features"](image)
        pyramid = self.get_submodule("spp.spp.spp")(stages[-1])
        decoded = self.upsample["upsample_layers"](pyramid, stages[:-1])
        found = {f"encoder{4 << level}": stage for level, stage in enumerate(stages)}
        found["decoder"] = decoded
        return self.classify(decoded), {name: found[name] for name in features}

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from `decoder`, `(B, 128, h, w)` to `(B, K, h, w)`."""
        return self.logits(feature)


def _nested(outer: str, inner: str, module: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({outer: nn.ModuleDict({inner: module})})


class NormActConv(nn.Sequential):
    """BatchNorm, ReLU, then a convolution that keeps the size."""

    def __init__(self, inputs: int, outputs: int, size: int, *, bias: bool = False) -> None:
        super().__init__(
            OrderedDict(
                norm=nn.BatchNorm2d(inputs),
                relu=nn.ReLU(),
                conv=nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias),
            )
        )


class DenseLayer(nn.Module):
    """A bottleneck that adds `growth` channels to what it is given."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new channels alone."""
        x = self.conv1(self.norm1(x).relu())
        return self.conv2(self.norm2(x).relu())


class DenseFeatures(nn.Sequential):
    """The encoder: `(B, 3, H, W)` to the outputs of its dense blocks at strides 4 to 32.

    Attributes:
        widths: channels of the blocks' outputs.
    """

    def __init__(self, blocks: Sequence[int], growth: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, STEM, 7, stride=2, padding=3, bias=False)
        self.norm0 = nn.BatchNorm2d(STEM)
        self.widths = []
        width = STEM
        for number, layers in enumerate(blocks, 1):
            block = nn.ModuleDict()
            for layer in range(layers):
                block[f"denselayer{layer + 1}"] = DenseLayer(width + layer * growth, growth)
            self.add_module(f"denseblock{number}", block)
            width += layers * growth
            self.widths.append(width)
            if number < len(blocks):
                self.add_module(f"transition{number}", NormActConv(width, width // 2, 1))
                width //= 2

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the four blocks' outputs, before their transitions."""
        x = functional.max_pool2d(self.norm0(self.conv0(x)).relu(), 2)
        outputs = []
        for number in range(1, len(self.widths) + 1):
            for layer in self.get_submodule(f"denseblock{number}").children():
                x = torch.cat([x, layer(x)], 1)
            outputs.append(x)
            if number < len(self.widths):
                x = self.get_submodule(f"transition{number}")(x)
                x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return outputs


class SpatialPyramid(nn.Module):
    """Averages over 8, 4, 2 and 1 rows of cells beside the map itself, to 512 channels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        side = PYRAMID_WIDTH // len(PYRAMID_GRIDS)
        self.spp_bn = NormActConv(inputs, PYRAMID_WIDTH, 1)
        for number in range(len(PYRAMID_GRIDS)):
            self.add_module(f"spp{number}", NormActConv(PYRAMID_WIDTH, side, 1))
        self.spp_fuse = NormActConv(2 * PYRAMID_WIDTH, PYRAMID_WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of 512 channels and the size of `x`."""
        x = self.spp_bn(x)
        height, width = x.shape[-2:]
        levels = [x]
        for number, rows in enumerate(PYRAMID_GRIDS):
            cells = average(x, (rows, max(1, round(rows * width / height))))
            levels.append(_enlarge(self.get_submodule(f"spp{number}")(cells), x))
        return self.spp_fuse(torch.cat(levels, 1))


class LadderStep(nn.Module):
    """Blends a skip into the enlarged map from below.

    The auxiliary head is in the published files and computes nothing here.
    """

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.bottleneck = NormActConv(skip, inputs, 1)
        self.blend_conv = NormActConv(inputs, outputs, 3)
        self.logits_aux = NormActConv(inputs, 1, 1, bias=True).requires_grad_(False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return a map of the skip's size."""
        skip = self.bottleneck(skip)
        return self.blend_conv(skip + _enlarge(x, skip))


class Ladder(nn.Module):
    """From the pyramid up, one step a skip, to 128 channels at stride 4."""

    def __init__(self, skips: Sequence[int]) -> None:
        super().__init__()
        widths = (PYRAMID_WIDTH, *LADDER_WIDTHS)
        for number, skip in enumerate(reversed(skips)):
            step = LadderStep(widths[number], skip, widths[number + 1])
            self.add_module(f"upsample_{number}", step)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Return the last step's map."""
        for step, skip in zip(self.children(), reversed(skips), strict=True):
            x = step(x, skip)
        return x


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
