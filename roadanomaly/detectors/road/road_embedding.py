"""Where a place lies in a space in which road is near road: the embedding, its loss, distances."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.road.ground_labels import ANOMALY, NEITHER, NORMAL
from roadanomaly.detectors.road.reconstruction import AtrousPyramid
from roadanomaly.prepared import Prepared

ANCHORS = 1024
"""Road places, and anomalous places, that take part in a batch's triplets at most."""

MARGIN = 1.0
DIRECTION = 0.2
"""Weight of the term that turns the way to the negative from the way to the positive."""

MOMENTUM = 0.01
"""Share of a batch in the running mean of the road's embedding."""


class RoadEmbedding(Prepared):
    """Embeds each place of a feature, and knows what road looks like on average.

    Args:
        inputs: channels of the feature.
        width: of the pyramid's branches, and of the hidden layer.
        dimensions: of the embedding.

    Attributes:
        typical: `(dimensions,)`, running mean of the embeddings of labelled road in training.
        met: whether any was met.
    """

    typical: Tensor

    def __init__(self, inputs: int, width: int, dimensions: int) -> None:
        super().__init__(ready=True)
        self.layers = nn.Sequential(
            AtrousPyramid(inputs, width, width), nn.ReLU(), nn.Conv2d(width, dimensions, 1)
        )
        self.register_buffer("typical", torch.zeros(dimensions))
        self.met = False
        self.keep_plain("met")

    def forward(self, features: Tensor) -> Tensor:
        """Map `(B, inputs, h, w)` to `(B, dimensions, h, w)` float32."""
        return self.layers(features).float()

    @torch.no_grad()
    def remember(self, embedding: Tensor, target: Tensor) -> None:
        """Take the labelled road of a training batch into the running mean.

        Args:
            embedding: `(B, D, h, w)`.
            target: `(B, h, w)` of `GroundLabels`.
        """
        road = places_of(NORMAL, embedding, target)
        if len(road):
            self.typical.lerp_(road.mean(0), MOMENTUM if self.met else 1.0)
            self.met = True

    def distance(self, embedding: Tensor, road: Tensor) -> Tensor:
        """Return how far each place lies from the mean of its own image's road.

        Args:
            embedding: `(B, D, h, w)`.
            road: `(B, h, w)` bool, where the image shows road. An image without any is compared
                with the running mean of training; the public code compares it with zeros.

        Returns:
            `(B, h, w)`, Euclidean.
        """
        weight = road[:, None].float()
        count = weight.sum((2, 3))
        mean = (embedding.detach() * weight).sum((2, 3)) / count.clamp_min(1)
        mean = torch.where(count > 0, mean, self.typical)
        return euclidean(embedding, mean[:, :, None, None], 1)


def euclidean(one: Tensor, other: Tensor, dim: int) -> Tensor:
    """Return the Euclidean distance along a dimension, with a finite gradient at 0."""
    return ((one - other).square().sum(dim) + 1e-9).sqrt()


def triplet_loss(embedding: Tensor, target: Tensor) -> Tensor:
    """Return `mean relu(d(a, p) - d(a, n) + 1) + 0.2 mean cos(n - a, p - a)` over road anchors a.

    The positive p of an anchor is the nearest other road place of the batch; the negative n the
    nearest anomalous one that is further away than p (semi-hard), or the furthest of all where
    none is.

    Args:
        embedding: `(B, D, h, w)`.
        target: `(B, h, w)` of `GroundLabels`, at the same grid.

    Returns:
        a scalar; 0, with a gradient of 0, without two road places and an anomalous one.

    Source: Schroff et al., 2015, FaceNet, section 3.2; Levi et al., 2021, Rethinking preventing
    class-collapsing (nearest positives). Differs from DaCUP's code: the cosine is each triplet's
    own, where the code divides by the norm of the whole batch, which makes the term vanish; at
    most 1024 anomalous places are drawn too.
    """
    road = _some(places_of(NORMAL, embedding, target))
    strange = _some(places_of(ANOMALY, embedding, target))
    if len(road) < 2 or not len(strange):
        return 0 * embedding.sum()
    with torch.no_grad():
        near = torch.cdist(road, road).fill_diagonal_(torch.inf)
        to_positive, positive = near.min(1)
        far = torch.cdist(road, strange)
        semi_hard = far.masked_fill(far <= to_positive[:, None], torch.inf)
        nearest, negative = semi_hard.min(1)
        negative = torch.where(nearest.isinf(), far.argmax(1), negative)
    to_positive = euclidean(road, road[positive], 1)
    to_negative = euclidean(road, strange[negative], 1)
    cosine = functional.cosine_similarity(strange[negative] - road, road[positive] - road, eps=1e-6)
    return (to_positive - to_negative + MARGIN).relu().mean() + DIRECTION * cosine.mean()


def places_of(kind: int, embedding: Tensor, target: Tensor) -> Tensor:
    """Return the embeddings `(N, D)` of the places with a target, in order.

    How many there are is asked of the device, which has to be waited for.
    """
    rows = (target.flatten() == kind).nonzero()[:, 0]
    return embedding.movedim(1, -1).flatten(0, 2).index_select(0, rows)


def _some(vectors: Tensor) -> Tensor:
    """Draw at most `ANCHORS` rows."""
    if len(vectors) <= ANCHORS:
        return vectors
    return vectors[torch.randperm(len(vectors), device=vectors.device)[:ANCHORS]]


def majority(target: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring targets of `GroundLabels` to a coarser grid: what covers most of each cell.

    Args:
        target: `(B, H, W)`.
        size: of the grid.

    Returns:
        `(B, *size)` int64; of equals the first of anomaly, normal and neither.
    """
    kinds = (ANOMALY, NORMAL, NEITHER)
    shares = torch.stack([(target == kind).float() for kind in kinds], 1)
    found = functional.adaptive_avg_pool2d(shares, size).argmax(1)
    return torch.tensor(kinds).to(target.device, non_blocking=True)[found]
