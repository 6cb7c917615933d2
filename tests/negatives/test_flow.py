"""The flow as a source: where samples go, what they replace, and which gradients they carry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.errors import DataError, OptionError
from roadanomaly.flows import Glow
from roadanomaly.flows.store import save_flow
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.flow import FlowSamples, paste
from roadanomaly.types import NEGATIVE, REPLACED
from tests.negatives import tiny

GLOW = {"name": "glow", "levels": 2, "steps": 1, "hidden": 4}


def source(**options):
    return FlowSamples(flow=GLOW, **options)


def rng(seed=0):
    return np.random.default_rng(seed)


def boxes(label):
    """Return top, left, height and width of the negatives of each label."""
    found = []
    for one in label == NEGATIVE:
        rows, columns = one.nonzero(as_tuple=True)
        top, left = rows.min().item(), columns.min().item()
        height, width = rows.max().item() - top + 1, columns.max().item() - left + 1
        assert one.sum() == height * width
        found.append((top, left, height, width))
    return found


def test_one_rectangle_a_crop_of_a_size_that_the_stride_divides():
    batch, made = tiny.batch(3).to("cpu"), source(side=(8, 64))
    sizes = set()
    for seed in range(20):
        mixed = made.mix(batch, rng(seed))
        found = {(height, width) for _, _, height, width in boxes(mixed.label)}
        assert len(found) == 1
        sizes |= found
    sides = {side for size in sizes for side in size}
    assert all(side % 4 == 0 for side in sides)
    assert min(sides) >= 8
    assert max(sides) <= 64
    assert len(sizes) > 10


def test_what_was_replaced_is_the_content_under_the_samples():
    batch = tiny.batch(3).to("cpu")
    mixed = source().mix(batch, rng())
    for crop, (top, left, height, width) in enumerate(boxes(mixed.label)):
        window = np.s_[:, top : top + height, left : left + width]
        assert torch.equal(mixed.note(REPLACED)[crop], batch.image[crop][window])
        outside = mixed.label[crop] != NEGATIVE
        assert torch.equal(mixed.image[crop][:, outside], batch.image[crop][:, outside])


def test_its_loss_is_the_cost_of_what_was_replaced():
    made = source(likelihood=0.5)
    mixed = made.mix(tiny.batch(3).to("cpu"), rng())
    torch.manual_seed(4)
    (term,) = made.loss(mixed).values()
    torch.manual_seed(4)
    grey = (255 * mixed.note(REPLACED)).round().to(torch.uint8)
    assert term.item() == pytest.approx(0.5 * made.flow.bits_per_dim(grey).mean().item())


def test_without_samples_every_parameter_still_takes_part():
    """Several processes wait for each other's gradients of every parameter."""
    made = source(probability=0)
    mixed = made.mix(tiny.batch(3).to("cpu"), rng())
    assert not mixed.negative.any()
    (term,) = made.loss(mixed).values()
    term.backward()
    assert term.item() == 0
    assert all(not parameter.grad.any() for parameter in made.parameters())


def test_several_samples_in_a_crop():
    mixed = source(count=3, side=(8, 12)).mix(tiny.batch(2).to("cpu"), rng(1))
    assert len(mixed.note(REPLACED)) == 6
    assert (mixed.negative.flatten(1).sum(1) > 2 * 8 * 8).all()


def test_pasting_passes_gradients_to_the_sample_and_to_what_is_left():
    image = torch.rand(3, 6, 8, dtype=torch.float64, requires_grad=True)
    sample = torch.rand(3, 2, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(3, 6, 8, dtype=torch.float64)
    pasted, label = paste(image, torch.zeros(6, 8, dtype=torch.uint8), sample, 1, 4)
    assert torch.equal(pasted[:, 1:3, 4:7], sample)
    assert (label == NEGATIVE).sum() == 6
    (weight * pasted).sum().backward()
    torch.testing.assert_close(sample.grad, weight[:, 1:3, 4:7])
    weight[:, 1:3, 4:7] = 0
    torch.testing.assert_close(image.grad, weight)


def test_a_trained_flow_is_its_start(tmp_path):
    flow = Glow(levels=1, steps=1, hidden=4)
    with torch.no_grad():
        flow.levels[0].layers[1].shift.fill_(0.25)
    save_flow(flow, tmp_path / "run" / "flow")
    made = NEGATIVES.build("flow", {"start": str(tmp_path / "run")})
    for key, value in made.flow.state_dict().items():
        assert torch.equal(value, flow.state_dict()[key])
    assert made.record()["flow"] == {"name": "glow", **flow.options()}
    assert made.record()["parameters"] == sum(p.numel() for p in flow.parameters())


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"start": "gone"}, DataError, "no flow at gone"),
        ({"start": "gone", "flow": {}}, OptionError, "not both"),
        ({"flow": {"name": "glowe"}}, OptionError.__base__, "did you mean `glow`"),
        ({"side": [9, 3]}, OptionError, "`side`"),
        ({"probability": 2}, OptionError, "`probability`"),
    ],
)
def test_faults(options, error, words):
    with pytest.raises(error, match=words):
        NEGATIVES.build("flow", options)


def test_integer_images_and_crops_without_room_are_refused():
    made = FlowSamples(flow={**GLOW, "levels": 5})
    with pytest.raises(TypeError, match=r"inside the training step, not into torch\.uint8"):
        made.mix(tiny.batch(1), rng())
    with pytest.raises(OptionError, match=r"16x128 has no room .* multiples of 32"):
        made.mix(tiny.batch(1, height=16).to("cpu"), rng())
