"""The matching loss of mask networks against the one that transformers computes by itself."""

from __future__ import annotations

import pytest
import torch

from roadanomaly.segmenters.matching import stand_ins
from roadanomaly.types import IGNORE, NEGATIVE
from tests.contracts.tiny import CLASSES, network

SIDE = 64


def image():
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def blocks():
    """Blocks of classes as large as a mask's cells at least, so that no label is lost on them."""
    label = torch.randint(0, len(CLASSES), (2, 4, 4), generator=torch.Generator().manual_seed(1))
    return label.to(torch.uint8).repeat_interleave(16, 1).repeat_interleave(16, 2)


def own_loss(segmenter, label):
    """Return the library's loss, for labels at the masks' stride."""
    step = SIDE // segmenter(image()).logits.shape[-1]
    small = label[:, step // 2 :: step, step // 2 :: step].long()
    classes = [one.unique() for one in small]
    masks = [
        (one == found[:, None, None]).float() for one, found in zip(small, classes, strict=True)
    ]
    torch.manual_seed(0)
    entered = (image() - segmenter.mean) / segmenter.std
    return segmenter.network(entered, mask_labels=masks, class_labels=classes).loss.item()


@pytest.mark.parametrize(
    ("kind", "rel"),
    [("mask2former", 1e-4), ("eomt", 0.02)],  # EoMT's own code takes the layers in another order
)
def test_it_is_the_librarys_loss_over_all_layers(kind, rel):
    segmenter, label = network(f"transformers {kind}"), blocks()
    torch.manual_seed(0)
    found = segmenter(image())
    terms = segmenter.loss(found, label)
    assert set(terms) == {"query_classes", "mask_cross_entropy", "mask_dice"}
    assert sum(terms.values()).item() == pytest.approx(own_loss(segmenter, label), rel=rel)
    assert len(found.masks.layers) == {"mask2former": 1, "eomt": 2}[kind]


def test_layers_are_kept_only_where_gradients_are_recorded():
    for kind in ("mask2former", "eomt"):
        with torch.no_grad():
            assert network(f"transformers {kind}")(image()).masks.layers == ()


@pytest.mark.parametrize("kind", ["mask2former", "eomt"])
def test_what_has_no_class_teaches_nothing(kind):
    segmenter, label = network(f"transformers {kind}"), blocks()
    label[:, 16:32, 16:48] = torch.tensor([IGNORE, NEGATIVE]).repeat_interleave(16)
    found = segmenter(image())
    every = [one.masks for one in (found.masks, *found.masks.layers)]
    torch.manual_seed(0)
    loss = sum(segmenter.loss(found, label).values())
    cells = slice(*(one * found.logits.shape[-1] // SIDE for one in (16, 32)))
    columns = slice(*(one * found.logits.shape[-1] // SIDE for one in (16, 48)))
    for gradient in torch.autograd.grad(loss, every):
        assert (gradient[..., cells, columns] == 0).all()
        assert (gradient != 0).any()


def test_an_image_without_classes_leaves_the_others_their_loss():
    segmenter, label = network("transformers mask2former"), blocks()
    label[1] = IGNORE
    torch.manual_seed(0)
    together = segmenter.loss(segmenter(image()), label)
    torch.manual_seed(0)
    alone = segmenter.loss(segmenter(image()[:1]), label[:1])
    for name, one in together.items():
        assert one.item() == pytest.approx(alone[name].item(), rel=1e-3)


def test_cells_that_stand_in_are_known_ones_and_evenly_used():
    known = torch.rand(12, 20, generator=torch.Generator().manual_seed(0)) < 0.4
    found = stand_ins(known)
    cells = torch.arange(240)
    flat = known.flatten()
    assert torch.equal(found[flat], cells[flat])
    assert flat[found].all()
    used = found.bincount(minlength=240)[flat]
    assert used.max() - used.min() <= 1
    assert torch.equal(stand_ins(torch.ones(3, 4, dtype=torch.bool)), torch.arange(12))
