"""What a mask network answers: queries, each with a class and a mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Masks:
    """What a mask network answers: of each of Q queries, which class it is and where.

    A detector may put a class of its own after the K known ones; C counts them all.

    Args:
        classes: `(B, Q, C + 1)` class logits before softmax; the last is "no object".
        masks: `(B, Q, h, w)` mask logits before the sigmoid.
        layers: what the network's earlier layers answered, for its loss alone; empty where no
            gradients are recorded.
        queries: `(B, Q, W)`, what the layer that names the classes reads; None where a network
            does not tell.
    """

    classes: Tensor
    masks: Tensor
    layers: tuple[Masks, ...] = ()
    queries: Tensor | None = None

    @property
    def no_object(self) -> int:
        """Index of "no object" among the classes, which is their number; of a label: no mask."""
        return self.classes.shape[2] - 1

    @property
    def probabilities(self) -> Tensor:
        """`P`, `(B, Q, C)`: softmax over the C classes and "no object", which is then left out."""
        return self.classes.float().softmax(2)[..., :-1]

    def weighted(self, weights: Tensor) -> Tensor:
        """Return `sum_q w_qc sigmoid(M_q)`, `(B, C, h, w)`, at the masks' own stride.

        Args:
            weights: `(B, Q, C)`.
        """
        return torch.einsum("bqc,bqhw->bchw", weights, self.masks.float().sigmoid())

    def in_float32(self) -> Masks:
        """Return the same numbers as float32, without the earlier layers."""
        queries = None if self.queries is None else single(self.queries)
        return Masks(single(self.classes), single(self.masks), queries=queries)


def single(values: Tensor) -> Tensor:
    """Return values of half precision as float32, others as they are."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
