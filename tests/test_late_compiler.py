"""Networks are built without torch's compiler, which is whole again afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

BUILD = """
import sys
import numpy as np
import roadanomaly as ra
network = ra.segmenter("smp", architecture="fpn", encoder="tu-mobilenetv3_small_050")
model = ra.Model(network, ra.detector("energy"))
model(np.zeros((64, 96, 3), np.uint8))
print("torch._dynamo" in sys.modules)
"""
AFTERWARDS = """
import torch, torch._dynamo, torch._dynamo.utils
used = sys.modules["torchvision.ops.roi_align"]
real = torch._dynamo.utils.is_compile_supported
print(used.is_compile_supported("cpu") == real("cpu"), torch._dynamo.disable.__module__)
"""


def printed(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.split()


def test_a_network_is_built_and_asked_without_the_compiler_which_then_works():
    assert printed(BUILD + AFTERWARDS) == ["False", "True", "torch._dynamo.decorators"]


def test_whatever_else_is_asked_loads_the_compiler():
    code = """
import sys
from roadanomaly.late_compiler import late_compiler
import torch
with late_compiler():
    import torch._dynamo
    print(callable(sys.modules["torch._dynamo"].optimize))
import torch._dynamo
print(torch._dynamo.optimize.__module__.startswith("torch._dynamo"))
"""
    assert printed(code) == ["True", "True"]
