"""What is exact is listed: no flow is left out by one who adds another kind."""

import importlib
import inspect
import pkgutil

from torch import nn

from roadanomaly import flows
from roadanomaly.flows.exact import EXACT
from roadanomaly.flows.scale_flow import ScaleFlow
from roadanomaly.packing import halved
from roadanomaly.training.speed import may_round


def kinds():
    """Every class below `roadanomaly.flows` that tells densities."""
    for one in pkgutil.walk_packages(flows.__path__, f"{flows.__name__}."):
        for _, found in inspect.getmembers(importlib.import_module(one.name), inspect.isclass):
            if issubclass(found, nn.Module) and hasattr(found, "log_prob"):
                yield found


def test_every_flow_is_listed():
    found = set(kinds())
    assert found >= set(EXACT)
    assert [one for one in found if not issubclass(one, EXACT)] == []


def test_a_flow_over_scales_is_neither_rounded_nor_halved():
    holder = nn.Sequential(ScaleFlow(4, scales=2, steps=1, hidden=4))
    assert not may_round(holder)
    whole = holder.state_dict()
    assert all(value.dtype == whole[name].dtype for name, value in halved(holder).items())
