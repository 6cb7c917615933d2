"""Commands that start a run from a config file: read it with overrides, run it, stop in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from jsonargparse import ArgumentParser

from roadanomaly.cli.config_files import config_words
from roadanomaly.cli.parsing import DEVICES, parse
from roadanomaly.cli.recipes import RECIPES
from roadanomaly.errors import OptionError
from roadanomaly.formats import upgrade_recipe
from roadanomaly.locks import holding
from roadanomaly.training.run_config import RunConfig
from roadanomaly.training.values import refuse_blank

C = TypeVar("C", bound=RunConfig)


def start(config: RunConfig, *, resume: bool, command: Sequence[str]) -> None:
    """Run a config to its end, with its folder held.

    Args:
        config: what to run.
        resume: whether to go on from the last checkpoint.
        command: words of the command line.

    Raises:
        UserError: another process runs in that folder.
        KeyboardInterrupt: it was asked to stop; says how to go on.
    """
    with holding(Path(config.out), command):
        carry_out(config, resume=resume)


def carry_out(config: RunConfig, *, resume: bool) -> None:
    """Run a config to its end; whoever calls holds its folder.

    Args:
        config: what to run.
        resume: whether to go on from the last checkpoint.

    Raises:
        KeyboardInterrupt: it was asked to stop; says how to go on.
    """
    from roadanomaly.training.loop import Interrupted, Trainer

    try:
        Trainer(config, resume=resume).run()
    except Interrupted as stop:
        raise KeyboardInterrupt(str(stop)) from stop


def read_run(parser: ArgumentParser, kind: type[C], arguments: Sequence[str]) -> tuple[C, bool]:
    """Return the config that a command line describes, and whether to resume.

    Raises:
        OptionError: no config, an unknown key or option, or a value out of range.
    """
    return parse_run(add_keys(parser, kind), kind, arguments)


def add_keys(parser: ArgumentParser, kind: type[RunConfig]) -> ArgumentParser:
    """Let a parser take a config file and every key of a kind of config; return it."""
    parser.usage = f"{parser.prog} CONFIG [--KEY VALUE ...] [--resume]"
    parser.add_argument("--config", action="config", help="YAML file; the same as CONFIG")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument("--device", default=None, help="same as --accelerator: " + DEVICES)
    parser.add_class_arguments(kind)
    return parser


def parse_run(parser: ArgumentParser, kind: type[C], arguments: Sequence[str]) -> tuple[C, bool]:
    """Return what `read_run` does, by a parser that `add_keys` has made ready.

    Raises:
        OptionError: as `read_run` says.
    """
    names = [field.name for field in fields(kind)]
    if not arguments:
        msg = f"give a config file; the recipes are in {RECIPES}. `--help` shows examples."
        raise OptionError(msg)
    command = parser.prog.removeprefix("roadanomaly ")
    parsed = parse(parser, config_words(arguments, command, kind))
    values = {name: getattr(parsed, name) for name in names}
    refuse_blank(kind, values, "config")
    if parsed.device:
        values["accelerator"] = parsed.device
    if "refiners" in values:
        values = upgrade_recipe(values)
    return kind(**values), bool(parsed.resume)
