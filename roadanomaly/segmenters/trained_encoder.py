"""The encoder of a network that was trained before, as the start of another one."""

from __future__ import annotations

import re
from pathlib import PurePath

from torch import nn

from roadanomaly.errors import DataError
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights

ENDINGS = (".safetensors", ".pth", ".pt")
"""What tells a file from the name of weights to download."""

ENCODER = re.compile(r"(?:.*\.)?encoder\.(?P<name>.+)")


def is_file_name(encoder_weights: str | None) -> bool:
    """Tell whether this names a file.

    >>> is_file_name("roadanomaly/models/default/weights.safetensors"), is_file_name("imagenet")
    (True, False)
    """
    return encoder_weights is not None and PurePath(encoder_weights).suffix in ENDINGS


def load_trained_encoder(encoder: nn.Module, weights: str) -> None:
    """Load the tensors of a file that stand under `encoder.`; the rest of it is left.

    Args:
        encoder: of the same kind as the file's network has.
        weights: the file, as `find_weights` takes it: of a saved model, or a state dict.

    Raises:
        DataError: the file cannot be found or read, has no encoder, or another one.
    """
    path = find_weights(weights)
    found = ((ENCODER.fullmatch(name), one) for name, one in read_weights(path).items())
    state = {name["name"]: one for name, one in found if name is not None}
    if not state:
        msg = (
            f"{path} holds no encoder: none of its names has `encoder.` in it. Give the weights of "
            "a network of segmentation-models-pytorch, or of a model that was trained on one."
        )
        raise DataError(msg)
    load_strictly(encoder, state, path)
