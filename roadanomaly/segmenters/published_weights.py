"""State dicts of the published networks, whose files may hold DenseHybrid's dataset head."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights

DATASET_HEAD = "logits_ood."
"""What the names of the dataset head begin with."""


def split_dataset_head(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors of the segmenter, and those of the dataset head without their prefix."""
    network = {name: one for name, one in state.items() if not name.startswith(DATASET_HEAD)}
    head = {
        name.removeprefix(DATASET_HEAD): one
        for name, one in state.items()
        if name.startswith(DATASET_HEAD)
    }
    return network, head


def load_without_dataset_head(network: nn.Module, weights: str) -> None:
    """Load a published file into a segmenter; all names but the dataset head's must fit.

    Raises:
        DataError: the file is missing, unreadable or does not fit.
    """
    path = find_weights(weights)
    state, _ = split_dataset_head(read_weights(path))
    load_strictly(network, state, path)
