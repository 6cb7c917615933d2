"""Diffusion density: how badly a denoiser tells the noise in a feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.detectors.density.layer_density import LayerDensity, LocationDensity
from roadanomaly.detectors.density.layered import HeldOutDensity, LayerOptions
from roadanomaly.detectors.density.projection import Scaling
from roadanomaly.diffusion.schedule import Schedule
from roadanomaly.diffusion.vector_denoiser import VectorDenoiser
from roadanomaly.errors import OptionError
from roadanomaly.reservoir import evenly
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.types import Batch, Segmentation, is_inlier


class DiffusionDensity(HeldOutDensity):
    """`mean_t 1 - cos(e_t, e'(f_t, t))` of the feature at each cell, over the least noisy steps.

    A denoiser learns to tell the noise in features of inliers. Where a feature is unlike them it
    tells another than was put in. Its cosine mismatch, the same noise at every cell, is averaged
    over all `judged` steps, which go through it in one batch. Each level's mismatch, and the free
    energy `-logsumexp` of the logits, are standardised on inliers of held-out frames and added.

    Args:
        features: the segmenter's maps; None takes its default.
        encoder: catalogue `name` of an encoder and its options, in place of the segmenter's maps.
        energy: add the energy; without it the features are judged alone.
        dimensions: greatest number of principal components, 2 to 64.
        hidden: width of the denoiser's blocks.
        levels: of its blocks, on each way.
        steps: of the diffusion.
        judged: least noisy steps that are averaged over, at most `steps`.
        vectors: greatest number of vectors that statistics are taken from.
        per_frame: vectors drawn from a frame, or from a crop in a training step.
        smooth: side of the square window, in cells of each map, over which mismatches are averaged.

    Raises:
        OptionError: a value out of range.

    Source: Galesso et al., 2024, Diffusion for Out-of-Distribution Detection on Road Scenes and
    Beyond, sections 3.2 and 3.3. Differs: any features, their principal components divided by the
    largest deviation; a small denoiser; the schedule of training, which was not published, is the
    run's; statistics of held-out frames in place of 25 training images.
    """

    accepts = ("logits",)
    paper = "Galesso et al., Diffusion for Out-of-Distribution Detection on Road Scenes, ECCV 2024"
    term = "noise"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        encoder: Mapping[str, Any] | None = None,
        energy: bool = True,
        dimensions: int = 64,
        hidden: int = 128,
        levels: int = 3,
        steps: int = 1000,
        judged: int = 25,
        vectors: int = 100_000,
        per_frame: int = 1000,
        smooth: int = 1,
    ) -> None:
        plan = LayerOptions(
            features,
            encoder,
            dimensions,
            hidden=hidden,
            vectors=vectors,
            per_frame=per_frame,
            smooth=smooth,
        )
        super().__init__("diffusion_density", plan)
        if levels < 1 or not 1 <= judged <= steps:
            msg = (
                "diffusion_density: `levels` must be at least 1 and `judged` lie in 1..`steps`, "
                f"not {levels}, {judged} and {steps}."
            )
            raise OptionError(msg)
        self.energy, self.levels, self.steps, self.judged = energy, levels, steps, judged

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        own = {
            "energy": self.energy,
            "levels": self.levels,
            "steps": self.steps,
            "judged": self.judged,
        }
        shared = ("dimensions", "hidden", "vectors", "per_frame", "smooth")
        return {**self.shared_options(*shared), **own}

    def attach(self, segmenter: Segmenter) -> None:
        """Build the denoisers; the energy has statistics too."""
        super().attach(segmenter)
        parts = len(self.densities) + self.energy
        self.register_buffer("mean", torch.zeros(parts))
        self.register_buffer("deviation", torch.ones(parts))

    def density(self, width: int) -> LayerDensity:
        """Return the denoiser of vectors."""
        plan = self.plan
        schedule = Schedule(self.steps)
        size = min(plan.dimensions, width)
        return Denoised(width, size, plan.hidden, self.levels, schedule, self.judged)

    def cost_maps(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the mismatch of each level and the energy, `(B, H, W, L + 1)`."""
        found = super().cost_maps(segmentation, image)
        if not self.energy:
            return found
        logits = segmentation.class_logits(segmentation.image_logits()).float()
        return torch.cat([found, -logits.logsumexp(1)[..., None]], -1)

    @property
    def titles(self) -> tuple[str, ...]:
        """What the columns of `cost_maps` are called in pictures."""
        return (*super().titles, "energy") if self.energy else super().titles

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Draw vectors for the scaling; after training, costs at pixels that show inliers."""
        if name == "prepare":
            super().update(segmentation, batch, name)
            return
        found = self.cost_maps(segmentation, batch.image)
        for one, label in zip(found, batch.label, strict=True):
            self.costs.add(evenly(one[is_inlier(label)], self.plan.per_frame))

    def aggregated(self, costs: Tensor) -> Tensor:
        """Return the mean of the levels' standardised mismatches, plus the energy's."""
        standard = self.standard(costs)
        levels = len(self.densities)
        return standard[..., :levels].mean(-1) + standard[..., levels:].sum(-1)


class Denoised(LocationDensity):
    """A denoiser of the vector at each location.

    Args:
        width: channels of the layer.
        dimensions: principal components that it sees.
        hidden: width of its blocks.
        levels: of its blocks.
        schedule: of the noise.
        judged: least noisy steps that the cost is a mean over.
    """

    noise: Tensor

    def __init__(
        self,
        width: int,
        dimensions: int,
        hidden: int,
        levels: int,
        schedule: Schedule,
        judged: int,
    ) -> None:
        super().__init__(width, dimensions)
        self.whitening = Scaling(width, dimensions)
        self.schedule = schedule
        self.denoiser = VectorDenoiser(dimensions, hidden, levels)
        chance = torch.Generator().manual_seed(0)
        drawn = torch.randn(judged, dimensions, generator=chance)
        self.register_buffer("noise", drawn, persistent=False)

    def loss(self, rows: Tensor, noise: float) -> Tensor:
        """Return the mean squared error of the noise at steps that are drawn; 0 without rows."""
        del noise
        if not len(rows):
            return 0 * self.loss(rows.new_zeros(1, *rows.shape[1:]), 0.0)
        x = self.whitened(rows)
        step = torch.randint(1, len(self.schedule) + 1, (len(x),), device=x.device)
        drawn = torch.randn_like(x)
        found = self.denoiser(self.schedule.noised(x, step, drawn), step)
        return (found - drawn).square().mean()

    def row_cost(self, rows: Tensor) -> Tensor:
        """Return the mean mismatch over the judged steps, `(...)`, of `(..., C)`."""
        x = self.whitened(rows)[..., None, :]
        step = torch.arange(1, len(self.noise) + 1, device=x.device)
        kept = self.schedule.kept[: len(self.noise), None]
        found = self.denoiser(kept.sqrt() * x + (1 - kept).sqrt() * self.noise, step)
        return 1 - functional.cosine_similarity(found.float(), self.noise, -1).mean(-1)

    def cost(self, feature: Tensor) -> Tensor:
        """Return the same of each location."""
        return self.row_cost(feature.float().permute(0, 2, 3, 1))
