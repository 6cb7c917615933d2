"""What segmenters that are one file share: the file is found, and known again by its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from roadanomaly.errors import ClassesError, DataError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.weights import find_weights

Triple = tuple[float, float, float]


class FileSegmenter(Segmenter):
    """A network that is a file, whose weights are not this program's to train or save.

    A saved model names the file and its SHA-256, and is refused where the file has changed.

    Args:
        file: a path, or a file's name under a weights folder.
        sha256: that the file must have; None takes any.
        classes: names of the known classes, in the order of the logits.
        mean: of RGB in 0..1, subtracted before the network.
        std: divides after that.
        divisor: both sides of an input are padded to multiples of it.
        align_corners: how logits are brought to image size.
        input_size: height and width where the network takes no other.

    Raises:
        DataError: no such file, or another than it was.
    """

    trainable = False

    def __init__(
        self,
        file: str,
        sha256: str | None,
        classes: tuple[str, ...],
        *,
        mean: Triple,
        std: Triple,
        divisor: int,
        align_corners: bool,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(
            classes,
            mean=mean,
            std=std,
            divisor=divisor,
            align_corners=align_corners,
            input_size=input_size,
        )
        self.path = find_weights(file).absolute()
        self.sha256 = _hash(self.path)
        if sha256 is not None and sha256 != self.sha256:
            msg = (
                f"the network file {self.path} has the SHA-256 {self.sha256} instead of {sha256}: "
                "it was changed since the model was saved. Put the old file back, or make the "
                "model anew from this one."
            )
            raise DataError(msg)
        self._options = {
            "file": str(self.path),
            "sha256": self.sha256,
            "classes": self.classes,
            "mean": tuple(mean),
            "std": tuple(std),
            "divisor": divisor,
            "align_corners": align_corners,
        }

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network."""
        return dict(self._options)

    def wrong_answer(self, found: object) -> ClassesError:
        """Return the error for a network that answers no logits for these classes."""
        wanted = f"(B, {len(self.classes)}, h, w)"
        return ClassesError(
            f"the network {self.path} answers {found}, and not logits {wanted} for "
            f"{len(self.classes)} classes: export it with its class scores before softmax and "
            "argmax as the output, and give `classes` in their order."
        )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
