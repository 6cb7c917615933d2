"""`roadanomaly list`: what can be named in a config, with its options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from inspect import Parameter

from roadanomaly.catalogue import Catalogue
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.data import DATASETS
from roadanomaly.detectors import DETECTORS
from roadanomaly.encoders import ENCODERS
from roadanomaly.errors import MissingExtra, OptionError, nearest
from roadanomaly.flows import FLOWS
from roadanomaly.generators import GENERATORS
from roadanomaly.negatives import NEGATIVES
from roadanomaly.published import PUBLISHED
from roadanomaly.segmenters import SEGMENTERS

CATALOGUES: dict[str, Catalogue] = {
    "segmenters": SEGMENTERS,
    "detectors": DETECTORS,
    "negatives": NEGATIVES,
    "flows": FLOWS,
    "generators": GENERATORS,
    "encoders": ENCODERS,
    "data": DATASETS,
}
EXAMPLES = """
roadanomaly list
roadanomaly list detectors
roadanomaly list published
"""
PUBLISHED_LIST = "published"


def run(arguments: Sequence[str]) -> None:
    """Print the catalogues, or one of them."""
    titles = [*CATALOGUES, PUBLISHED_LIST]
    parser = new_parser("list", __doc__ or "", EXAMPLES)
    parser.add_argument("what", nargs="?", default=None, help=", ".join(titles))
    what = parse(parser, arguments).what
    if what is not None and what not in titles:
        msg = f"there is no list of {what!r}; {nearest(what, titles)}"
        raise OptionError(msg)
    for title in [what] if what else titles:
        text = describe(CATALOGUES[title]) if title in CATALOGUES else describe_published()
        sys.stdout.write(f"{title}\n{text}\n")


def describe_published() -> str:
    """Return a paragraph for each published checkpoint: what it is and where it comes from."""
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


def describe(catalogue: Catalogue) -> str:
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
