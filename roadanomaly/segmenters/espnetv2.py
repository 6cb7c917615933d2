"""ESPNetv2, a segmentation network of 0.1 to 0.8 million parameters that runs live on a CPU."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import ClassesError, DataError, OptionError
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.segmenters.espnetv2_blocks import (
    PYRAMID_SCALES,
    ConvNormAct,
    DownSampler,
    Eesp,
    Folding,
    GatedProjection,
    NormAct,
    PyramidPooling,
    halve,
)
from roadanomaly.segmenters.resizing import enlarge
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights, some_of

WIDTHS = {
    0.5: (16, 32, 64, 128),
    1.0: (32, 64, 128, 256),
    1.5: (32, 96, 192, 384),
    2.0: (32, 128, 256, 512),
}
"""Scale to the channels of the four encoder levels."""

DECODER_WIDTHS = (64, 48, 32)
"""Channels of the decoder at strides 8, 4 and 2."""

DECODER_NAMES = ("decoder8", "decoder4", "decoder2")

PYRAMID_WIDTH = 10
"""Channels of each size in the decoder's pyramids."""

PUBLISHED_NAMES = (
    (r"^base_net\.", ""),
    (r"^level([234])_0\.", r"down\1."),
    (r"^level([34])\.", r"units\1."),
    (r"^bu_dec_l4\.merge_layer\.3\.", "classifier."),
    (r"^bu_dec_l1\.merge_layer\.3\.", "expand.0.conv."),
    (r"^bu_dec_l2\.merge_layer\.3\.", "expand.1.conv."),
    (r"^bu_dec_l3\.merge_layer\.3\.", "expand.2.conv."),
    (r"^bu_dec_l1\.br\.", "expand.0."),
    (r"^bu_dec_l2\.br\.", "expand.1."),
    (r"^bu_dec_l3\.br\.", "expand.2."),
    (r"^bu_dec_l1\.", "pyramids.0."),
    (r"^bu_dec_l2\.", "pyramids.1."),
    (r"^bu_dec_l3\.", "pyramids.2."),
    (r"^bu_dec_l4\.", "pyramids.3."),
    (r"^merge_enc_dec_l2\.", "skips.0."),
    (r"^merge_enc_dec_l3\.", "skips.1."),
    (r"^merge_enc_dec_l4\.", "skips.2."),
    (r"^bu_br_l2\.", "joins.0.br."),
    (r"^bu_br_l3\.", "joins.1.br."),
    (r"^bu_br_l4\.", "joins.2.br."),
    (r"\beesp\.", "unit."),
    (r"\binp_reinf\.", "reinforce."),
    (r"\bspp_dw\.(\d)\.conv\.", r"branches.\1."),
    (r"\bbr_after_cat\.", "merge."),
    (r"\bproj_1x1\.", "project."),
    (r"\bconv_1x1_exp\.", "expand."),
    (r"\bmodule_act\.", "act."),
    (r"\bstages\.(\d)\.", r"sizes.\1.conv."),
    (r"\bprojection_layer\.", "project."),
    (r"\bexpansion_layer\.", "project."),
    (r"\bmerge_layer\.0\.br\.0\.", "sizes.*.norm."),
    (r"\bmerge_layer\.0\.br\.1\.", "sizes.*.act."),
    (r"\bmerge_layer\.2\.cbr\.0\.", "sizes.*.mix."),
    (r"\bmerge_layer\.2\.cbr\.1\.", "mixed.norm."),
    (r"\bmerge_layer\.2\.cbr\.2\.", "mixed.act."),
    (r"\bwt_layer\.1\.", "gate."),
    (r"\bcbr\.0\.", "conv."),
    (r"\bcbr\.1\.", "norm."),
    (r"\bcbr\.2\.", "act."),
    (r"\bbr\.0\.", "norm."),
    (r"\bbr\.1\.", "act."),
    (r"\bbn\.", "norm."),
)
"""Patterns of the published files' names and what they are called here, applied in this order.

What is called `sizes.*` holds the five sizes of a pyramid in one tensor.
"""


class ESPNetv2(Segmenter):
    """ESPNetv2 (Mehta et al., CVPR 2019): EESP encoder, pyramid decoder, logits at stride 2.

    Args:
        scale: width of the encoder: 0.5, 1.0, 1.5 or 2.0.
        weights: a published or own weight file: its path, or its name under a weights folder.
        classes: names of the known classes, in the order of the logits.
        background: one more output than classes, for background, which `maps` leaves out. Weights
            that have it bring it.

    Raises:
        OptionError: an unknown scale, or one that is not the file's.
        DataError: weights that are missing, unreadable, or do not fit.
    """

    default_feature = "decoder8"
    classified = "decoder2"

    def __init__(
        self,
        scale: float = 2.0,
        weights: str | None = None,
        classes: tuple[str, ...] = CITYSCAPES,
        background: bool = False,
    ) -> None:
        if scale not in WIDTHS:
            msg = f"`scale` of ESPNetv2 is {scale!r}; allowed are {_scales()}."
            raise OptionError(msg)
        super().__init__(classes, divisor=16, align_corners=True)
        path = None if weights is None else find_weights(weights)
        state = None if path is None else _own_names(read_weights(path))
        if path is not None and state is not None:
            _check_scale(state, scale, path)
            background = _has_background(state, len(self.classes), background, path)
        self.scale = float(scale)
        self.background = background
        self._build(WIDTHS[scale])
        if path is not None and state is not None:
            load_strictly(self, state, path)
        else:
            self._initialise()

    def _build(self, widths: tuple[int, int, int, int]) -> None:
        c1, c2, c3, c4 = widths
        self.level1 = ConvNormAct(3, c1, 3, stride=2)
        self.down2 = DownSampler(c1, c2, limit=13)
        self.down3 = DownSampler(c2, c3, limit=11)
        self.units3 = nn.Sequential(*(Eesp(c3, c3, limit=9) for _ in range(3)))
        self.down4 = DownSampler(c3, c4, limit=9)
        self.units4 = nn.Sequential(*(Eesp(c4, c4, limit=7) for _ in range(7)))
        self.pyramids = nn.ModuleList(
            PyramidPooling(inputs, PYRAMID_WIDTH) for inputs in (c4, *DECODER_WIDTHS)
        )
        self.expand = nn.ModuleList(
            ConvNormAct(PYRAMID_WIDTH, width, 1) for width in DECODER_WIDTHS
        )
        self.skips = nn.ModuleList(
            GatedProjection(inputs, width)
            for inputs, width in zip((c3, c2, c1), DECODER_WIDTHS, strict=True)
        )
        self.joins = nn.ModuleList(NormAct(width) for width in DECODER_WIDTHS)
        self.classifier = nn.Conv2d(PYRAMID_WIDTH, self.outputs, 1)
        self.features = {
            "encoder16": FeatureInfo(c4, 16),
            **{
                name: FeatureInfo(width, stride)
                for name, width, stride in zip(
                    DECODER_NAMES, DECODER_WIDTHS, (8, 4, 2), strict=True
                )
            },
        }

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)

    @property
    def outputs(self) -> int:
        """Channels of the last layer: the classes, and the background where there is one."""
        return len(self.classes) + int(self.background)

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        return {"scale": self.scale, "classes": self.classes, "background": self.background}

    def maps(self, image: Tensor, features: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute logits of the classes `(B, K, H / 2, W / 2)`, and the named features."""
        decoded, found = self._decode(image, features)
        return self._class_logits(decoded), found

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits of the classes from `decoder2`: the last pyramid and a convolution."""
        return self._class_logits(self.pyramids[-1](feature))

    def _class_logits(self, decoded: Tensor) -> Tensor:
        count = len(self.classes)
        weight, bias = self.classifier.weight, self.classifier.bias
        bias = None if bias is None else bias[:count]
        return functional.conv2d(decoded, weight[:count], bias)

    def all_logits(self, image: Tensor) -> Tensor:
        """Compute the logits of all outputs, background included.

        Args:
            image: `(B, 3, H, W)` normalised, sides multiples of 16.

        Returns:
            `(B, outputs, H / 2, W / 2)`.
        """
        return self.classifier(self._decode(image, ())[0])

    def settle(self) -> None:
        """Fold every batch normalisation that follows a convolution."""
        for part in self.modules():
            if isinstance(part, Folding):
                part.settle()

    def _encode(self, image: Tensor) -> list[Tensor]:
        """Return the four levels, at strides 16, 8, 4 and 2."""
        if image.device.type == "cpu":
            image = image.contiguous(memory_format=torch.channels_last)
        small = halve(halve(image))
        level1 = self.level1(image)
        level2 = self.down2(level1, small)
        small = halve(small)
        level3 = self.units3(self.down3(level2, small))
        level4 = self.units4(self.down4(level3, halve(small)))
        return [level4, level3, level2, level1]

    def _decode(self, image: Tensor, features: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what the classifier reads, `(B, 10, H / 2, W / 2)`, and the named features."""
        x, *skipped = self._encode(image)
        found = {"encoder16": x}
        steps = zip(
            DECODER_NAMES, self.pyramids, self.expand, self.skips, skipped, self.joins, strict=False
        )
        for name, pyramid, expand, skip, level, join in steps:
            up = enlarge(expand(pyramid(x)), (level.shape[-2], level.shape[-1]))
            x = join(up + skip(level))
            found[name] = x
        return self.pyramids[-1](x), {name: found[name] for name in features}


def _own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a published file; others keep their names."""
    if not any(name.startswith("base_net.") for name in state):
        return dict(state)
    renamed = {}
    for name, value in state.items():
        own = name
        for pattern, replacement in PUBLISHED_NAMES:
            own = re.sub(pattern, replacement, own)
        renamed.update(_split_sizes(own, value))
    return renamed


def _split_sizes(name: str, value: Tensor) -> dict[str, Tensor]:
    """Part a tensor of all sizes of a pyramid: per channel by blocks, of the mixing by inputs."""
    if "sizes.*" not in name:
        return {name: value}
    count = len(PYRAMID_SCALES)
    if value.dim() == 0:
        parts = [value] * count
    else:
        parts = list(value.chunk(count, dim=1 if value.dim() == 4 else 0))
    return {name.replace("*", str(i)): part.clone() for i, part in enumerate(parts)}


def _check_scale(state: Mapping[str, Tensor], scale: float, path: Path) -> None:
    deepest = state.get("down4.act.weight")
    if deepest is None:
        msg = (
            f"{path} holds no ESPNetv2: the tensor `base_net.level4_0.act.weight` (published "
            f"files) or `down4.act.weight` (own files) is missing; found {some_of(list(state))}."
        )
        raise DataError(msg)
    found = next((s for s, widths in WIDTHS.items() if (widths[3],) == tuple(deepest.shape)), None)
    if found is None:
        msg = (
            f"level 4 of the ESPNetv2 in {path} has shape {tuple(deepest.shape)}, which is no "
            f"scale that is known here; {_scales()} have "
            f"{', '.join(str(widths[3]) for widths in WIDTHS.values())} channels."
        )
        raise DataError(msg)
    if found != scale:
        msg = (
            f"{path} is of scale {found}, but `scale` is {scale}: set `scale` to {found}, or "
            f"give weights of scale {scale}."
        )
        raise OptionError(msg)


def _has_background(state: Mapping[str, Tensor], classes: int, asked: bool, path: Path) -> bool:
    bias = state.get("classifier.bias")
    if bias is None:
        msg = f"{path} holds no last layer: `classifier.bias` is missing."
        raise DataError(msg)
    allowed = (classes + 1,) if asked else (classes, classes + 1)
    if len(bias) not in allowed:
        msg = (
            f"the ESPNetv2 in {path} has {len(bias)} outputs, but for {classes} classes it must "
            f"have {' or '.join(str(n) for n in allowed)} (one more for background). Give the "
            f"`classes` that it was trained for."
        )
        raise ClassesError(msg)
    return len(bias) == classes + 1


def _scales() -> str:
    return ", ".join(str(scale) for scale in WIDTHS)
