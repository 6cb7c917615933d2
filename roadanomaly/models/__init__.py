"""Trained models that come with the package, a folder each; this file only finds them.

A folder with a `model.json` is a model, and its name is the model's: nothing is registered.
`roadanomaly pack` writes such folders.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from roadanomaly.errors import DataError, nearest
from roadanomaly.hub import fetch, is_on_hub
from roadanomaly.model_folder import is_model, place_of, require_no_export

ROOT = Path(__file__).parent
DEFAULT = "default"
"""The model that is taken where none is named."""


def names() -> list[str]:
    """Return the names of the models that this installation carries, the default one first."""
    found = sorted(path.name for path in ROOT.iterdir() if is_model(path))
    return sorted(found, key=lambda name: name != DEFAULT)


def folders() -> Iterator[tuple[str, Path]]:
    """Yield name and folder of each model, the default one first."""
    for name in names():
        yield name, ROOT / name


def folder_of(model: str | Path) -> Path:
    """Return where a model lies, however it is named; one of the hub is fetched.

    Args:
        model: folder of a saved model or of a run, which wins over a name; a name in the package;
            or `hf:owner/name`.

    Raises:
        DataError: it is none of these; names the models that there are. Or the hub has no such
            model, or cannot be reached.
        MissingExtra: a model of the hub, and the extra `hub` is not installed.
    """
    if is_on_hub(model):
        return fetch(str(model))
    place = place_of(Path(model))
    if is_model(place):
        return place
    known = names()
    if str(model) in known:
        return ROOT / model
    require_no_export(place)
    if str(model) == DEFAULT:
        others = f"only {', '.join(known)}" if known else "nor any other"
        msg = (
            f"this installation of roadanomaly carries no model `{DEFAULT}`, which is taken where "
            f"none is named, {others}. Name a model by its folder, which `roadanomaly train` or "
            "`Model.save` wrote."
        )
        raise DataError(msg)
    hint = (
        nearest(str(model), known)
        if known
        else "this installation of roadanomaly carries no model of its own"
    )
    reason = "model.json is missing" if place.is_dir() else "there is no such folder"
    msg = (
        f"no model at {place}: {reason}. Give the folder that `roadanomaly train` or "
        f"`Model.save` wrote, or the name of a model that comes with the package ({hint})."
    )
    raise DataError(msg)


__all__ = ["DEFAULT", "folder_of", "folders", "names"]
