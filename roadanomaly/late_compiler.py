"""Import networks of torchvision without torch's compiler, which they seldom need.

`torchvision.ops` imports `torch._dynamo` for one function that it calls in deterministic mode on a
GPU, and timm to keep a function out of compiled graphs. That import takes as long as `import
torch`, and a command that judges one picture waits for it. While a block runs, a stand-in with
these two names takes its place; whatever else is asked of it loads the compiler after all.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

PACKAGE = "torch._dynamo"
UTILS = f"{PACKAGE}.utils"


class _StandIn(ModuleType):
    """Loads the module that it stands for when something is asked of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _leave()
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def late_compiler() -> Iterator[None]:
    """Let imports in the block go without torch's compiler; it loads when it is first used."""
    if PACKAGE in sys.modules:
        yield
        return
    package, utils = _StandIn(PACKAGE), _StandIn(UTILS)
    package.__path__ = []
    package.__dict__["disable"] = _disable
    utils.__dict__["is_compile_supported"] = _is_compile_supported
    sys.modules |= {PACKAGE: package, UTILS: utils}
    try:
        yield
    finally:
        _leave()


def _leave() -> None:
    for name in (PACKAGE, UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _disable(
    function: Callable[..., Any], recursive: bool = True, **options: Any
) -> Callable[..., Any]:
    """Keep a function out of compiled graphs once there is a compiler."""

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        compiler = sys.modules.get(PACKAGE)
        if compiler is None or isinstance(compiler, _StandIn):
            return function(*arguments, **named)
        return compiler.disable(function, recursive, **options)(*arguments, **named)

    return called


def _is_compile_supported(device: str) -> bool:
    """Ask torch's own function."""
    return importlib.import_module(UTILS).is_compile_supported(device)
