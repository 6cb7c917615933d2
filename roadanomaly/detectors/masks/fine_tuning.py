"""What detectors of mask networks share: a score as it is, or fine-tuned on negatives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector
from roadanomaly.errors import OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import NEGATIVE, Answer, Batch, Segmentation

Moves = Literal["nothing", "heads", "decoder", "all"]
MOVES: tuple[str, ...] = ("nothing", "heads", "decoder", "all")


class MaskTuning(Detector):
    """A score of a mask network that is defined without training and may be fine-tuned.

    Where nothing moves, the detector is `posthoc`: the score alone. Elsewhere it is `finetune`,
    learns from negatives, and scores once it has. Its terms stand beside the network's own matching
    loss, which is taught the negatives as "no object": in no mask, of no class.

    Args:
        moves: of the segmenter's parameters `nothing`, the `heads` that turn queries into classes
            and masks, the `decoder` (all that learns of queries, the heads among it), or `all`.
        rejects: teach the matching loss that negatives belong to no mask, as Mask2Former's masks
            learn it of pixels without a label. Where not, negatives count for nothing there.

    Raises:
        OptionError: an unknown word.
    """

    accepts: ClassVar[tuple[Answer, ...]] = ("masks",)

    def __init__(self, moves: Moves, rejects: bool = True) -> None:
        if moves not in MOVES:
            name = called(self)
            msg = f"{name}: `moves` {moves!r} is unknown; {nearest(moves, MOVES)}"
            raise OptionError(msg)
        super().__init__()
        if moves != "nothing":
            self.be("finetune")
        self.moved = moves
        self.rejects = rejects

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """`negatives`, where anything moves."""
        return "none" if self.moved == "nothing" else "negatives"

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"moves": self.moved, "rejects": self.rejects}

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter that does not tell the parts which move, too.

        Raises:
            KindError: says what is wanted and what there is.
        """
        super().check_kind(segmenter)
        self.moves(segmenter)

    def moves(self, segmenter: Segmenter) -> Iterable[nn.Parameter]:
        """Return the parameters of the part that moves; all where the segmenter learns alone."""
        if self.moved in ("heads", "decoder"):
            return segmenter.part(self.moved)
        return segmenter.parameters()

    def taught(self, segmentation: Segmentation, batch: Batch) -> tuple[Segmentation, Tensor]:
        """Return labels in which negatives are content of no mask, where the detector rejects."""
        if self.moved == "nothing" or not self.rejects:
            return super().taught(segmentation, batch)
        nothing = segmentation.need_masks().no_object
        return segmentation, batch.label.masked_fill(batch.label == NEGATIVE, nothing)
