"""Numbers that papers report, to stand beside one's own: second-hand, collected in November 2026.

The leaderboards themselves could not be read, so each row names the README, paper or index that
it was taken from. A row of a hidden test set is never comparable with public validation frames.
"""

from __future__ import annotations

import csv
import importlib.resources
import io
from collections.abc import Iterable
from dataclasses import dataclass

SOURCE = "published.csv"
NUMBERS = ("ap", "fpr95", "siou", "ppv", "f1")
LEARNED = {
    "yes": "inliers, outlier data",
    "generated": "inliers, generated outliers",
    "no": "inliers",
    "unknown": "unknown",
}


@dataclass(frozen=True)
class PublishedRow:
    """One method on one set, as a paper or README has it.

    Args:
        set: name of the protocol.
        split: `test` or `validation`.
        frames: how many the split has, or empty where the source does not say.
        method: name, with what it was trained on where methods come in several versions.
        outlier_data: `yes`, `generated`, `no` or `unknown`: whether it saw outliers in training.
        numbers: fractions by metric, those that the source gives.
        source: where the row was read.
    """

    set: str
    split: str
    frames: str
    method: str
    outlier_data: str
    numbers: dict[str, float]
    source: str

    @property
    def learned_from(self) -> str:
        """What it learned from, in the words of the tables."""
        return LEARNED[self.outlier_data]

    @property
    def scored_on(self) -> str:
        """The split with its size."""
        return f"{self.split}, {self.frames} frames" if self.frames else self.split


def published(set_name: str) -> list[PublishedRow]:
    """Return what is known of a set; empty where nothing is."""
    return [_row(line) for line in _lines() if line["set"] == set_name]


def published_sets() -> list[str]:
    """Return the names of all sets of which something is known."""
    return sorted({line["set"] for line in _lines()})


def _lines() -> Iterable[dict[str, str]]:
    text = importlib.resources.files("roadanomaly.report").joinpath(SOURCE).read_text("utf-8")
    return csv.DictReader(io.StringIO(text))


def _row(line: dict[str, str]) -> PublishedRow:
    numbers = {key: round(float(line[key]) / 100, 6) for key in NUMBERS if line[key]}
    words = {key: value for key, value in line.items() if key not in NUMBERS}
    return PublishedRow(**words, numbers=numbers)
