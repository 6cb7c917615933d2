"""The loss by which mask networks are trained: queries matched with the classes of an image."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.types import Masks, is_known

TERMS = {
    "loss_cross_entropy": "query_classes",
    "loss_mask": "mask_cross_entropy",
    "loss_dice": "mask_dice",
}
"""What transformers calls the three terms, and what they are called here."""


def matching_loss(criterion: Any, masks: Masks, label: Tensor) -> dict[str, Tensor]:
    """Return the terms of Mask2Former's loss, summed over the layers that answered.

    Each class of an image is one binary mask. It is matched with one query, which learns this
    class and this mask (cross-entropy and dice at random points, most of them where the mask is
    unsure); the other queries learn "no object". Matching, points and weights are those of
    transformers, from the network's config; the points come from PyTorch's random numbers. A cell
    labelled "no object" belongs to none of the masks and teaches them to stay away.

    What differs: the authors let void pixels teach every mask to stay away from them. Here a cell
    without a class counts for nothing: a known cell stands in for it, both in the masks and in
    the labels. Labels are taken at the masks' stride, and on the CPU, where the matching is done:
    that waits for a GPU once, for the labels, beside the matching itself.

    Args:
        criterion: of the network of transformers. It is told how many classes `masks` has.
        masks: what the network answered, with gradients.
        label: `(B, h, w)` int64 at the masks' stride: class index, or `masks.no_object`; 252 and
            above count for nothing, as does an image without a class.

    Returns:
        three finite scalars; 0, with gradients of 0, where no cell has a class.

    Source: Cheng et al., Masked-attention Mask Transformer for Universal Image Segmentation,
    CVPR 2022, section 3.3; Kerssies et al., Your ViT is Secretly an Image Segmentation Model,
    CVPR 2025, for EoMT.
    """
    layers = [*masks.layers, masks]
    device, label = label.device, label.cpu()
    known = is_known(label)
    images = (label < masks.no_object).flatten(1).any(1).nonzero()[:, 0].tolist()
    if not images:
        nothing = sum(0 * (one.classes.sum() + one.masks.sum()) for one in layers)
        return dict.fromkeys(TERMS.values(), torch.as_tensor(nothing))
    cells = torch.stack([stand_ins(known[image]) for image in images])
    target = label[images].flatten(1).gather(1, cells).unflatten(1, label.shape[1:])
    present = [one[one != masks.no_object].unique() for one in target]
    cells, target = (one.to(device, non_blocking=True) for one in (cells, target))
    present = [one.to(device, non_blocking=True) for one in present]
    asked = [_answer_at(one, images, cells) for one in layers]
    with torch.autocast(device.type, enabled=False):
        found = for_classes(criterion, masks.no_object)(
            **asked[-1],
            mask_labels=[
                (one == classes[:, None, None]).float()
                for one, classes in zip(target, present, strict=True)
            ],
            class_labels=present,
            auxiliary_predictions=asked[:-1],
        )
    return {
        name: criterion.weight_dict[term]
        * torch.stack([one for key, one in found.items() if key.startswith(term)]).sum()
        for term, name in TERMS.items()
    }


def for_classes(criterion: Any, classes: int) -> nn.Module:
    """Return transformers' criterion for a number of classes, of which the network may know fewer.

    All of them weigh 1, and "no object" what the network's config says.
    """
    if classes == criterion.num_labels:
        return criterion
    grown: nn.Module = copy.copy(criterion)
    weights: Tensor = criterion.empty_weight
    grown.__dict__["num_labels"] = classes
    grown.__dict__["_buffers"] = {
        **criterion._buffers,
        "empty_weight": torch.cat([weights.new_ones(classes), weights[-1:]]),
    }
    return grown


def stand_ins(known: Tensor) -> Tensor:
    """Say which cell each cell is read from: known ones from themselves.

    The others are read from known ones that lie evenly spread over the image, so each counts about
    as often as any other and neighbours remain near each other.

    Args:
        known: `(h, w)` bool, at least one of them true.

    Returns:
        `(h * w,)` int64.
    """
    cells = torch.arange(known.numel(), device=known.device)
    flat = known.flatten()
    have, lack = cells[flat], cells[~flat]
    found = cells.clone()
    found[lack] = have[
        torch.arange(len(lack), device=known.device) * len(have) // max(1, len(lack))
    ]
    return found


def _answer_at(masks: Masks, images: list[int], cells: Tensor) -> dict[str, Tensor]:
    """Return the answers for some images, each mask read at the given cells."""
    logits = torch.stack([masks.masks[image] for image in images]).float()
    read = logits.flatten(2).gather(2, cells[:, None].expand(-1, logits.shape[1], -1))
    return {
        "masks_queries_logits": read.view_as(logits),
        "class_queries_logits": torch.stack([masks.classes[image] for image in images]).float(),
    }
