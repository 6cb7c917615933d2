"""Score an image so that neither what came before it nor a restart changes the score."""

from __future__ import annotations

import torch

from roadanomaly.image_input import ImageLike
from roadanomaly.model import Model, Result

SEED = 0
"""Set before each frame where nobody names another."""


def score_image(model: Model, image: ImageLike, frame_id: str = "", seed: int = SEED) -> Result:
    """Score one image, from the same state of the random generator as every other.

    Args:
        model: on its device.
        image: as the model takes it.
        frame_id: as the model takes it.
        seed: that draws begin from.

    Raises:
        DataError: as the model.
    """
    torch.manual_seed(seed)
    return model(image, frame_id)
