"""Lightning Fabric, imported without torchmetrics, of which it reads the version alone.

Where torchmetrics is installed, Fabric imports all of it for that one number, and with it SciPy's
signal processing and transformers, for which every start of a training would wait.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType


@contextmanager
def only_its_version(package: str) -> Iterator[None]:
    """Let imports in the block find of a package its `__version__` and nothing else.

    Does nothing where the package is imported already, or not installed.
    """
    try:
        stand_in = ModuleType(package)
        stand_in.__dict__["__version__"] = version(package)
    except PackageNotFoundError:
        yield
        return
    if package in sys.modules:
        yield
        return
    sys.modules[package] = stand_in
    try:
        yield
    finally:
        del sys.modules[package]


with only_its_version("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.plugins.precision import Precision
    from lightning_fabric.wrappers import _FabricOptimizer as FabricOptimizer

__all__ = ["Fabric", "FabricOptimizer", "Precision", "TorchElasticEnvironment"]
