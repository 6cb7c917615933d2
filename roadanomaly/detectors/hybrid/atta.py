"""ATTA: a network fits itself to each frame, without taking what is strange for a new domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.detectors.hybrid.self_training import odds_of, self_training_loss
from roadanomaly.detectors.saved_head import head_of
from roadanomaly.errors import DataError, KindError, OptionError
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.batch_norms import divergence, kept, mixing, norms_of
from roadanomaly.segmenters.last_layer import LastLayer, last_map, last_names
from roadanomaly.segmenters.sliding import SlidingSegmenter
from roadanomaly.types import Batch, Segmentation

DIVERGENCE = "atta.divergence"
SHIFT = "atta.shift"
"""Features: how far a frame's statistics are from the kept ones, and the chance that its domain is
another, `(B, 1, 1, 1)`."""


class Atta(Detector):
    """What a head says once BatchNorm and the last layer have been fitted to the frame.

    Each frame is adapted to alone, and afterwards the network is exactly as it was. First the
    divergence of the frame's BatchNorm statistics from the kept ones is measured; standardised by
    what inlier frames of the training domain have, it gives the chance of a shift, `p = sigmoid(
    slope (z - threshold))`. The statistics become `(1 - p)` parts the kept ones and `p` parts the
    frame's. Then the last layer takes `steps` steps of Adam on a loss of the pixels whose own score
    makes them surely ordinary or surely strange.

    Args:
        head: `{run: FOLDER}`, the head of a saved model with its weights, on the command line
            `--detector.head.run FOLDER`; or `{detector: {name: ..., option: ...}, refiners:
            [...]}`, one that needs no preparation: `--detector.head '{detector: {name: energy}}'`.
            The weights become part of this detector: the folder is not needed afterwards.
        threshold: standard deviations beyond the training domain's at which `p` is a half.
        slope: of `p` in these.
        steps: of the last layer; 0 leaves it, and BatchNorm alone adapts.
        lr: of these steps.
        sure: chances of an anomaly below which a pixel counts as ordinary, and above which as
            strange.

    Raises:
        OptionError: a value out of range, or a head that is described otherwise.
        DataError: no model lies at `run`.
        KindError: a head that asks more of the network than one pass, or reads no logits.

    Source: Gao et al., 2023, equations 3 to 10, with the values of the public code. Differs from
    that code: the training domain's mean and deviation are fitted, where it has those of two
    networks; layers that see one value a channel count for nothing; the two Gaussians, between
    which lies the score that counts as even, are fitted by plain EM, where the code holds one at
    the histogram's last peak.
    """

    kind = "fit"
    fit_passes = (Pass("divergence"),)
    asks = ("passes", "gradients")
    paper = "Gao et al., ATTA: Anomaly-aware Test-Time Adaptation, NeurIPS 2023"

    usual: Tensor
    deviation: Tensor

    def __init__(
        self,
        head: Mapping[str, Any],
        threshold: float = 50.0,
        slope: float = 0.1,
        steps: int = 1,
        lr: float = 1e-4,
        sure: Sequence[float] = (0.3, 0.6),
    ) -> None:
        super().__init__()
        if slope <= 0 or lr <= 0 or steps < 0:
            msg = (
                "atta: `slope` and `lr` must be positive and `steps` not negative, not "
                f"{slope:g}, {lr:g} and {steps}."
            )
            raise OptionError(msg)
        if len(sure) != 2 or not 0 < sure[0] <= sure[1] < 1:
            msg = f"atta: `sure` must be two rising chances between 0 and 1, not {list(sure)}."
            raise OptionError(msg)
        self.threshold, self.slope = threshold, slope
        self.steps, self.lr, self.sure = steps, lr, (float(sure[0]), float(sure[1]))
        self.head, self.saved = head_of(head, "atta")
        inner = self.head.detector
        if not self.head.shares_pass or "logits" not in inner.accepts:
            msg = (
                f"atta adapts a network with logits for a head that reads one plain pass of it, "
                f"and `{called(inner)}` asks for more or reads other things: take another."
            )
            raise KindError(msg)
        self.region = inner.region  # type: ignore[misc]
        self.parts = nn.ModuleList([self.head.networks])
        self.moved: tuple[str, ...] = ()
        self.register_buffer("usual", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self._seen: list[float] = []

    def options(self) -> dict[str, Any]:
        """Return the constructor options; the head's weights are among this detector's."""
        trained_on = self.head.detector.trained_on
        return {
            "head": {**self.head.describe(), "trained_on": trained_on},
            "threshold": self.threshold,
            "slope": self.slope,
            "steps": self.steps,
            "lr": self.lr,
            "sure": list(self.sure),
        }

    @property
    def supervision(self) -> str:  # type: ignore[override]
        """What the head learned from."""
        return self.head.learned_from

    @property
    def learned_from(self) -> str:
        """The same: negatives in the frames of a fit hide nothing of what the head learned from."""
        return self.supervision

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a segmenter without BatchNorm, of windows, or whose last layer is not alone, too.

        Raises:
            KindError: it cannot be read, has no statistics that are mixed once a frame, or its last
                layer has no parameters, and `steps` is not 0.
            FeatureError: the last layer cannot be asked alone, and `steps` is not 0.
        """
        super().check_kind(segmenter)
        self.head.detector.check_kind(segmenter)
        name = f"`{called(segmenter)}`"
        if any(isinstance(one, SlidingSegmenter) for one in segmenter.modules()):
            msg = (
                "atta fits BatchNorm statistics to a whole frame, and the segmenter `sliding` "
                "shows its network one window after the other, so that each would move them for "
                "the next: take the network without `sliding`, or the head without atta."
            )
            raise KindError(msg)
        if not norms_of(segmenter):
            msg = (
                f"atta fits BatchNorm statistics to a frame, and this {name} has no layer that "
                "keeps any (LayerNorm needs no fitting): take a convolutional network with "
                "BatchNorm, or the head without atta."
            )
            raise KindError(msg)
        if self.steps:
            last_map(segmenter)
        if self.steps and not segmenter.trainable:
            msg = f"atta moves the last layer, and {name} passes no gradients: set `steps: 0`."
            raise KindError(msg)
        if self.steps and not last_names(segmenter):
            msg = (
                f"atta moves the last layer, and that of {name} has no parameters: set `steps: 0` "
                "to fit BatchNorm alone."
            )
            raise KindError(msg)

    def attach(self, segmenter: Segmenter) -> None:
        """Put the head on the segmenter, and load its weights where it was saved."""
        self.moved = tuple(last_names(segmenter)) if self.steps else ()
        self.head.attach(segmenter)
        if self.saved is not None:
            self.saved.continue_in(self.head, segmenter, "atta")
        self.saved = None
        self.head.networks.requires_grad_(False)

    @property
    def needs(self) -> tuple[str, ...]:
        """The head's maps."""
        return self.head.needs

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Adapt to each frame alone, and answer what the adapted network says.

        Before this detector is fitted, one plain pass with the divergence beside the features.
        """
        modes = [(module, module.training) for module in segmenter.modules()]
        segmenter.eval()
        try:
            return _joined([self._adapted(segmenter, one[None]) for one in image])
        finally:
            for module, mode in modes:
                module.training = mode

    def _adapted(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        norms = norms_of(segmenter)
        off = divergence(norms, lambda: segmenter(image))
        if not self.ready:
            with torch.no_grad():
                return _beside(segmenter(image, self.needs), DIVERGENCE, off)
        share = self.shift(off)
        last = (last_map(segmenter),) if self.steps else ()
        needs = tuple(dict.fromkeys((*self.needs, *last)))
        with kept(norms):
            with torch.no_grad(), mixing(norms, share):
                found = segmenter(image, needs)
            if self.steps:
                logits = self._self_trained(segmenter, found, image)
                found = replace(found, logits=logits)
        return _beside(found, SHIFT, share)

    def shift(self, off: Tensor) -> Tensor:
        """Return the chance, 0..1, that a frame of some divergence is of another domain."""
        standard = (off - self.usual) / self.deviation
        return (self.slope * (standard - self.threshold)).sigmoid()

    def _self_trained(self, segmenter: Segmenter, found: Segmentation, image: Tensor) -> Tensor:
        """Return the logits of the last layer after its steps; the layer itself stays."""
        feature = found.features[last_map(segmenter)]
        layer = LastLayer(segmenter)
        moved = {
            name: layer.get_parameter(name).detach().clone().requires_grad_() for name in self.moved
        }
        optimiser = torch.optim.Adam(moved.values(), lr=self.lr)
        for _ in range(self.steps):
            with torch.enable_grad():
                logits = torch.func.functional_call(layer, moved, (feature,))
                seen = replace(found, logits=logits)
                score = self.head.score(seen, image)
                odds = odds_of(score)
                loss = self_training_loss(score, seen.image_logits(), odds, self.sure)
            slopes = torch.autograd.grad(loss, list(moved.values()))
            for one, slope in zip(moved.values(), slopes, strict=True):
                one.grad = slope
            optimiser.step()
        with torch.no_grad():
            last: Tensor = torch.func.functional_call(layer, moved, (feature,))
        return last

    def begin(self, name: str) -> None:
        """Start with no divergences."""
        super().begin(name)
        self._seen.clear()

    def update(self, segmentation: Segmentation, batch: Batch, name: str) -> None:
        """Take the divergences of some frames."""
        del batch, name
        self._seen += segmentation.features[DIVERGENCE].flatten().tolist()

    def finish(self, name: str) -> None:
        """Keep mean and deviation of the divergences.

        Raises:
            DataError: fewer than two frames.
        """
        del name
        if len(self._seen) < 2:
            msg = f"atta standardises by inlier frames, and {len(self._seen)} were given: take 2."
            raise DataError(msg)
        seen = torch.tensor(self._seen, dtype=torch.double)
        self.usual.copy_(seen.mean())
        least = 1e-6 * float(seen.mean()) + 1e-12
        self.deviation.copy_(seen.std(correction=0).clamp_min(least))
        self._seen.clear()
        self.ready = True

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return what the head says of the adapted network, `(B, H, W)`."""
        self.require()
        return self.head.score(segmentation, image)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return the chance of a shift, one value all over, and what the head's detector shows."""
        chance = segmentation.features[SHIFT][:, 0].float()
        whole = chance.expand(-1, *segmentation.size)
        return {"chance of a shift": whole, **self.head.detector.explain(segmentation, image)}


def _beside(found: Segmentation, name: str, value: Tensor) -> Segmentation:
    """Put a number of one frame beside its features."""
    return replace(found, features={**found.features, name: value.float().view(1, 1, 1, 1)})


def _joined(found: Sequence[Segmentation]) -> Segmentation:
    """Put the segmentations of single frames together, in their order."""
    first = found[0]
    extra = [one.extra for one in found if one.extra is not None]
    return replace(
        first,
        logits=torch.cat([one.logits for one in found]),
        features={key: torch.cat([one.features[key] for one in found]) for key in first.features},
        extra=torch.cat(extra) if extra else None,
    )
