"""What the pretended device finds: tensors left behind, and waits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.cuda import pretended

pytestmark = pretended.tried


class Forgetful(nn.Module):
    """Holds one tensor that does not move with it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.left = torch.ones(3)

    def forward(self, x):
        return self.layer(x) + self.left


def test_networks_and_what_they_compute_lie_on_the_device():
    with pretended.device():
        network = pretended.on_device(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
        out = network(torch.rand(2, 3, 8, 8, device="cuda"))
        out.sum().backward()
        devices = {one.device.type for one in (out, *network.parameters(), *network.buffers())}
        assert devices == {"cuda"}
        assert all(one.grad is not None for one in network.parameters())


def test_tied_parameters_stay_tied():
    pair = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    pair[1].weight = pair[0].weight
    with pretended.device():
        moved = pretended.on_device(pair)
        assert moved[1].weight is moved[0].weight
        assert moved[1].bias is not moved[0].bias


def test_a_tensor_that_was_left_on_the_cpu_raises():
    with pretended.device(), pytest.raises(pretended.Mixed, match=r"Forgetful\.forward: add"):
        pretended.on_device(Forgetful())(torch.rand(2, 3, device="cuda"))


MIXED = {
    "sum": lambda x: x + torch.ones(4),
    "joined": lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
    "listed": lambda x: torch.cat([x, torch.ones(4)]),
    "index": lambda x: torch.ones(4)[x.argsort()],
    "named": lambda x: torch.where(x > 0, input=x, other=torch.ones(4)),
}


@pytest.mark.parametrize("name", MIXED)
def test_tensors_of_two_devices_raise(name):
    with pretended.device(), pytest.raises(pretended.Mixed, match="test_pretended:<lambda>"):
        MIXED[name](torch.rand(4, device="cuda"))


WAITS = {
    "item": lambda x: x.sum().item(),
    "if": lambda x: bool((x > 0).any()),
    "int": lambda x: int(x.argmax()),
    "list": lambda x: x.tolist(),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "put": lambda x: x.index_put_([x > 0], x[:4].clone()),
    "cpu": lambda x: x.cpu(),
    "copy": lambda x: torch.zeros(4).copy_(x),
    "unique": lambda x: x.unique(),
    "equal": lambda x: torch.equal(x, x),
    "upload": lambda x: torch.ones(4).to(x.device),
    "made": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "list index": lambda x: x[[0, 1]],
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", WAITS)
def test_a_wait_raises_and_names_the_function(name, inference):
    with pretended.device(), torch.inference_mode(inference):
        x = torch.rand(4, device="cuda")
        with pytest.raises(pretended.HostWait, match=r"test_pretended:<lambda> waits"):
            WAITS[name](x)


FREE = {
    "masked": lambda x: torch.where(x > 0, x, 0.0).sum(),
    "filled": lambda x: x.masked_fill_(x > 0, 1.0),
    "put": lambda x: x.index_put_([x > 0], torch.tensor(0.0)),
    "numbers": lambda x: x[x.argsort()],
    "upload": lambda x: torch.ones(4).to(x.device, non_blocking=True) + x,
    "scalar": lambda x: x * torch.tensor(2.0),
    "slices": lambda x: torch.stack([x[1], x[0]]),
}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("name", FREE)
def test_what_waits_for_nothing_passes(name, inference):
    with pretended.device(), torch.inference_mode(inference):
        found = FREE[name](torch.rand(4, device="cuda"))
        assert found.device == pretended.DEVICE


def test_an_allowed_wait_passes_and_answers(monkeypatch):
    monkeypatch.setitem(pretended.ALLOWED, f"{__name__}:<lambda>", "a test")
    with pretended.device():
        x = torch.rand(4, device="cuda")
        assert isinstance(WAITS["item"](x), float)
        assert WAITS["mask"](x).dim() == 1
        assert WAITS["cpu"](x).device.type == "cpu"


def test_few_waits_are_allowed_and_each_has_a_reason():
    assert len(pretended.ALLOWED) <= 10
    assert all(pretended.ALLOWED.values())
