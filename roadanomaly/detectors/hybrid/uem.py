"""UEM: a likelihood ratio of unknown to known, learned on frozen features."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.grid import at_logits
from roadanomaly.detectors.hybrid.pixel_mlp import pixel_mlp, sides
from roadanomaly.detectors.losses import at_least_single, masked_mean
from roadanomaly.detectors.mixture import Mixture, log_densities
from roadanomaly.errors import OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.types import Batch, Segmentation

Form = Literal["linear", "mixture"]
FORMS: tuple[str, ...] = ("linear", "mixture")


class UEM(Detector):
    """`u_out - u_in - max_k s_k`: two learned log likelihoods beside what the classifier says.

    A small network projects every cell of a frozen map; on top `u` is linear, or the log densities
    of two mixtures of Gaussians. The ratio learns by binary cross-entropy, negatives against
    inliers; of mixtures `u` also by a cross-entropy of its own.

    Args:
        feature: map that is read, such as `block11` of a transformer; None takes the segmenter's
            default.
        form: of `u`: `linear` or `mixture`.
        hidden: width of the projection's layers before the last.
        width: of what it projects to.
        layers: of the projection.
        components: of each mixture.
        own: weight of the cross-entropy of `u` alone, where it is a mixture.

    Raises:
        OptionError: a value out of range.

    Source: Nayal et al., 2024, likelihood ratio of unknown estimation modules; `linear` and
    `mixture` are their discriminative and generative module. Differs: the components of mixtures
    learn by the gradient of these losses, where the authors' follow an online EM with Sinkhorn
    balancing and a memory, beside a contrast between components; their projections lie on the unit
    sphere. What the authors call max_k s_k is of this segmenter's own classifier, whatever that is.
    """

    kind = "train"
    supervision = "negatives"
    accepts = ("logits", "evidence")
    paper = "Nayal et al., A Likelihood Ratio-Based Approach to Segmenting Unknown Objects, " + (
        "IJCV 2025"
    )

    projection: nn.Sequential
    unknown: nn.Module

    def __init__(
        self,
        feature: str | None = None,
        form: Form = "linear",
        hidden: int = 512,
        width: int = 256,
        layers: int = 3,
        components: int = 5,
        own: float = 0.5,
    ) -> None:
        super().__init__()
        if form not in FORMS:
            msg = f"uem: `form` {form!r} is unknown; {nearest(form, FORMS)}"
            raise OptionError(msg)
        if min(hidden, width, layers, components) < 1 or own < 0:
            msg = (
                "uem: `hidden`, `width`, `layers` and `components` must be at least 1 and `own` "
                "not negative."
            )
            raise OptionError(msg)
        self.feature, self.form = feature, form
        self.hidden, self.width, self.layers = hidden, width, layers
        self.components, self.own = components, own

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "feature": self.feature,
            "form": self.form,
            "hidden": self.hidden,
            "width": self.width,
            "layers": self.layers,
            "components": self.components,
            "own": self.own,
        }

    def attach(self, segmenter: Segmenter) -> None:
        """Build projection and likelihoods on the map."""
        self.feature = self.feature or segmenter.default_feature
        inputs = segmenter.feature(self.feature).channels
        widths = [*[self.hidden] * (self.layers - 1), self.width]
        self.projection = pixel_mlp(inputs, widths)
        linear = self.form == "linear"
        self.unknown = Linear(self.width) if linear else Mixtures(self.components, self.width)

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that is read."""
        return (self.feature,) if self.feature else ()

    def likelihoods(self, segmentation: Segmentation) -> Tensor:
        """Return `u`, `(B, 2, h, w)` on the logits' grid; index 1 is "out"."""
        projected = self.projection(segmentation.features[self.needs[0]])
        return at_logits(self.unknown(at_least_single(projected)), segmentation)

    def loss(self, segmentation: Segmentation, batch: Batch) -> dict[str, Tensor]:
        """Return the cross-entropies of the ratio and, of mixtures, of `u`."""
        self.ready = True
        negative, counted = sides(labels_at(batch.label, segmentation))
        found = self.likelihoods(segmentation)
        terms = {"ratio": ratio_loss(likelihood_ratio(found, segmentation), negative, counted)}
        if self.form == "mixture" and self.own:
            alone = ratio_loss(found[:, 1] - found[:, 0], negative, counted)
            terms["likelihoods"] = self.own * alone
        return terms

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the ratio, `(B, H, W)`."""
        return segmentation.to_image(self.native(segmentation, image))

    def native(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the same on the logits' grid, `(B, h, w)`."""
        del image
        self.require()
        return likelihood_ratio(self.likelihoods(segmentation), segmentation)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return both parts of the ratio."""
        del image
        self.require()
        found = self.likelihoods(segmentation)
        known = segmentation.class_logits(segmentation.logits).amax(1)
        return {"unknown, u_out - u_in": found[:, 1] - found[:, 0], "known, max_k s_k": known}


class Linear(nn.Module):
    """Two linear log likelihoods.

    Args:
        width: channels that come in.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(width, 2, 1)

    def forward(self, projected: Tensor) -> Tensor:
        """Return `(B, 2, h, w)` of `(B, C, h, w)`."""
        return at_least_single(self.layer(projected))


class Mixtures(nn.Module):
    """Log densities of two mixtures on the unit sphere.

    Args:
        components: of each.
        width: channels that come in.
    """

    def __init__(self, components: int, width: int) -> None:
        super().__init__()
        means = functional.normalize(torch.randn(2, components, width), dim=-1)
        self.means = nn.Parameter(means)
        self.log_variances = nn.Parameter(torch.full_like(means, -math.log(width)))
        self.weights = nn.Parameter(torch.zeros(2, components))

    def forward(self, projected: Tensor) -> Tensor:
        """Return `(B, 2, h, w)` nats of `(B, C, h, w)`, float32 or finer."""
        mixture = Mixture(self.weights.log_softmax(-1), self.means, self.log_variances)
        vectors = functional.normalize(projected, dim=1).movedim(1, -1)
        return log_densities(vectors, mixture).movedim(-1, 1)


def likelihood_ratio(likelihoods: Tensor, segmentation: Segmentation) -> Tensor:
    """Return `u_out - u_in - max_k s_k`, `(B, h, w)`; of evidence `s_k` is `ln E_k`."""
    known = segmentation.class_logits(segmentation.logits).amax(1)
    return likelihoods[:, 1] - likelihoods[:, 0] - known


def ratio_loss(ratio: Tensor, negative: Tensor, counted: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of a log ratio over the pixels that count.

    Args:
        ratio: `(B, h, w)`.
        negative: `(B, h, w)` bool.
        counted: `(B, h, w)` bool.
    """
    costs = functional.binary_cross_entropy_with_logits(
        ratio, negative.to(ratio.dtype), reduction="none"
    )
    return masked_mean(costs, counted)
