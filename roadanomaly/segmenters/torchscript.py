"""A TorchScript file that answers logits as a segmenter, for detectors that read those."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import DataError
from roadanomaly.segmenters.file_network import FileSegmenter, Triple


def read_torchscript(path: str | Path, device: torch.device) -> Any:
    """Return the program of a TorchScript file, without PyTorch's advice to whoever exports.

    Raises:
        RuntimeError: it is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.load(str(path), map_location=device)


class TorchScriptSegmenter(FileSegmenter):
    """A TorchScript network that answers logits.

    It offers no features and is not trained. A saved model names the file, which must stay where
    it is. Where the network answers several tensors the first is taken, and of a dictionary the
    entry `out`. A TorchScript file is a program of tensor operations: give only files that you
    trust.

    Args:
        file: what `torch.jit.save` wrote: its path, or its name under a weights folder.
        classes: names of the known classes, in the order of the logits.
        mean: of RGB in 0..1, subtracted before the network; (0, 0, 0) where it does so itself.
        std: divides after that; (1, 1, 1) where the network does so itself.
        divisor: both sides of an input are padded to multiples of it.
        align_corners: how logits are brought to image size.
        sha256: that the file must have; None takes any.

    Raises:
        DataError: no such file, no TorchScript network, or one that answers no logits.
    """

    def __init__(
        self,
        file: str,
        classes: tuple[str, ...] = CITYSCAPES,
        mean: Triple = (0.485, 0.456, 0.406),
        std: Triple = (0.229, 0.224, 0.225),
        divisor: int = 32,
        align_corners: bool = False,
        sha256: str | None = None,
    ) -> None:
        super().__init__(
            file,
            sha256,
            classes,
            mean=mean,
            std=std,
            divisor=divisor,
            align_corners=align_corners,
        )
        self._network: Any = None
        self._open(self.device)

    def _open(self, device: torch.device) -> Any:
        """Return the network on a device; it is opened again where the device has changed."""
        if self._network is None or self._network[0] != device:
            try:
                network = read_torchscript(self.path, device).eval()
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                msg = f"{self.path} is no TorchScript network: {reason}"
                raise DataError(msg) from error
            self._network = (device, network)
        return self._network[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out of copies; they open the file again."""
        return {**self.__dict__, "_network": None}

    def maps(self, image: Tensor, features: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network."""
        found = self._open(image.device)(image)
        if isinstance(found, dict):
            found = found.get("out")
        if isinstance(found, (list, tuple)):
            found = found[0]
        if not isinstance(found, Tensor) or found.dim() != 4:
            raise self.wrong_answer(type(found).__name__)
        if found.shape[1] != len(self.classes):
            raise self.wrong_answer(tuple(found.shape))
        return found, {}
