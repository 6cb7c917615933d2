"""An ONNX file that answers logits as a segmenter, for detectors that read those."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import onnxruntime
import torch
from torch import Tensor

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.segmenters.file_network import FileSegmenter, Triple


class OnnxSegmenter(FileSegmenter):
    """An ONNX network with one image input and logits as an output; runs on onnxruntime.

    It offers no features and cannot be trained. A network of one fixed size has its images resized
    to it. A saved model names the file, which must stay where it is.

    Args:
        file: the .onnx file: its path, or its name under a weights folder.
        classes: names of the known classes, in the order of the logits.
        mean: of RGB in 0..1, subtracted before the network; (0, 0, 0) where it does so itself.
        std: divides after that; (1, 1, 1) where the network does so itself.
        divisor: both sides of an input are padded to multiples of it.
        align_corners: how logits are brought to image size.
        output: name of the output; None takes the first.
        sha256: that the file must have; None takes any.

    Raises:
        DataError: no such file, no ONNX network, or one that answers no logits.
        OptionError: no such output.
    """

    def __init__(
        self,
        file: str,
        classes: tuple[str, ...] = CITYSCAPES,
        mean: Triple = (0.485, 0.456, 0.406),
        std: Triple = (0.229, 0.224, 0.225),
        divisor: int = 32,
        align_corners: bool = False,
        output: str | None = None,
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
        self._session: Any = None
        self.output = output
        names = [one.name for one in self.session.get_outputs()]
        if output is not None and output not in names:
            msg = f"{self.path} has no output {output!r}; {nearest(output, names)}"
            raise OptionError(msg)
        shape = self.session.get_inputs()[0].shape
        if len(shape) != 4:
            msg = f"{self.path} takes {shape}, and not images (B, 3, H, W)."
            raise DataError(msg)
        self.batch = shape[0] if isinstance(shape[0], int) else None
        if isinstance(shape[2], int) and isinstance(shape[3], int):
            self.input_size = (shape[2], shape[3])
            self.divisor = 1

    @property
    def session(self) -> Any:
        """The running network; made when first used, and again after copying.

        Raises:
            DataError: the file is no ONNX network.
        """
        if self._session is None:
            try:
                self._session = onnxruntime.InferenceSession(
                    self.path, providers=onnxruntime.get_available_providers()
                )
            except Exception as error:  # its exceptions have no common class
                reason = str(error).splitlines()[0]
                msg = f"{self.path} cannot be run by onnxruntime: {reason}"
                raise DataError(msg) from error
        return self._session

    def __getstate__(self) -> dict[str, Any]:
        """Leave the session out of copies; they open the file again."""
        return {**self.__dict__, "_session": None}

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network."""
        return {**super().options(), "output": self.output}

    def maps(self, image: Tensor, features: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network; images one by one where it takes no batch."""
        parts = image.split(self.batch) if self.batch else [image]
        logits = torch.cat([self._run(part) for part in parts])
        if logits.dim() != 4 or logits.shape[1] != len(self.classes):
            raise self.wrong_answer(tuple(logits.shape))
        return logits.to(image.device), {}

    def _run(self, image: Tensor) -> Tensor:
        name = self.session.get_inputs()[0].name
        wanted = [self.output] if self.output else None
        found = self.session.run(wanted, {name: image.detach().float().cpu().numpy()})
        return torch.from_numpy(found[0]).float()
