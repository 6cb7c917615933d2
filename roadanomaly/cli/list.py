"""`roadanomaly list`: what can be named in a config, with its options."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from inspect import Parameter
from typing import Any

from roadanomaly.calibration import WAYS
from roadanomaly.catalogue import Catalogue
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.errors import MissingExtra, OptionError, nearest
from roadanomaly.files import in_words
from roadanomaly.model_folder import read_description
from roadanomaly.models import folders

CATALOGUES = {
    "segmenters": "SEGMENTERS",
    "detectors": "DETECTORS",
    "negatives": "NEGATIVES",
    "refiners": "REFINERS",
    "flows": "FLOWS",
    "generators": "GENERATORS",
    "encoders": "ENCODERS",
    "data": "DATASETS",
}
"""Packages of the program to their catalogues, which are imported when they are shown."""
EXAMPLES = """
roadanomaly list
roadanomaly list detectors
roadanomaly list models
roadanomaly list published
"""
MODELS_LIST, PUBLISHED_LIST = "models", "published"


def run(arguments: Sequence[str]) -> None:
    """Print the catalogues, or one of them."""
    further = {MODELS_LIST: describe_models, PUBLISHED_LIST: describe_published}
    titles = [*CATALOGUES, *further]
    parser = new_parser("list", __doc__ or "", EXAMPLES)
    parser.add_argument("what", nargs="?", default=None, help=", ".join(titles))
    what = parse(parser, arguments).what
    if what is not None and what not in titles:
        msg = f"there is no list of {what!r}; {nearest(what, titles)}"
        raise OptionError(msg)
    for title in [what] if what else titles:
        text = describe(catalogue_of(title)) if title in CATALOGUES else further[title]()
        sys.stdout.write(f"{title}\n{text}\n")


def catalogue_of(title: str) -> Catalogue[Any]:
    """Import a catalogue of `CATALOGUES`, and with it PyTorch."""
    return getattr(importlib.import_module(f"roadanomaly.{title}"), CATALOGUES[title])


def describe_models() -> str:
    """Return a paragraph for each model that comes with the package."""
    lines = []
    for name, folder in folders():
        held = read_description(folder / "model.json")
        calibration = held["calibration"]
        lines.append(f"  {name} ({held['detector']['name']} on {held['segmenter']['name']})")
        lines.append(f"      size: {in_words(sum(one.stat().st_size for one in folder.iterdir()))}")
        lines.append(f"      threshold: {_threshold(calibration) if calibration else 'none'}")
        for known, found in held.get("figures", {}).items():
            told = ", ".join(f"{figure} {value:g}" for figure, value in found.items())
            lines.append(f"      on {known}: {told}")
    return "\n".join(lines or ["  this installation carries no model of its own"]) + "\n"


def _threshold(calibration: dict[str, Any]) -> str:
    named = ", ".join(calibration.get("sensitivities", {}))
    return (
        f"by {WAYS[calibration['way']]} {calibration['rate']:g} of the inlier pixels of "
        f"{calibration['data']}{f'; sensitivities: {named}' if named else ''}"
    )


def describe_published() -> str:
    """Return a paragraph for each published checkpoint: what it is and where it comes from."""
    from roadanomaly.published import PUBLISHED

    lines = []
    for name, known in PUBLISHED.items():
        lines.append(f"  {name} ({known.detector} on {known.segmenter})")
        lines.append(f"      source: {known.source}")
        lines.append(f"      licence: {known.licence}")
        lines.append(f"      trained on: {known.trained_on}")
        lines.append(f"      SHA-256: {known.sha256 or 'not known'}")
        if known.figures:
            lines.append(f"      published: {known.figures}")
    return "\n".join(lines) + "\n"


def describe(catalogue: Catalogue[Any]) -> str:
    """Return a paragraph for each entry: name, summary, options with their defaults."""
    lines = []
    for name in catalogue:
        try:
            catalogue.get(name)
        except MissingExtra as error:
            lines += [f"  {name}", f"      {error}"]
            continue
        kind = getattr(catalogue.get(name), "kind", None)
        lines.append(f"  {name}" + (f" ({kind})" if kind else ""))
        lines.append(f"      {catalogue.summary(name)}")
        options = [_option(one) for one in catalogue.options(name).values()]
        if options:
            lines.append(f"      options: {', '.join(options)}")
        look = getattr(catalogue.get(name), "usual", None)
        if look is not None:
            values = [f"{key}={value!r}" for key, value in vars(look).items()]
            lines.append(f"      options of look: {', '.join(values)}")
    return "\n".join(lines) + "\n"


def _option(parameter: Parameter) -> str:
    if parameter.default is parameter.empty:
        return f"{parameter.name} (required)"
    text = repr(parameter.default)
    return f"{parameter.name}={text if len(text) < 40 else '...'}"
