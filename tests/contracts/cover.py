"""Which pairs of segmenter and detector are tried, where all of them would be too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from roadanomaly.detectors import DETECTORS
from tests.contracts.built import kind_of
from tests.contracts.tiny import NETWORKS

TWICE = 2
"""How many networks every detector meets at least."""

Pair = tuple[str, str]


def family(detector: str) -> tuple[str, str]:
    """Return a detector's room and kind: `("density", "fit")`."""
    return DETECTORS.get(detector).__module__.split(".")[2], kind_of(detector)


FIRST = set({family(name): name for name in reversed(list(DETECTORS))}.values())
"""The first detector of each family: `make test-fast` tries these alone where a try takes long."""


def firsts_fast(names: Iterable[str]) -> list[Any]:
    """Return detectors as parameters; those that are not the first of their family are slow."""
    return [pytest.param(name, marks=[] if name in FIRST else [pytest.mark.slow]) for name in names]


def networks_fast(names: Iterable[str]) -> list[Any]:
    """Return networks as parameters; the second of an adapter that answers alike is slow."""
    first = {(NETWORKS[one].name, NETWORKS[one].masks): one for one in reversed(list(NETWORKS))}
    kept = set(first.values())
    return [pytest.param(name, marks=[] if name in kept else [pytest.mark.slow]) for name in names]


def role(network: str, detector: str) -> tuple[str, str]:
    """Return a detector's kind and what it reads of a network: masks, evidence or logits."""
    kind = DETECTORS.get(detector)
    if not NETWORKS[network].masks:
        return kind_of(detector), "logits"
    return kind_of(detector), "masks" if "masks" in kind.accepts else "evidence"


def chosen_pairs(pairs: Sequence[Pair], least: int = TWICE) -> list[Pair]:
    """Return some of the pairs, in their order.

    In them every network meets each role once, with the detector that was tried least so far; then
    every detector meets a network of each answer that it reads, and `least` in all.
    """
    tried: Counter[str] = Counter()
    chosen: set[Pair] = set()
    for network, wanted in dict.fromkeys((network, role(network, d)) for network, d in pairs):
        able = [d for n, d in pairs if n == network and role(n, d) == wanted]
        detector = min(able, key=lambda d: (tried[d], d))
        tried[detector] += 1
        chosen.add((network, detector))
    for detector in dict.fromkeys(d for _, d in pairs):
        own = [pair for pair in pairs if pair[1] == detector]
        chosen.update(_missing(own, chosen, least))
    return [pair for pair in pairs if pair in chosen]


def _missing(own: Sequence[Pair], chosen: set[Pair], least: int) -> list[Pair]:
    """Return what a detector, of whose pairs some are chosen, lacks."""
    met = [pair for pair in own if pair in chosen]
    lacking: list[Pair] = []
    for pair in own:
        if role(*pair) not in {role(*one) for one in met + lacking}:
            lacking.append(pair)
    left = [pair for pair in own if pair not in met + lacking]
    return lacking + left[: max(0, least - len(met + lacking))]
