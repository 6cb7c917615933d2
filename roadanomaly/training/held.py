"""A batch in a holder, which Lightning Fabric hands on as it is whatever the precision."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from roadanomaly.types import Batch


class Held:
    """A batch that nobody looks into on its way to the module.

    In mixed precision Fabric casts all floats that it finds among a module's inputs. Images and a
    flow's samples are to stay float32, and autocast casts what a layer takes; so this is neither
    a tensor, a collection nor a dataclass.

    Args:
        batch: as it left the loader, on the device.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch


class TakesHeld(nn.Module):
    """What a task trains, called with a held batch.

    Args:
        module: called with a float batch and a numpy generator; returns named loss terms.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, held: Held, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return the named loss terms of the batch that is held."""
        terms: dict[str, Tensor] = self.module(held.batch, rng)
        return terms
