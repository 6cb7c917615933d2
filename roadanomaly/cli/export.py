"""`roadanomaly export`: files for others to use; each kind has its own page of options."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from roadanomaly.errors import OptionError, nearest

ACTIONS: dict[str, str] = {
    "submission": "the files that a benchmark accepts, checked, proven and packed",
}
"""What can be exported; `cli/export_<name>.py` holds each."""


def usage() -> str:
    """Return the page that `roadanomaly export --help` shows."""
    width = max(map(len, ACTIONS))
    lines = "\n".join(f"  {name:<{width}}  {text}" for name, text in ACTIONS.items())
    return (
        f"usage: roadanomaly export WHAT ...\n\n{__doc__}\n\nwhat:\n{lines}\n\n"
        "examples:\n  roadanomaly export submission --help\n"
    )


def run(arguments: Sequence[str]) -> None:
    """Run one export.

    Raises:
        OptionError: nothing or something unknown is to be exported.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        sys.exit(0)
    name = arguments[0] if arguments else ""
    if name not in ACTIONS:
        what = f"`export {name}` is unknown" if name else "say what to export"
        msg = f"{what}; {nearest(name, ACTIONS)} (`roadanomaly export --help`)"
        raise OptionError(msg)
    importlib.import_module(f"roadanomaly.cli.export_{name}").run(arguments[1:])
