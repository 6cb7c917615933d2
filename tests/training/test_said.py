"""What a step said: means and faults, and that a fault of one step is told before it is kept."""

from __future__ import annotations

import math

import pytest
import torch

from roadanomaly.training.said import Pass, Said


def said(*losses, norm=1.0):
    passes = [
        Pass((f"image{number}",), {"a": torch.tensor(loss), "b": torch.tensor(0.5)})
        for number, loss in enumerate(losses)
    ]
    return Said(7, passes, {"networks": torch.tensor(norm)}, {"lr": 0.25})


def test_logged_terms_are_means_over_the_passes():
    assert said(1.0, 2.0).logged() == {"a": 1.5, "b": 0.5, "lr": 0.25}


def test_finite_numbers_are_no_fault():
    assert said(1.0, 2.0).loss_fault() is None
    assert said(1.0, 2.0).gradient_fault() is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_names_its_step_its_terms_and_its_crops_alone(value):
    fault = said(1.0, value).loss_fault()
    assert fault.what == f"the loss became {value} at step 7 (a {value:.4g}, b 0.5)"
    assert fault.ids == ("image1",)


def test_a_gradient_names_its_plan_and_all_crops_of_the_step():
    fault = said(1.0, 2.0, norm=math.nan).gradient_fault()
    assert fault.what == "the gradient of the networks became nan at step 7"
    assert fault.ids == ("image0", "image1")


def test_later_changes_of_a_term_do_not_reach_what_was_said():
    term = torch.tensor(1.0, requires_grad=True)
    one = Said(1, [Pass(("x",), {"a": term})], {}, {})
    with torch.no_grad():
        term.fill_(math.nan)
    assert one.logged() == {"a": 1.0}
