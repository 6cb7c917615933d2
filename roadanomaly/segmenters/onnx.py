"""An ONNX file that answers logits as a segmenter, for detectors that read those."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.segmenters.file_network import FileSegmenter, Triple

KINDS: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
}
"""What onnxruntime calls the numbers that an image may be given in."""


class OnnxSegmenter(FileSegmenter):
    """An ONNX network with one image input and logits as an output; runs on onnxruntime.

    It offers no features and cannot be trained. A network of one fixed size has its images resized
    to it; one of a fixed batch gets so many at a time, the last repeated where there are fewer. A
    saved model names the file, which must stay where it is.

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
        DataError: no such file, no ONNX network, one that takes something else than images, or that
            answers no logits.
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
        self.taken = _image_of(self.session, self.path)
        if self.taken.size is not None:
            self.input_size = self.taken.size
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
        """Run the network, on as many images at a time as it takes."""
        parts = image.split(self.taken.batch) if self.taken.batch else [image]
        logits = torch.cat([self._run(part) for part in parts])
        if logits.dim() != 4 or logits.shape[1] != len(self.classes):
            raise self.wrong_answer(tuple(logits.shape))
        return logits.to(image.device), {}

    def _run(self, image: Tensor) -> Tensor:
        given = image.detach().float().cpu().numpy().astype(self.taken.kind)
        if self.taken.batch and len(given) < self.taken.batch:
            repeated = np.repeat(given[-1:], self.taken.batch - len(given), 0)
            given = np.concatenate([given, repeated])
        wanted = [self.output] if self.output else None
        try:
            found = self.session.run(wanted, {self.taken.name: given})[0]
        except Exception as error:  # its exceptions have no common class
            reason = str(error).splitlines()[0]
            msg = f"onnxruntime cannot run {self.path} on images {given.shape}: {reason}"
            raise DataError(msg) from error
        if not isinstance(found, np.ndarray):
            raise self.wrong_answer(type(found).__name__)
        return torch.from_numpy(found[: len(image)]).float()


@dataclass(frozen=True)
class ImageInput:
    """What a network takes.

    Args:
        name: of its one input.
        kind: of the numbers.
        batch: how many images at a time; None any.
        size: height and width; None any.
    """

    name: str
    kind: np.dtype[Any]
    batch: int | None
    size: tuple[int, int] | None


def _image_of(session: Any, path: object) -> ImageInput:
    """Read how a network takes images.

    Raises:
        DataError: it takes something else.
    """
    given = session.get_inputs()
    held = ", ".join(f"{one.name}: {one.type} {one.shape}" for one in given) or "nothing"
    msg = (
        f"{path} takes {held}, and not images (B, 3, H, W) in floating point. Export it with that "
        "one input, colours before rows and columns, height and width both fixed or both free."
    )
    if len(given) != 1 or given[0].type not in KINDS or len(given[0].shape) != 4:
        raise DataError(msg)
    batch, colours, height, width = (
        one if isinstance(one, int) else None for one in given[0].shape
    )
    if colours not in (None, 3) or (height is None) != (width is None):
        raise DataError(msg)
    size = None if height is None or width is None else (height, width)
    return ImageInput(given[0].name, KINDS[given[0].type], batch, size)
