"""Text of a config file, parsed as YAML, or said what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml

from roadanomaly.errors import OptionError

T = TypeVar("T")


def parsed_config(path: Path, parse: Callable[[str], T], hint: str) -> T:
    """Return what `parse` makes of a config file's text.

    Args:
        path: of the file, UTF-8.
        parse: reads YAML, as `yaml.safe_load` does.
        hint: what to name in the file's place where it cannot be read, a sentence.

    Raises:
        OptionError: the file cannot be read, or is not YAML.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"the config {path} cannot be read: {error.strerror}. {hint}"
        raise OptionError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"the config {path} is not valid YAML: {' '.join(str(error).split())}"
        raise OptionError(msg) from error
