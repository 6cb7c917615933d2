"""Segments by SAM: masks for a grid of points all over the image, as one label map."""

from __future__ import annotations

from typing import NamedTuple

import torch
import transformers
from torch import Tensor
from torch.nn import functional
from torchvision.ops import masks_to_boxes, nms

from roadanomaly.errors import OptionError
from roadanomaly.refiners.segment_files import painted
from roadanomaly.segmenters.transformers_files import load_network, normalisation, read_config

POINTS_AT_ONCE = 64
"""Points that are asked in one pass of the mask decoder."""

MASKS_AT_ONCE = 16
"""Masks that are enlarged to image size at a time."""

OVERLAP = 0.7
"""IoU of two boxes above which the mask of lower predicted IoU is dropped."""

OFFSET = 1.0
"""Shift of the mask's logits to either side, by which stability is measured."""


class _Masks(NamedTuple):
    """Masks of one image that were kept.

    Args:
        logits: `(N, h, w)` as the network answers them.
        sure: `(N,)` predicted IoU.
        areas: `(N,)` pixels at image size.
        boxes: `(N, 4)` left, top, right, bottom at image size.
    """

    logits: Tensor
    sure: Tensor
    areas: Tensor
    boxes: Tensor


class SegmentAnything:
    """Automatic masks of a SAM of transformers, as a label map.

    Each point of an even grid is a prompt that gives three masks. Kept are those whose predicted
    IoU and whose stability (the IoU of the mask at logits above 1 and above -1) exceed their
    thresholds and that no surer one repeats (boxes of an IoU above 0.7). Where masks overlap the
    smaller wins. The network is held beside the modules, so it is neither saved nor trained.

    Args:
        model: folder that `save_pretrained` wrote, or a name on the hub.
        points: of the grid, a side.
        sure: predicted IoU that is exceeded, 0..1.
        stable: stability that is exceeded, 0..1.

    Raises:
        OptionError: the model is no SAM.
        DataError: it is missing or unreadable.

    Source: Kirillov et al., Segment Anything, ICCV 2023, appendix B, without its crops of the image
    and without filling small holes.
    """

    def __init__(self, model: str, points: int, sure: float, stable: float) -> None:
        settings = read_config(model)
        if settings.model_type != "sam":
            msg = (
                f"segments: the model {model} is a {settings.model_type}, and `by: sam` takes one "
                "of the type sam, such as facebook/sam-vit-base."
            )
            raise OptionError(msg)
        self.network = load_network(transformers.SamModel, model, settings, False).eval()
        self.network.requires_grad_(False)
        self.side = int(settings.vision_config.image_size)
        self.mean, self.std = (torch.tensor(one).view(3, 1, 1) for one in normalisation(model))
        self.points, self.sure, self.stable = points, sure, stable

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Return the label map of each image, `(B, H, W)` int64; -1 where no mask lies.

        Args:
            image: `(B, 3, H, W)` float in 0..1; the network follows to its device.
        """
        self.network.to(image.device)
        return torch.stack([self._label_map(one) for one in image])

    def _label_map(self, image: Tensor) -> Tensor:
        size = image.shape[-2], image.shape[-1]
        shown = _longest(size, self.side)
        found = self._asked(self._entering(image, shown), shown, size)
        kept = nms(found.boxes, found.sure, OVERLAP)
        order = kept[found.areas[kept].argsort(descending=True, stable=True)]
        masks = (_grown(one[None], self.side, shown, size)[0] > 0 for one in found.logits[order])
        return painted(masks, size).to(image.device)

    def _entering(self, image: Tensor, shown: tuple[int, int]) -> Tensor:
        """Return the image as the network takes it, `(1, 3, side, side)`."""
        small = functional.interpolate(image[None], shown, mode="bilinear", antialias=True)
        standard = (small - self.mean.to(image)) / self.std.to(image)
        return functional.pad(standard, (0, self.side - shown[1], 0, self.side - shown[0]))

    def _asked(self, entering: Tensor, shown: tuple[int, int], size: tuple[int, int]) -> _Masks:
        """Return the sure and stable masks of all points."""
        embedded = self.network.get_image_embeddings(entering)
        kept = []
        for points in self._grid(shown).to(entering).split(POINTS_AT_ONCE):
            found = self.network(image_embeddings=embedded, input_points=points[None, :, None])
            sure = found.iou_scores[0].float().flatten()
            logits = found.pred_masks[0].float().flatten(0, 1)
            chosen = sure > self.sure
            pairs = zip(
                logits[chosen].split(MASKS_AT_ONCE), sure[chosen].split(MASKS_AT_ONCE), strict=True
            )
            kept += [self._stable(*pair, shown, size) for pair in pairs]
        return _Masks(*(torch.cat(parts) for parts in zip(*kept, strict=True)))

    def _grid(self, shown: tuple[int, int]) -> Tensor:
        """Return the points on the resized image, `(points^2, 2)`, x and y, row by row."""
        steps = (torch.arange(self.points) + 0.5) / self.points
        y, x = torch.meshgrid(steps * shown[0], steps * shown[1], indexing="ij")
        return torch.stack([x.flatten(), y.flatten()], 1)

    def _stable(
        self, logits: Tensor, sure: Tensor, shown: tuple[int, int], size: tuple[int, int]
    ) -> _Masks:
        grown = _grown(logits, self.side, shown, size)
        inner, outer = ((grown > shift).sum((1, 2)) for shift in (OFFSET, -OFFSET))
        chosen = (inner / outer.clamp_min(1) > self.stable) & (inner > 0)
        masks = grown[chosen] > 0
        return _Masks(logits[chosen], sure[chosen], masks.sum((1, 2)), masks_to_boxes(masks))


def _longest(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the size whose longer side is as long as the network's."""
    scale = side / max(size)
    return int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)


def _grown(logits: Tensor, side: int, shown: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Bring `(N, h, w)` mask logits to image size, without what lies beyond the image."""
    whole = functional.interpolate(logits[:, None], (side, side), mode="bilinear")
    return functional.interpolate(whole[..., : shown[0], : shown[1]], size, mode="bilinear")[:, 0]
