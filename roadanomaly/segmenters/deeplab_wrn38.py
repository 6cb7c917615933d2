"""DeepLabV3+ on WideResNet-38, the field's large convolutional network, under published names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.segmenters.published_weights import load_without_dataset_head
from roadanomaly.segmenters.resizing import enlarge

STAGES = (
    # name, blocks, widths, stride, dilation, dropout
    ("mod2", 3, (128, 128), 1, 1, 0.0),
    ("mod3", 3, (256, 256), 1, 1, 0.0),
    ("mod4", 6, (512, 512), 2, 1, 0.0),
    ("mod5", 3, (512, 1024), 1, 2, 0.0),
    ("mod6", 1, (512, 1024, 2048), 1, 4, 0.3),
    ("mod7", 1, (1024, 2048, 4096), 1, 4, 0.5),
)
POOLED = ("mod2", "mod3")
"""Stages with a max pooling before them."""

STEM = 64
ASPP_WIDTH, FINE_WIDTH = 256, 48
ASPP_DILATIONS = (1, 12, 24, 36)


class DeepLabWrn38(Segmenter):
    """DeepLabV3+ with WideResNet-38, 137 million parameters, under the names of its checkpoints.

    Features: `encoder2` (128 channels), `encoder4`, `encoder8` (4096 channels), and `decoder`, the
    304 channels at stride 2 that the final layers and the dataset head read.

    Args:
        classes: names of the known classes, in the order of the logits.
        weights: a state dict with the published names; a dataset head in it is left out
            (`roadanomaly.load_published` takes it along): its path, or its name under a weights
            folder.
        narrow: divides every width; 1 is the published network, 16 a small one for trials.

    Source: Zhu et al., Improving Semantic Segmentation via Video Propagation and Label
    Relaxation, 2019, with the dataset head of Grcic et al., DenseHybrid, 2022.
    """

    default_feature = "decoder"
    classified = "decoder"

    def __init__(
        self,
        classes: tuple[str, ...] = CITYSCAPES,
        weights: str | None = None,
        narrow: int = 1,
    ) -> None:
        if narrow < 1 or FINE_WIDTH % narrow:
            msg = f"deeplab_wrn38: `narrow` must divide {FINE_WIDTH}, got {narrow}."
            raise OptionError(msg)
        super().__init__(classes, divisor=8, align_corners=True)
        self.narrow = narrow
        fine, wide, width = FINE_WIDTH // narrow, ASPP_WIDTH // narrow, STEM // narrow
        conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.mod1 = nn.Sequential(OrderedDict(conv1=conv1))
        ends = {}
        for name, blocks, widths, stride, dilation, dropout in STAGES:
            stage = nn.Sequential()
            for number in range(blocks):
                inner = tuple(one // narrow for one in widths)
                block = ResidualBlock(width, inner, 1 if number else stride, dilation, dropout)
                stage.add_module(f"block{number + 1}", block)
                width = inner[-1]
            self.add_module(name, stage)
            ends[name] = width
        self.aspp = DeepLabPyramid(width, wide)
        self.bot_fine = nn.Conv2d(ends["mod2"], fine, 1, bias=False)
        self.bot_aspp = nn.Conv2d(wide * (len(ASPP_DILATIONS) + 1), wide, 1, bias=False)
        self.final = nn.Sequential(
            *_conv_norm_relu(fine + wide, wide, 3),
            *_conv_norm_relu(wide, wide, 3),
            nn.Conv2d(wide, len(classes), 1, bias=False),
        )
        self.features = {
            "encoder2": FeatureInfo(ends["mod2"], 2),
            "encoder4": FeatureInfo(ends["mod3"], 4),
            "encoder8": FeatureInfo(width, 8),
            "decoder": FeatureInfo(fine + wide, 2),
        }
        if weights is not None:
            load_without_dataset_head(self, weights)

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        return {"classes": self.classes, "narrow": self.narrow}

    def maps(self, image: Tensor, features: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute logits at stride 2 and the named features."""
        x = self.mod1(image)
        found = {}
        for name, *_ in STAGES:
            if name in POOLED:
                x = functional.max_pool2d(x, 3, stride=2, padding=1)
            x = self.get_submodule(name)(x)
            found[name] = x
        fine = self.bot_fine(found["mod2"])
        coarse = enlarge(self.bot_aspp(self.aspp(x)), (fine.shape[-2], fine.shape[-1]))
        decoded = torch.cat([fine, coarse], 1)
        named = {
            "encoder2": found["mod2"],
            "encoder4": found["mod3"],
            "encoder8": x,
            "decoder": decoded,
        }
        return self.classify(decoded), {name: named[name] for name in features}

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from `decoder`, `(B, 304, h, w)` to `(B, K, h, w)`: three convolutions."""
        return self.final(feature)


class ResidualBlock(nn.Module):
    """Pre-activated; two 3x3 convolutions, or a bottleneck of 1x1, dilated 3x3 and 1x1.

    Args:
        inputs: channels that come in.
        widths: of the two or three convolutions.
        stride: of the first convolution and the shortcut.
        dilation: of the 3x3 convolutions.
        dropout: chance, in training, of a whole channel to be dropped before the last convolution.
    """

    def __init__(
        self, inputs: int, widths: tuple[int, ...], stride: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.bn1 = _norm_relu(inputs)
        bottleneck = len(widths) == 3
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = inputs
        for number, width in enumerate(widths, 1):
            last = number == len(widths)
            if number > 1:
                layers[f"bn{number}"] = _norm_relu(before)
            if last and dropout:
                layers["dropout"] = nn.Dropout2d(dropout)
            wide = not bottleneck or number == 2
            layers[f"conv{number}"] = nn.Conv2d(
                before,
                width,
                3 if wide else 1,
                stride=stride if number == 1 else 1,
                padding=dilation if wide else 0,
                dilation=dilation if wide else 1,
                bias=False,
            )
            before = width
        self.convs = nn.Sequential(layers)
        if stride != 1 or inputs != widths[-1]:
            self.proj_conv = nn.Conv2d(inputs, widths[-1], 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of shortcut and main path."""
        active = self.bn1(x)
        shortcut = self.proj_conv(active) if hasattr(self, "proj_conv") else x
        return shortcut + self.convs(active)


class DeepLabPyramid(nn.Module):
    """The global mean, a 1x1 and three dilated 3x3 convolutions, side by side.

    Args:
        inputs: channels that come in.
        outputs: channels of each part.
        whole: whether the global mean is there; a batch of one image cannot normalise it.
    """

    def __init__(self, inputs: int, outputs: int, *, whole: bool = True) -> None:
        super().__init__()
        self.whole = whole
        self.features = nn.ModuleList(
            nn.Sequential(*_conv_norm_relu(inputs, outputs, 1 if dilation == 1 else 3, dilation))
            for dilation in ASPP_DILATIONS
        )
        if whole:
            self.img_conv = nn.Sequential(*_conv_norm_relu(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, 5 * outputs, h, w)`, the global mean first, or `(B, 4 * outputs, h, w)`."""
        parts = [one(x) for one in self.features]
        if self.whole:
            everywhere = self.img_conv(x.mean((2, 3), keepdim=True))
            parts.insert(0, enlarge(everywhere, (x.shape[-2], x.shape[-1])))
        return torch.cat(parts, 1)


def _norm_relu(width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())


def _conv_norm_relu(inputs: int, outputs: int, size: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (size // 2)
    conv = nn.Conv2d(inputs, outputs, size, padding=padding, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
