"""What a process frees stays with it, where glibc is and nobody has set the heap up."""

import os
import platform
import subprocess
import sys

import pytest

from roadanomaly.heap import SET_OUTSIDE

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="keep_freed needs glibc, and this system has another"
)

BLOCK = 100_000_000
"""Bytes; beyond what glibc ever keeps by itself."""

PROGRAM = f"""
import ctypes, resource
from roadanomaly.heap import keep_freed

changed = keep_freed()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
faults = []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = ctypes.c_void_p(library.malloc(ctypes.c_size_t({BLOCK})))
    ctypes.memset(block, 1, {BLOCK})
    library.free(block)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(changed, *faults)
"""
"""Says whether the heap was set up, and the page faults of three rounds of one large block each."""


def rounds(**variables: str) -> tuple[str, list[int]]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(SET_OUTSIDE)}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    changed, *faults = ran.stdout.split()
    return changed, [int(one) for one in faults]


def test_a_block_is_paged_in_once():
    changed, (first, *later) = rounds()
    assert changed == "True"
    assert first > 20 * max(*later, 1)


@pytest.mark.parametrize(
    "variable", [{"MALLOC_PERTURB_": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.perturb=0"}]
)
def test_a_heap_that_is_set_up_outside_is_left_alone(variable):
    changed, (first, *later) = rounds(**variable)
    assert changed == "False"
    assert min(later) > first / 2
