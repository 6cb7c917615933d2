"""The few values that pass between the parts: frame, batch, segmentation, result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.errors import KindError
from roadanomaly.masks import Masks as Masks
from roadanomaly.masks import single

IGNORE = 255
"""Label of a pixel that counts for nothing: border, padding, and void unless a set is asked."""

NEGATIVE = 254
"""Label of a pixel that shows no inlier: a pasted or generated negative, or a real anomaly."""

VOID = 253
"""Label of content that a set left unlabelled or calls void; most detectors ignore it."""

INLIER = 252
"""Label of ordinary content whose class nobody knows, as of drives without labels."""

ASSUMED = "assumed"
"""Note of a batch: `(B, H, W)` uint8, classes that a detector is to take for the segmenter's;
`IGNORE` leaves the segmenter's own. Without the note: its own everywhere."""

REPLACED = "replaced"
"""Note of a batch: `(N, 3, h, w)` float, the inlier content that samples of a flow replaced."""

TURNS = "turns"
"""Note of a batch: of a mixture, the number of the source that each crop takes its negatives
from, as a tuple of one a crop."""

Place = tuple[float, float, float, float]
"""Top, left, bottom and right edge of what an image shows, as shares of its frame's height and
width; below 0 and above 1 where it reaches beyond the frame."""

WHOLE: Place = (0.0, 0.0, 1.0, 1.0)

Answer = Literal["logits", "evidence", "masks"]
"""What a segmenter says of an image: class logits a pixel; or masks, and the evidence they give."""

QUERIES_AT_ONCE = 8
"""Masks that are enlarged to image size at a time; 100 of a megapixel would take 400 MB."""

LEAST_EVIDENCE = 1e-12


Labels = TypeVar("Labels", Tensor, np.ndarray)


def is_known(label: Labels) -> Labels:
    """Return where a label names a known class, bool, same shape."""
    return label < INLIER


def is_inlier(label: Labels) -> Labels:
    """Return where a label shows an inlier, of a known class or not, bool, same shape."""
    return label < VOID


@dataclass(frozen=True)
class Frame:
    """One image with what is known of it.

    Args:
        id: name that is unique within its data set, without an extension.
        image: `(3, H, W)` uint8, RGB.
        label: `(H, W)` uint8 or None: class index `0..K-1`, `INLIER`, `VOID`, `NEGATIVE` or
            `IGNORE`.
        anomaly: `(H, W)` uint8 or None: 0 inlier, 1 anomaly, 255 ignore; for sets whose inliers
            carry no classes.
        place: of a crop, where in the frame it lies; in the mirrored one, where it is mirrored.
    """

    id: str
    image: Tensor
    label: Tensor | None = None
    anomaly: Tensor | None = None
    place: Place = WHOLE

    @property
    def truth(self) -> Tensor | None:
        """`(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore, or None where nothing is known."""
        if self.anomaly is not None:
            return self.anomaly
        if self.label is None:
            return None
        truth = (self.label == NEGATIVE).to(torch.uint8)
        return truth.masked_fill(~(is_inlier(self.label) | (self.label == NEGATIVE)), IGNORE)

    def pinned(self) -> Frame:
        """Return the frame in memory that a GPU copies from while the processor goes on."""
        return self._with(lambda held: held.pin_memory())

    def to(self, device: torch.device | str) -> Frame:
        """Return the frame on a device; from pinned memory the copy is not waited for."""
        return self._with(lambda held: held.to(device, non_blocking=True))

    def _with(self, change: Callable[[Tensor], Tensor]) -> Frame:
        label, anomaly = (
            None if one is None else change(one) for one in (self.label, self.anomaly)
        )
        return replace(self, image=change(self.image), label=label, anomaly=anomaly)


@dataclass(frozen=True)
class Batch:
    """The mixed batch: crops of inlier images, into which a source may have put negatives.

    Args:
        image: `(B, 3, H, W)`; uint8 as it leaves a loader, float32 in 0..1 inside a training step.
        label: `(B, H, W)` uint8: class index, `INLIER`, `VOID`, `NEGATIVE` or `IGNORE`, which
            never overlap.
        ids: one name a crop, to report which images a fault came from.
        original: the images before negatives were put in, or None if none were; same shape and
            type as `image`. A likelihood of the replaced content is taken on it.
        notes: what else a source says of the batch, by the note's name: `ASSUMED`, `REPLACED`,
            `TURNS`, or one that a source brings with it.
        places: `(B, 4)` float32, the `Place` of each crop in its frame; None for whole frames.
    """

    image: Tensor
    label: Tensor
    ids: tuple[str, ...]
    original: Tensor | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    places: Tensor | None = None

    def note(self, name: str) -> Any:
        """Return what the note called `name` says, or None where there is no such note."""
        return self.notes.get(name)

    def noted(self, notes: Mapping[str, Any]) -> Batch:
        """Return the batch with further notes; one of the same name takes the old one's place."""
        return replace(self, notes={**self.notes, **notes})

    @property
    def known(self) -> Tensor:
        """`(B, H, W)` bool: pixels of a known class."""
        return is_known(self.label)

    @property
    def negative(self) -> Tensor:
        """`(B, H, W)` bool: pixels that show a negative."""
        return self.label == NEGATIVE

    def grey_levels(self) -> Tensor:
        """The images as uint8, exact for a batch that came from a loader."""
        return as_grey_levels(self.image)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on a device, its images as float32 in 0..1, its notes as they are.

        Nobody waits for what is copied out of pinned memory. On CUDA the images' channels lie
        last in memory, as convolutions there want them.
        """

        def moved(image: Tensor) -> Tensor:
            return in_order(_as_float(image.to(device, non_blocking=image.is_pinned())))

        return self._each(moved, lambda other: other.to(device, non_blocking=other.is_pinned()))

    def pin_memory(self) -> Batch:
        """Return the batch in memory that a GPU reads while the processor goes on."""
        return self._each(Tensor.pin_memory, Tensor.pin_memory)

    def _each(self, images: Callable[[Tensor], Tensor], rest: Callable[[Tensor], Tensor]) -> Batch:
        return replace(
            self,
            image=images(self.image),
            label=rest(self.label),
            original=None if self.original is None else images(self.original),
            notes={
                name: rest(note) if isinstance(note, Tensor) else note
                for name, note in self.notes.items()
            },
            places=None if self.places is None else rest(self.places),
        )


def as_grey_levels(image: Tensor) -> Tensor:
    """Return float images in 0..1 as uint8, rounded; uint8 images as they are."""
    return image if image.dtype == torch.uint8 else (255 * image).round().to(torch.uint8)


def in_order(image: Tensor) -> Tensor:
    """Return `(B, C, H, W)` images in the order of memory that their device's convolutions want."""
    if image.device.type != "cuda":
        return image
    return image.contiguous(memory_format=torch.channels_last)


def _as_float(image: Tensor) -> Tensor:
    return image.float() / 255 if image.dtype == torch.uint8 else image


@dataclass(frozen=True)
class Segmentation:
    """All that a detector sees of a segmenter.

    Args:
        logits: `(B, K, h, w)` class scores at the network's own output stride: logits before
            softmax, or evidence, as `kind` says.
        size: `(H, W)` of the images that went in.
        padded: `(H', W')` that the logits cover: `size` grown to what the network divides; the
            growth is at the bottom and on the right.
        align_corners: how this network's maps are brought to image size.
        features: named maps `(B, C, h', w')`, those that were asked for.
        kind: of `logits`. `evidence` is that of a mask network, `E_k = sum_q P_qk sigmoid(M_q)`,
            at least 0; its sum over the classes is not 1, and what it lacks is a rejection.
        masks: what a mask network answered, None for any other.
        assumed: the note `ASSUMED` of the batch.
        extra: `(B, E, h, w)` logits beyond the K classes, beside `logits`, or None.
        ids: of the frames, as `named` gives them; empty where they have none, as those of a video.
        places: of crops in their frames, as `Batch.places`; None for whole frames.
    """

    logits: Tensor
    size: tuple[int, int]
    padded: tuple[int, int]
    align_corners: bool = False
    features: dict[str, Tensor] = field(default_factory=dict)
    kind: Literal["logits", "evidence"] = "logits"
    masks: Masks | None = None
    assumed: Tensor | None = None
    extra: Tensor | None = None
    ids: tuple[str, ...] = ()
    places: Tensor | None = None

    @classmethod
    def unasked(cls, image: Tensor) -> Segmentation:
        """Return what is known of images that no segmenter was asked about: no class.

        Args:
            image: `(B, 3, H, W)`.
        """
        size = (image.shape[-2], image.shape[-1])
        return cls(image.new_zeros(len(image), 0, *size), size, size)

    def named(self, ids: Sequence[str]) -> Segmentation:
        """Return the same of frames whose ids are known: what lies in files is found by them."""
        return replace(self, ids=tuple(ids))

    def in_float32(self) -> Segmentation:
        """Return the same numbers, those in half precision as float32."""
        return replace(
            self,
            logits=single(self.logits),
            features={name: single(one) for name, one in self.features.items()},
            masks=self.masks and self.masks.in_float32(),
            extra=None if self.extra is None else single(self.extra),
        )

    def to_image(self, values: Tensor) -> Tensor:
        """Bring `(B, C, h, w)` or `(B, h, w)`, at any stride, to `(B, [C,] H, W)` bilinearly."""
        squeeze = values.dim() == 3
        grown = values[:, None] if squeeze else values
        if grown.shape[-2:] != self.padded:
            grown = functional.interpolate(
                grown, size=self.padded, mode="bilinear", align_corners=self.align_corners
            )
        grown = grown[..., : self.size[0], : self.size[1]]
        return grown[:, 0] if squeeze else grown

    def weighted_masks(self, weights: Tensor) -> Tensor:
        """Return `sum_q w_qc sigmoid(M_q)` at image size, the mask logits enlarged first.

        The public codes of mask detectors do it in this order. A few queries are enlarged at a
        time, so the memory is that of the result.

        Args:
            weights: `(B, Q, C)`.

        Returns:
            `(B, C, H, W)` float32.

        Raises:
            KindError: the segmenter answered no masks.
        """
        masks = self.need_masks()
        total = torch.zeros(1, device=weights.device)
        for first in range(0, weights.shape[1], QUERIES_AT_ONCE):
            some = slice(first, first + QUERIES_AT_ONCE)
            grown = self.to_image(masks.masks[:, some].float()).sigmoid()
            total = total + torch.einsum("bqc,bqhw->bchw", weights[:, some], grown)
        return total

    def need_masks(self) -> Masks:
        """Return the masks.

        Raises:
            KindError: the segmenter answered none.
        """
        if self.masks is None:
            msg = "masks were asked of a segmenter that answers logits; use a mask network."
            raise KindError(msg)
        return self.masks

    @cached_property
    def _image_logits(self) -> Tensor:
        if self.masks is not None:
            known = self.masks.probabilities[..., : self.logits.shape[1]]
            return self.weighted_masks(known)
        return self.to_image(self.logits)

    def image_logits(self) -> Tensor:
        """`logits` at image size, `(B, K, H, W)`, as the authors take them; computed once."""
        return self._image_logits

    def class_logits(self, scores: Tensor) -> Tensor:
        """Return what a softmax turns into class probabilities, float32.

        Args:
            scores: `logits` or `image_logits()`. Logits are what is wanted; of evidence it is
                `ln E_k`, so that the probabilities are `E_k / sum_j E_j`.
        """
        if self.kind == "logits":
            return scores.float()
        return scores.float().clamp_min(LEAST_EVIDENCE).log()

    def classes(self) -> Tensor:
        """Most likely class of each pixel, `(B, H, W)` int64 in `0..K-1`.

        `IGNORE` everywhere where no segmenter was asked.
        """
        if not self.logits.shape[1]:
            return self.logits.new_full((len(self.logits), *self.size), IGNORE, dtype=torch.int64)
        return self.image_logits().argmax(1)

    def explained(self) -> Tensor:
        """Class of each pixel that the image is to be explained by, `(B, H, W)` int64.

        The assumed one where there is one, and the most likely one elsewhere.
        """
        if self.assumed is None:
            return self.classes()
        return torch.where(self.assumed == IGNORE, self.classes(), self.assumed.long())


@dataclass(frozen=True)
class Component:
    """One connected object in a mask.

    Args:
        box: `(x, y, width, height)` in pixels.
        area: pixels.
        mean_score: mean of the score map over it.
        max_score: largest score in it.
    """

    box: tuple[int, int, int, int]
    area: int
    mean_score: float
    max_score: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "box": list(self.box),
            "area": self.area,
            "mean_score": self.mean_score,
            "max_score": self.max_score,
        }


@dataclass(frozen=True)
class Scored:
    """What a detector and its segmenter say of one image; arrays at image size.

    Args:
        score: `(H, W)` float32, higher = more anomalous, unbounded.
        classes: `(H, W)` uint8, most likely known class.
    """

    score: np.ndarray
    classes: np.ndarray
