"""Weights, names and normalisation of networks that Hugging Face transformers made or saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
from safetensors import SafetensorError
from transformers.utils.hub import cached_file

from roadanomaly.errors import DataError, OptionError

Triple = tuple[float, float, float]

IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def fresh_config(kind: str, given: dict[str, Any]) -> Any:
    """Return the config of a fresh network of a kind.

    Raises:
        OptionError: transformers refuses it.
    """
    try:
        return transformers.AutoConfig.for_model(kind, **given)
    except Exception as error:  # its checks raise errors of many libraries
        msg = f"transformers refuses the config of {kind}: {_first_line(error)}"
        raise OptionError(msg) from error


def make_network(auto: Any, settings: Any) -> Any:
    """Build a fresh network.

    Raises:
        OptionError: the settings do not fit together.
    """
    try:
        return auto.from_config(settings).float()
    except (ValueError, TypeError, RuntimeError, KeyError, ZeroDivisionError) as error:
        msg = f"transformers cannot build this {settings.model_type}: {_first_line(error)}"
        raise OptionError(msg) from error


def read_config(model: str) -> Any:
    """Read the config of a saved network: a folder, or a name on the hub.

    Raises:
        DataError: there is none.
    """
    try:
        return transformers.AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise _unreachable(model, error) from error


def load_network(auto: Any, model: str, settings: Any, new_classifier: bool) -> Any:
    """Load a saved network.

    Raises:
        DataError: it is missing or does not fit.
    """
    try:
        network = auto.from_pretrained(
            model, config=settings, ignore_mismatched_sizes=new_classifier
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _unreachable(model, error) from error
    return network.float()


def _unreachable(model: str, error: Exception) -> DataError:
    msg = (
        f"the model {model!r} cannot be loaded ({_first_line(error)}). Give a folder that holds "
        "config.json and model.safetensors, or a name on the hub and a connection to it."
    )
    return DataError(msg)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def own_names(settings: Any) -> tuple[str, ...]:
    """Return the names of the classes that a config carries."""
    return tuple(settings.id2label[index] for index in range(settings.num_labels))


def normalisation(model: str | None) -> tuple[Triple, Triple]:
    """Return mean and standard deviation out of the model's preprocessor file."""
    if model is None:
        return IMAGENET
    try:
        path = cached_file(model, "preprocessor_config.json")
    except OSError:
        return IMAGENET
    known = json.loads(Path(path).read_text()) if path else {}
    if not known.get("do_normalize", True):
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    mean, std = known.get("image_mean", IMAGENET[0]), known.get("image_std", IMAGENET[1])
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
