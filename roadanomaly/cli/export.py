"""`roadanomaly export`: write what others read; each kind has its own page of options."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from roadanomaly.errors import OptionError, nearest

KINDS = {
    "model": ("export_model", "a model as one graph for onnxruntime, openvino or libtorch"),
    "submission": ("export_submission", "the files that a benchmark accepts, checked and packed"),
}


def run(arguments: Sequence[str]) -> None:
    """Find what is to be exported.

    Raises:
        OptionError: nothing of that kind is exported.
    """
    lines = "\n".join(f"  {name}  {text}" for name, (_, text) in KINDS.items())
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(
            f"usage: roadanomaly export KIND ...\n\nkinds:\n{lines}\n\n"
            "`roadanomaly export KIND --help` shows options with examples.\n"
        )
        sys.exit(0 if arguments else 2)
    if arguments[0] not in KINDS:
        msg = f"{arguments[0]!r} cannot be exported; {nearest(arguments[0], KINDS)}"
        raise OptionError(msg)
    module, _ = KINDS[arguments[0]]
    importlib.import_module(f"roadanomaly.cli.{module}").run(arguments[1:])
