"""DaCUP: the road's reconstruction, its distance in an embedding, and a look at inpainted blobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.inpainting import perceptual_check
from roadanomaly.detectors.road.ground_labels import (
    ANOMALY,
    NORMAL,
    reconstruction_loss,
    two_way_loss,
)
from roadanomaly.detectors.road.reconstruction import AtrousPyramid
from roadanomaly.detectors.road.road_detector import RoadDetector, RoadOptions
from roadanomaly.detectors.road.road_embedding import RoadEmbedding, majority, triplet_loss
from roadanomaly.detectors.ssim import reconstruction_error
from roadanomaly.encoders import ENCODERS, PACKAGED, Encoder
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at, padded_labels
from roadanomaly.types import Batch, Segmentation

WELL_REBUILT = 0.2
"""Reconstruction error below which a place counts as road."""

PHASES = ((0.0, 1.2, 0.0), (0.0, 0.4, 0.4), (0.6, 0.2, 0.2))
"""Weights of the coupling's, the triplets' and the reconstruction's term, phase by phase."""

HALF = 0.5
"""Of the reconstruction's term, as in JSRNet."""


@dataclass(frozen=True)
class Evidence:
    """What the coupling is given, beside the logits.

    Args:
        reconstruction: `(B, 3, H, W)` in 0..1.
        error: `(B, H, W)` in 0..1.
        embedding: `(B, D, h, w)` at the feature's stride.
        from_predicted: `(B, h, w)`, distance to the mean of what is predicted as ground.
        from_rebuilt: `(B, h, w)`, distance to the mean of what is well rebuilt.
        perceptual: `(B, H, W)`, difference to the inpainted image; None in the fast variant.
        painted: `(B, 3, h', w')` in 0..1, the inpainted image; None in the fast variant.
    """

    reconstruction: Tensor
    error: Tensor
    embedding: Tensor
    from_predicted: Tensor
    from_rebuilt: Tensor
    perceptual: Tensor | None
    painted: Tensor | None


class DaCUP(RoadDetector):
    """Couples logits, reconstruction error, two distances to the image's own road, and a check.

    To JSRNet's reconstruction come an embedding of each place, trained by triplets with road as
    anchors, and its distances to the mean of what this image shows of road, once by the segmenter's
    classes, once by an error below 0.2. What stands on the ground and could not be rebuilt is
    painted over from around, and the difference that an encoder sees there is one more map.
    Training has three phases, by its share: triplets alone; triplets and reconstruction; all.

    Args:
        feature: the segmenter's map that is read; None takes the widest of stride 16, or of the
            stride nearest to it.
        bottleneck: channels that the reconstruction has to pass.
        width: of each branch of the pyramid before it.
        widths: of the decoder's blocks, from stride 8 to stride 1.
        embedding: dimensions of the embedding.
        embedding_width: of the branches of its pyramid.
        hidden: channels in the coupling, which is two pyramids.
        inpaint: check suspicious blobs; without it this is the fast variant.
        inpaint_size: height and width at which blobs are painted over, in the image's proportions.
        encoder: catalogue `name` of the encoder that compares, and its options.
        phases: shares of training at which the second and the third phase begin. Where nothing
            says how long training is, all of it is the third.
        normal: classes of the ground, by name or index; None takes road, sidewalk and pavement.
        ignored: classes that count for nothing; None takes building, sky and guard rail.

    Raises:
        OptionError: a value out of range, a class that there is not, or a network without road.

    Source: Vojir, Matas, 2023, Image-Consistent Detection of Road Anomalies As Unpredictable
    Patches. Differs: any segmenter with a feature map; OpenCV's inpainting in place of DeepFillv2
    (in training a smooth filling that needs no OpenCV, so that no step waits for a GPU), and of
    blobs on the ground alone, by a fixed threshold and without random strokes; an image
    without road is compared with the mean road of training; the coupling works on the grid of the
    logits; phases are shares of the training and not its first 5 and 10 epochs of 100; void is
    never an anomaly; the score is the difference of the two outputs.
    """

    paper = (
        "Vojir, Matas, Image-Consistent Detection of Road Anomalies As Unpredictable Patches, "
        "WACV 2023"
    )

    embed: RoadEmbedding
    coupling: nn.Sequential

    def __init__(
        self,
        feature: str | None = None,
        bottleneck: int = 4,
        width: int = 256,
        widths: Sequence[int] = (128, 64, 32, 16),
        embedding: int = 16,
        embedding_width: int = 128,
        hidden: int = 16,
        inpaint: bool = True,
        inpaint_size: Sequence[int] = (192, 384),
        encoder: Mapping[str, Any] | None = PACKAGED,
        phases: Sequence[float] = (0.05, 0.1),
        normal: Sequence[str | int] | None = None,
        ignored: Sequence[str | int] | None = None,
    ) -> None:
        super().__init__(RoadOptions(feature, bottleneck, width, widths, normal, ignored))
        sizes = (embedding, embedding_width, hidden, *inpaint_size)
        if min(self.plan.least, *sizes) < 1 or len(inpaint_size) != 2:
            msg = "dacup: widths, dimensions and the two sides of `inpaint_size` are at least 1."
            raise OptionError(msg)
        if len(phases) != 2 or not 0 <= phases[0] <= phases[1] <= 1:
            msg = f"dacup: `phases` is {list(phases)}; give two rising shares of training, 0 to 1."
            raise OptionError(msg)
        if inpaint and encoder is None:
            msg = "dacup: `inpaint` compares by an `encoder`; name one, or turn `inpaint` off."
            raise OptionError(msg)
        self.embedding, self.embedding_width, self.hidden = embedding, embedding_width, hidden
        self.inpaint = inpaint
        self.inpaint_size = (inpaint_size[0], inpaint_size[1])
        self.phases = (phases[0], phases[1])
        self.encoder: Encoder | None = ENCODERS.from_spec(encoder) if inpaint else None
        if self.encoder is not None:
            self.encoder.requires_grad_(False)
        self.passes = self.expected = 0
        self.keep_plain("passes", "expected")

    def options(self) -> dict[str, Any]:
        """Return the constructor options; the encoder's weights are among this detector's."""
        encoder = self.encoder
        return {
            **super().options(),
            "embedding": self.embedding,
            "embedding_width": self.embedding_width,
            "hidden": self.hidden,
            "inpaint": self.inpaint,
            "inpaint_size": list(self.inpaint_size),
            "encoder": encoder and {"name": ENCODERS.name_of(encoder), **encoder.options()},
            "phases": list(self.phases),
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Build reconstruction, embedding and coupling."""
        super().attach(segmenter)
        channels = segmenter.feature(self.needs[0]).channels
        self.embed = RoadEmbedding(channels, self.embedding_width, self.embedding)
        maps = len(segmenter.classes) + 3 + self.inpaint
        self.coupling = nn.Sequential(
            AtrousPyramid(maps, self.hidden, self.hidden),
            nn.ReLU(),
            AtrousPyramid(self.hidden, 2, self.hidden),
        )

    def train(self, mode: bool = True) -> DaCUP:
        """Set the mode; the encoder stays in inference mode."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def expect(self, passes: int) -> None:
        """Hear how many training passes are to come, for the phases."""
        self.expected = passes

    def weights(self) -> tuple[float, float, float]:
        """Return the weights of the phase that training is in."""
        if not self.expected:
            return PHASES[-1]
        share = self.passes / self.expected
        return PHASES[sum(share >= begin for begin in self.phases)]

    def examine(self, segmentation: Segmentation, image: Tensor) -> Evidence:
        """Reconstruct, embed, measure, and check the blobs; arguments as `score`."""
        reconstruction = self.reconstruct(segmentation)
        error = reconstruction_error(image, reconstruction)
        embedding = self.embed(self.squeezed(segmentation))
        ground = self.labels.predicted(segmentation.classes())
        grid = embedding.shape[-2], embedding.shape[-1]
        predicted = to_grid(ground.float(), segmentation, grid) > 0.5
        rebuilt = to_grid(error.detach(), segmentation, grid) < WELL_REBUILT
        perceptual = painted = None
        if self.encoder is not None:
            perceptual, painted = perceptual_check(
                image,
                error.detach(),
                ground,
                self.encoder,
                self.inpaint_size,
                learning=self.training,
            )
        return Evidence(
            reconstruction,
            error,
            embedding,
            self.embed.distance(embedding, predicted),
            self.embed.distance(embedding, rebuilt),
            perceptual,
            painted,
        )

    def couple(self, segmentation: Segmentation, seen: Evidence) -> Tensor:
        """Return the outputs of anomaly and ground, `(B, 2, h, w)`, on the logits' grid."""
        logits = segmentation.class_logits(segmentation.logits)
        size = logits.shape[-2], logits.shape[-1]
        coarse = torch.stack([seen.from_predicted, seen.from_rebuilt], 1)
        larger = functional.interpolate(
            coarse, size=size, mode="bilinear", align_corners=segmentation.align_corners
        )
        maps = [logits, larger]
        fine = [seen.error] if seen.perceptual is None else [seen.error, seen.perceptual]
        maps += [to_grid(one, segmentation, size)[:, None] for one in fine]
        return self.coupling(torch.cat(maps, 1)).float()

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the coupling's cross-entropy, the triplets' and the reconstruction's term."""
        coupling, triplets, rebuilding = self.weights()
        self.ready = True
        seen = self.examine(segmentation, batch.image)
        target = self.labels.targets(batch.label)
        grid = seen.embedding.shape[-2], seen.embedding.shape[-1]
        coarse = majority(self.labels.targets(padded_labels(batch.label, segmentation)), grid)
        if self.training:
            self.passes += 1
            self.embed.remember(seen.embedding, coarse)
        at_logits = self.labels.targets(labels_at(batch.label, segmentation))
        return {
            "coupling": coupling * two_way_loss(self.couple(segmentation, seen), at_logits),
            "triplets": triplets * triplet_loss(seen.embedding, coarse),
            "reconstruction": rebuilding * HALF * reconstruction_loss(seen.error, target),
        }

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the output of anomaly less that of ground, `(B, H, W)`."""
        self.require()
        outputs = self.couple(segmentation, self.examine(segmentation, image))
        return segmentation.to_image(outputs[:, ANOMALY] - outputs[:, NORMAL])

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return reconstruction and error, distances, inpainted image and its difference."""
        self.require()
        seen = self.examine(segmentation, image)
        maps = {
            "reconstruction": seen.reconstruction,
            "reconstruction error": seen.error,
            "distance to predicted road": segmentation.to_image(seen.from_predicted),
            "distance to rebuilt road": segmentation.to_image(seen.from_rebuilt),
        }
        if seen.painted is not None and seen.perceptual is not None:
            maps |= {"inpainted": seen.painted, "perceptual difference": seen.perceptual}
        return maps


def to_grid(values: Tensor, segmentation: Segmentation, size: tuple[int, int]) -> Tensor:
    """Bring `(B, H, W)` of the image to a coarser grid that covers its padding too, by area."""
    bottom, right = (
        grown - own for grown, own in zip(segmentation.padded, segmentation.size, strict=True)
    )
    grown = functional.pad(values[:, None], (0, right, 0, bottom), mode="replicate")
    return functional.adaptive_avg_pool2d(grown, size)[:, 0]
