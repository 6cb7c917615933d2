"""Find and read weight files: no code runs from them, and every mismatch is named."""

from __future__ import annotations

import glob
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from roadanomaly.catalogue import called
from roadanomaly.errors import ClassesError, DataError
from roadanomaly.files import expanded

ROOT_VARIABLE = "ROADANOMALY_DATA"
"""Environment variable that names the data root; weights lie under its folder `weights`."""

NESTINGS = ("state_dict", "model_state_dict", "model", "network")
"""Keys under which training programs keep the state dict."""

WRAPPERS = ("module.", "_orig_mod.")
"""What data parallelism and compilation put before every name."""

MOST_REPLACED = 100
"""Classes of a checkpoint that are read as nothing, at most."""

SHOWN = 4
"""Names that a message lists before it only counts."""


def weight_folders() -> list[Path]:
    """Return the folders that are searched for weights, whether they exist or not."""
    root = os.environ.get(ROOT_VARIABLE)
    folders = [Path(root) / "weights"] if root else []
    return [*folders, Path("datasets") / "weights"]


def find_weights(weights: str | Path) -> Path:
    """Return the file that `weights` names.

    Args:
        weights: a path, from here or from a weights folder; or a file's name alone, which is
            sought in the weights folders and at any depth below them.

    Raises:
        DataError: no such file, or several of that name; lists the places.
    """
    given, folders = expanded(weights), weight_folders()
    alone = given.name == str(weights)
    try:
        if given.is_file():
            return given
        found = next(filter(None, (_below(one, given, alone) for one in folders)), [])
    except (OSError, ValueError, NotImplementedError):  # no name of a file
        found = []
    if len(found) > 1:
        places = ", ".join(str(path) for path in found)
        msg = f"several weight files are called {given.name}: {places}. Give the whole path."
        raise DataError(msg)
    if found:
        return found[0]
    raise DataError(_not_found(weights, folders, alone))


def _below(folder: Path, given: Path, alone: bool) -> list[Path]:
    """Return the files of a weights folder that a path or a name alone means."""
    named = folder.rglob(glob.escape(given.name)) if alone else [folder / given]
    return sorted(path for path in named if path.is_file())


def _not_found(weights: str | Path, folders: list[Path], alone: bool) -> str:
    hint = "" if os.environ.get(ROOT_VARIABLE) else f" {ROOT_VARIABLE}, the data root, is not set."
    places = ", ".join(f"{folder}/**" for folder in folders)
    if alone:
        advice = f"looked here and in {places}.{hint} Check the name, or put the file there."
    else:
        advice = (
            f"looked there and from {', '.join(map(str, folders))}. Check the path; a file's name "
            f"alone is sought in {places}.{hint}"
        )
    return f"no weight file {str(weights)!r}; {advice}"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict on the CPU, without running code from the file.

    Args:
        path: `.safetensors`, or anything that `torch.save` wrote.

    Returns:
        names to tensors, taken out of common nestings and wrappers.

    Raises:
        DataError: the file is truncated, is no weight file, or holds no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = _load_without_code(path)
    except (
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).split("\n")[0].split(". ")[0]
        msg = (
            f"the weight file {path} ({_size(path)}) cannot be read ({type(error).__name__}: "
            f"{reason}). It is truncated, or is no state dict of tensors: fetch it again, or "
            f"save it anew with torch.save(model.state_dict(), path)."
        )
        raise DataError(msg) from error
    return _unwrap(content, path)


def load_network(segmenter: nn.Module, weights: str | Path, left_out: tuple[str, ...] = ()) -> None:
    """Load a segmenter's file, or that of its `network` alone, as the network's library saves it.

    Args:
        segmenter: whose part `network` is a module of another library.
        weights: as `find_weights` takes them.
        left_out: how names in the library's file begin that are of no use here.

    Raises:
        DataError: the file cannot be found or read, or does not fit.
    """
    path = find_weights(weights)
    state = read_weights(path)
    if any(name.startswith("network.") for name in state):
        load_strictly(segmenter, state, path)
        return
    kept = {name: one for name, one in state.items() if not name.startswith(left_out)}
    network = segmenter.get_submodule("network")
    load_strictly(network, kept, path)


class Inert(list[Any]):
    """Stands for whatever a file holds beside tensors: it takes anything and does nothing."""

    def __init__(self, *values: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        """Forget what the file says of it."""


def _no_entries(*values: object) -> dict[Any, Any]:
    """Stand for a kind of dictionary, such as `collections.defaultdict`."""
    return {}


def _load_without_code(path: Path) -> Any:
    """Read what `torch.save` wrote, zip or old format, with PyTorch's restricted unpickler.

    It stops at a class or function that it does not know, which the checkpoints of training
    programs are full of (counters, argument lists, NumPy numbers). Each is named in its message;
    an `Inert` is put in its place and the file read again, so that the tensors beside it are had
    and nothing of the file is run.
    """
    replaced: dict[str, tuple[Any, str]] = {}
    while True:
        try:
            with torch.serialization.safe_globals(list(replaced.values())):
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            named = re.search(r"GLOBAL ([\w.]+)", str(error))
            if named is None or named[1] in replaced or len(replaced) >= MOST_REPLACED:
                raise
            name = named[1] if "." in named[1] else f"builtins.{named[1]}"
            replaced[named[1]] = (_no_entries if "dict" in name.lower() else Inert, name)


def _size(path: Path) -> str:
    return f"{path.stat().st_size:,} bytes" if path.exists() else "missing"


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    state = content
    while isinstance(state, Mapping):
        inner = next((state[k] for k in NESTINGS if isinstance(state.get(k), Mapping)), None)
        if inner is None:
            break
        state = inner
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(value, Tensor) for value in state.values())
    ):
        held = type(content).__name__
        if isinstance(content, Mapping):
            held += " with the keys " + some_of([str(key) for key in content])
        msg = (
            f"the weight file {path} holds no state dict, but a {held}; expected names mapped to "
            f"tensors, at the top or under one of {', '.join(NESTINGS)}."
        )
        raise DataError(msg)
    return _without_wrappers(dict(state))


def _without_wrappers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what stands before every name, in whatever order it was put on."""
    for prefix in WRAPPERS:
        if all(name.startswith(prefix) for name in state):
            return _without_wrappers({k.removeprefix(prefix): one for k, one in state.items()})
    return state


def some_of(names: list[str]) -> str:
    """Return the first few names and how many more there are."""
    if not names:
        return "none"
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict whose names and shapes must be the network's.

    Raises:
        ClassesError: the file was made for another number of classes.
        DataError: lists missing and unknown names and shapes that differ; the network is then
            left as it was.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in state]
    unknown = [name for name in state if name not in own]
    differing = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if differing and not missing and not unknown:
        _refuse_other_classes(network, own, state, path)
    if missing or unknown or differing:
        msg = (
            f"the weights in {path} do not fit `{called(network)}`: "
            f"missing: {some_of(missing)}; unknown: {some_of(unknown)}; "
            f"of another shape: {some_of(differing)}. "
            f"Build the network with the options that the file was made with."
        )
        raise DataError(msg)
    network.load_state_dict(dict(state), strict=True)


def _refuse_other_classes(
    network: nn.Module, own: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path
) -> None:
    """Refuse weights that differ in the number of outputs alone.

    Raises:
        ClassesError: names both numbers.
    """
    pairs = {
        (own[name].shape[:1], state[name].shape[:1])
        for name in own
        if own[name].shape != state[name].shape
    }
    rest = all(own[name].shape[1:] == state[name].shape[1:] for name in own)
    if rest and len(pairs) == 1:
        ((wanted, found),) = pairs
        msg = (
            f"the weights in {path} are for {found[0]} classes and `{called(network)}` was "
            f"built for {wanted[0]}: give the `classes` that the file was made with, in its order."
        )
        raise ClassesError(msg)
