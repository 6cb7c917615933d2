"""Parameter groups and learning-rate schedules."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import roadanomaly
from roadanomaly.errors import OptionError
from roadanomaly.model import Model
from roadanomaly.training.optimiser import (
    build_optimiser,
    build_schedule,
    encoder_parameters,
    parameter_groups,
    rate_factor,
)
from roadanomaly.training.step import TrainingStep
from tests.training import runs

CLOSED_FORMS = {
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
    "poly": lambda t: (1 - t) ** 0.9,
    "constant": lambda t: 1.0,
}


def training_step(detector="densehybrid", segmenter=None, **options):
    usual = roadanomaly.segmenter("espnetv2", scale=0.5, classes=("a", "b", "c"))
    model = Model(segmenter or usual, roadanomaly.detector(detector, **options))
    return TrainingStep(
        model.segmenter, model.detector, freeze_batch_norm=True, supervise="logits", distill=0.0
    )


@pytest.mark.parametrize("schedule", CLOSED_FORMS)
@pytest.mark.parametrize("warmup", [0, 4])
def test_rate_factor(schedule, warmup):
    steps = 20
    for step in range(21):
        expected = (
            (step + 1) / warmup
            if step < warmup
            else CLOSED_FORMS[schedule]((step - warmup) / (20 - warmup))
        )
        assert rate_factor(schedule, warmup, steps, step) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", CLOSED_FORMS)
@pytest.mark.parametrize("warmup", [0, 6, 9])
def test_rate_factor_stays_within_bounds(schedule, warmup):
    steps = 6
    factors = [rate_factor(schedule, warmup, steps, step) for step in range(12)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert all(a >= b for a, b in zip(factors[warmup:], factors[warmup + 1 :], strict=False))


def test_every_parameter_is_in_one_group_with_its_rate():
    module = training_step()
    config = runs.config(Path("x"), lr=0.01, head_lr=0.2, weight_decay=0.3)
    groups = parameter_groups(module, config)
    place = {id(p): group for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(place)
    assert set(place) == {id(one) for one in module.parameters() if one.requires_grad}
    for part, rate in ((module.segmenter, 0.01), (module.detector, 0.2)):
        for parameter in filter(lambda one: one.requires_grad, part.parameters()):
            assert place[id(parameter)]["lr"] == rate
            assert place[id(parameter)]["weight_decay"] == (0.3 if parameter.dim() > 1 else 0.0)


def test_an_encoder_learns_at_its_own_rate():
    segmenter = roadanomaly.segmenter("smp", architecture="fpn", classes=("a", "b", "c"))
    module = training_step(segmenter=segmenter)
    config = runs.config(Path("x"), lr=0.01, head_lr=0.2, encoder_lr=0.003)
    place = {id(p): one["lr"] for one in parameter_groups(module, config) for p in one["params"]}
    encoder = {id(p) for p in module.segmenter.network.encoder.parameters()}
    assert encoder
    for part, rate in ((module.segmenter, 0.01), (module.detector, 0.2)):
        for p in filter(lambda one: one.requires_grad, part.parameters()):
            assert place[id(p)] == (0.003 if id(p) in encoder else rate)


def test_an_encoder_inside_a_decoder_is_none_of_the_segmenters():
    pixels = nn.ModuleDict({"encoder": nn.Linear(2, 2)})
    for name in ("decoder", "pixel_decoder"):
        pixels[name] = nn.ModuleDict({"encoder": nn.Linear(2, 2)})
    found = encoder_parameters(nn.ModuleDict({"pixel_level_module": pixels}))
    assert [id(p) for p in found] == [id(p) for p in pixels["encoder"].parameters()]


def test_a_rate_for_an_encoder_that_is_not_there_is_refused():
    config = runs.config(Path("x"), encoder_lr=0.003)
    with pytest.raises(OptionError, match="`espnetv2` has no layers called `encoder`"):
        parameter_groups(training_step(), config)


def test_a_frozen_segmenter_is_not_in_it():
    module = training_step()
    module.segmenter.requires_grad_(False)
    groups = parameter_groups(module, runs.config(Path("x")))
    assert {group["name"] for group in groups} == {"detector"}


def test_the_schedule_moves_both_rates_together():
    config = runs.config(Path("x"), lr=0.01, head_lr=0.2, steps=10)
    optimiser = build_optimiser("adamw", parameter_groups(training_step(), config))
    schedule = build_schedule(optimiser, "poly", 0, 10)
    for step in range(10):
        factor = (1 - step / 10) ** 0.9
        for group in optimiser.param_groups:
            base = 0.01 if group["name"] == "segmenter" else 0.2
            assert group["lr"] == pytest.approx(base * factor)
        optimiser.step()
        schedule.step()
    assert torch.tensor(schedule.get_last_lr()).max() == 0
