"""What generator and discriminators want minimised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from roadanomaly.generators.discriminators import Scores
from roadanomaly.types import is_known

Adversarial = Literal["hinge", "lsgan"]


def discriminator_loss(real: Scores, fake: Scores, kind: Adversarial) -> Tensor:
    """Return what the discriminators minimise, the mean over scales.

    `hinge` (SPADE): `E relu(1 - D(x)) + E relu(1 + D(G(y)))`; `lsgan` (pix2pixHD):
    `(E (D(x) - 1)^2 + E D(G(y))^2) / 2`.

    Args:
        real: of photographs.
        fake: of generated images.
        kind: of loss.
    """
    terms = []
    for true, false in zip(real, fake, strict=True):
        if kind == "hinge":
            terms.append(
                functional.relu(1 - true[-1]).mean() + functional.relu(1 + false[-1]).mean()
            )
        else:
            terms.append(((true[-1] - 1).square().mean() + false[-1].square().mean()) / 2)
    return torch.stack(terms).mean()


def adversarial_loss(fake: Scores, kind: Adversarial) -> Tensor:
    """Return what the generator minimises to look real: `-E D(G(y))`, or `E (D(G(y)) - 1)^2`."""
    scores = [maps[-1] for maps in fake]
    if kind == "hinge":
        return torch.stack([-score.mean() for score in scores]).mean()
    return torch.stack([(score - 1).square().mean() for score in scores]).mean()


def feature_matching(fake: Scores, real: Scores) -> Tensor:
    """Return the L1 distance of the discriminators' inner maps.

    The sum over layers and the mean over scales (pix2pixHD, equation 4; its code weighs them so);
    no gradient passes to the real maps.
    """
    scales = []
    for false, true in zip(fake, real, strict=True):
        layers = zip(false[:-1], true[:-1], strict=True)
        scales.append(sum((one - other.detach()).abs().mean() for one, other in layers))
    return torch.stack([torch.as_tensor(scale) for scale in scales]).mean()


def perceptual_distance(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Return the mean over an encoder's maps of their relative L1 distance.

    Differs from the public codes, which add VGG19's five distances with weights from 1/32 to 1:
    each map's distance is divided by the mean magnitude of the real map, so that any encoder can be
    taken. Neither gradient nor weight passes to the real maps.
    """
    distances = []
    for one, other in zip(fake, real, strict=True):
        true = other.detach()
        distances.append((one - true).abs().mean() / true.abs().mean().clamp_min(1e-6))
    return torch.stack(distances).mean()


def label_agreement(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the labels that a frozen segmenter reads out of a resynthesis.

    The mean over the classes of the batch of each one's mean over its pixels, so that poles count
    as much as the road; the weighting is that of OASIS (Sushko et al., ICLR 2021, equation 1),
    whose segmenter is the discriminator and learns.

    Args:
        logits: `(B, K, H, W)`, of the resynthesis.
        labels: `(B, H, W)` integer, those that it was drawn from; void does not count.

    Returns:
        A scalar in nats; 0 where no pixel has a class.
    """
    known = is_known(labels)
    target = torch.where(known, labels, 0).long()
    loss = functional.cross_entropy(logits.float(), target, reduction="none")
    pixels = torch.zeros(logits.shape[1], dtype=torch.int64, device=labels.device)
    pixels = pixels.index_add(0, target.flatten(), known.flatten().long())
    share = 1 / (pixels.clamp_min(1) * (pixels > 0).sum().clamp_min(1))
    return (loss * share[target] * known).sum()


def gradient_penalty(scores: Scores, image: Tensor) -> Tensor:
    """Return R1 (Mescheder et al., ICML 2018), `E |grad_x sum D(x)|^2 / 2`.

    The sum runs over the patches of all scales.

    Args:
        scores: of real images.
        image: those images, which `scores` were computed from with their gradient recorded.
    """
    total = torch.stack([maps[-1].sum() for maps in scores]).sum()
    (slope,) = torch.autograd.grad(total, image, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean() / 2
