"""What a saved model's description may hold: values of the right kinds, and nothing that runs code.

A description comes from whoever handed the folder on, so it names no file of weights and no
program, and every value is looked at before a network is built from it. The one exception is the
SAM of the refiner `segments`, which is named and not saved; transformers reads it as data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from roadanomaly.calibration import WAYS
from roadanomaly.errors import DataError
from roadanomaly.model_folder import place_of, read_description

WEIGHTS = "weights.safetensors"
FOREIGN = ("encoder_weights", "run", "start", "weights")
"""Options that name weights beside the model's own; those of a saved model are None or "none"."""


def read_saved(folder: str | Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """Read what `Model.save` wrote; a run folder works too.

    Returns:
        where it lies; its description, checked, in the format that it has; its weights by name,
        those in half precision as float32.

    Raises:
        DataError: no model there, or a broken one.
    """
    path = place_of(Path(folder))
    try:
        description = read_description(path / "model.json")
        weights = load_file(path / WEIGHTS, device="cpu")
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(error.filename or WEIGHTS).name  # safetensors does not say which file
        msg = (
            f"no model at {path}: {missing} is missing. Give the folder that `roadanomaly train` "
            "or `Model.save` wrote."
        )
        raise DataError(msg) from error
    except (ValueError, SafetensorError, OSError) as error:
        msg = f"the model at {path} is broken: {error}. Save it again, or use an older one."
        raise DataError(msg) from error
    check_model(description, path)
    require_finite(weights, path)
    return path, description, {name: _widened(one) for name, one in weights.items()}


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def check_model(description: Mapping[str, Any], path: Path) -> None:
    """Refuse a description with a value that no version of this program wrote.

    Keys that are not known here are passed over.

    Args:
        description: of a model, `model.json`.
        path: of its folder, for the message.

    Raises:
        DataError: names the key, its value and what it may be.
    """
    for key, wrong in _faults(description):
        msg = (
            f"the model at {path} cannot be used: in its description `{key}` {wrong}. Save it "
            "again, or use an older one."
        )
        raise DataError(msg)


def require_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that are no numbers, as a training that diverged leaves them.

    Args:
        weights: by name.
        path: where they lie, for the message.

    Raises:
        DataError: names the first of them, and how many values are not finite.
    """
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            msg = (
                f"the weights at {path} are not finite: {bad} of {tensor.numel()} values of {name} "
                "are NaN or infinite, so every score would be worthless. The training diverged; "
                "use an earlier checkpoint, or train again with a lower rate."
            )
            raise DataError(msg)


def _faults(description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in ("segmenter", "detector"):
        if part in description:
            yield from _part_faults(part, description[part])
    refiners = description.get("refiners", [])
    if not isinstance(refiners, list):
        yield "refiners", f"is {_short(refiners)}, not a list"
        return
    for number, refiner in enumerate(refiners):
        yield from _part_faults(f"refiners.{number}", refiner)
    for part in ("segmenter", "detector", "refiners"):
        for place, network in _networks_in(part, description.get(part, {})):
            yield from _part_faults(place, network)
    if not _is_whole(description.get("min_area", 0)) or description.get("min_area", 0) < 0:
        yield "min_area", f"is {_short(description['min_area'])}, not a whole number from 0"
    for key in ("segmenter_learned_from", "detector_trained_on"):
        if not isinstance(description.get(key), (str, type(None))):
            yield key, f"is {_short(description[key])}, not a word"
    figures = description.get("figures", {})
    if not is_figures(figures):
        yield "figures", f"is {_short(figures)}, not a set's name to named numbers"
    calibration = description.get("calibration")
    if isinstance(calibration, dict):
        yield from _calibration_faults(calibration)
    elif calibration is not None:
        yield "calibration", f"is {_short(calibration)}, not an object"


def is_figures(value: Any) -> bool:
    """Return whether a value is measured figures: set name to figure name to finite number."""
    return isinstance(value, dict) and all(
        isinstance(found, dict) and _is_list(list(found.values()), float)
        for found in value.values()
    )


def _part_faults(place: str, part: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(part, dict) or not isinstance(part.get("name"), str):
        yield place, f"is {_short(part)}, not an object with a `name`"
        return
    name = part["name"]
    if place.endswith("segmenter") and name == "mmseg" and not isinstance(part.get("config"), dict):
        yield (
            f"{place}.config",
            f"is {_short(part.get('config'))}: a config file is a program, which loading never "
            "runs; only the dictionary that was saved is taken",
        )
    if name == "torchscript" and not re.fullmatch(r"[0-9a-f]{64}", str(part.get("sha256"))):
        yield f"{place}.sha256", "is missing: a TorchScript file is a program, known by its hash"
    classes = part.get("classes")
    if classes is not None and not _is_list(classes, str):
        yield f"{place}.classes", f"is {_short(classes)}, not a list of words"
    yield from _foreign_files(place, part)


def _networks_in(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Find networks that are described inside a part, as that of `sliding` or of an ensemble."""
    named = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in named:
        if key == "segmenter":
            yield f"{place}.{key}", one
        if isinstance(one, (dict, list)):
            yield from _networks_in(f"{place}.{key}", one)


def _foreign_files(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Find weights that would be read or fetched from elsewhere: a saved model holds its own."""
    if isinstance(value, dict):
        hub = ("model",) if value.get("name") == "transformers" else ()
        for key, one in value.items():
            if key in (*FOREIGN, *hub) and one not in (None, "none"):
                yield f"{place}.{key}", f"names a file, {_short(one)}; a saved model holds its own"
            yield from _foreign_files(f"{place}.{key}", one)
    elif isinstance(value, list):
        for one in value:
            yield from _foreign_files(place, one)


def _calibration_faults(held: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rates, scores = held.get("rates"), held.get("scores")
    for key, values in (("rates", rates), ("scores", scores)):
        if not _is_list(values, float) or not values:
            yield f"calibration.{key}", f"is {_short(values)}, not a list of finite numbers"
            return
    assert rates is not None
    assert scores is not None
    rising = list(rates) == sorted(rates) and rates[0] > 0 and rates[-1] <= 1
    if not rising or len(rates) != len(scores):
        yield "calibration.rates", "does not rise within 0..1, with a score for each"
    if any(b > a + 1e-6 * max(1.0, abs(a)) for a, b in pairwise(scores)):
        yield "calibration.scores", "rises, where it must fall"
    if not _is_number(held.get("rate")) or not 0 < held["rate"] <= 1:
        yield "calibration.rate", f"is {_short(held.get('rate'))}, not a number within 0..1"
    if not _is_whole(held.get("pixels")) or held["pixels"] < 1:
        yield "calibration.pixels", f"is {_short(held.get('pixels'))}, not a whole number from 1"
    if held.get("way", "rate") not in tuple(WAYS):
        yield "calibration.way", f"is {_short(held['way'])}, and not one of {', '.join(WAYS)}"
    named = held.get("sensitivities", {})
    if not isinstance(named, dict) or not _is_list(list(named.values()), float):
        yield "calibration.sensitivities", f"is {_short(named)}, not names with finite numbers"
    if held.get("f1_threshold") is not None and not _is_number(held["f1_threshold"]):
        yield "calibration.f1_threshold", f"is {_short(held['f1_threshold'])}, not a number"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_list(value: Any, kind: type) -> bool:
    fits = _is_number if kind is float else lambda one: isinstance(one, kind)
    return isinstance(value, (list, tuple)) and all(map(fits, value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
