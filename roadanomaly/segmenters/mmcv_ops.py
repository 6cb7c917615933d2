"""Stands in for mmcv's compiled operations, so that mmsegmentation runs without a compiler.

Most networks of mmsegmentation import operations of `mmcv.ops` that they never call. `mmcv-lite`
comes without the compiled module and its import fails; with this module in its place the import
works, and an operation that is really called says what is missing.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any, NoReturn

from roadanomaly.errors import MissingExtra

NAME = "mmcv.ops"


class _Operation:
    """An operation that is not there; a class, since some are inherited from."""

    def __init__(self, *values: Any, **options: Any) -> NoReturn:
        msg = (
            f"this network calls mmcv's compiled operation {type(self).__name__}, which mmcv-lite "
            "does not have: install the full mmcv 2.1.0 in place of mmcv-lite "
            "(https://mmcv.readthedocs.io, section Installation), or take another network."
        )
        raise MissingExtra(msg)


class _Operations(ModuleType):
    """A module in which every name is an operation that is not there."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        operation = type(name, (_Operation,), {"__module__": NAME})
        setattr(self, name, operation)
        return operation


def stand_in_for_compiled_operations() -> None:
    """Put the stand-in where mmcv has no compiled operations; where it has them, use those."""
    if NAME not in sys.modules and importlib.util.find_spec("mmcv._ext") is None:
        sys.modules[NAME] = _Operations(NAME)
