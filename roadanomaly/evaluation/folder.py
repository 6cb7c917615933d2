"""The folder of an evaluation: what lies where, and how a new one replaces an older one."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roadanomaly.errors import UserError
from roadanomaly.evaluation.findings import FOLDER, Findings, save_findings
from roadanomaly.files import write_text

REPLACED = (FOLDER, "frames", "pictures")
"""Folders that belong to one evaluation and are replaced together."""


class EvaluationFolder:
    """Paths of an evaluation's folder.

    While frames are scored they lie in `.partial/<key>/`, one key a set and source of scores, with
    their pictures in `.partial/<key>/result/`. Nothing else is touched until all is known.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.partial = self.path / ".partial"

    def require_usable(self) -> None:
        """Make the folder, or refuse it before any work is done.

        Raises:
            UserError: it is a file, or cannot be written.
        """
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            (self.partial / "here").touch()
        except OSError as error:
            reason = "it is a file" if self.path.is_file() else error.strerror
            msg = (
                f"--out {self.path}: the folder cannot be written ({reason}). Name another folder, "
                "or make this one writable."
            )
            raise UserError(msg) from error

    def scored(self, key: str) -> Path:
        """Return where the scored frames of a set and source lie."""
        return self.partial / key

    def result(self, key: str) -> Path:
        """Return where their pictures are put meanwhile."""
        return self.partial / key / "result"

    def publish(
        self, findings: Sequence[Findings], record: dict[str, Any], keys: Sequence[str]
    ) -> None:
        """Put a finished evaluation in the place of what was there, and clear up.

        Raises:
            UserError: a file cannot be written.
        """
        new = self.partial / "new"
        shutil.rmtree(new, ignore_errors=True)
        for found in findings:
            save_findings(new, found)
        try:
            for key in keys:
                _move_files(self.result(key), new)
            for name in REPLACED:
                old = self.partial / f"old-{name}"
                shutil.rmtree(old, ignore_errors=True)
                if (self.path / name).exists():
                    (self.path / name).rename(old)
                if (new / name).exists():
                    (new / name).rename(self.path / name)
        except OSError as error:
            msg = f"{self.path} cannot be written: {error.strerror}; the scored frames are kept."
            raise UserError(msg) from error
        write_text(self.path / "record.json", json.dumps(record, indent=1) + "\n")
        text = json.dumps(without_nan(metrics(findings)), indent=1, allow_nan=False)
        write_text(self.path / "metrics.json", text + "\n")
        shutil.rmtree(self.partial, ignore_errors=True)


def _move_files(source: Path, target: Path) -> None:
    """Move every file below a folder to the same place below another."""
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)


def metrics(findings: Sequence[Findings]) -> dict[str, Any]:
    """Return the numbers by set: those of its first detector on top, then of each detector.

    Fractions; NaN where undefined.
    """
    sets: dict[str, Any] = {}
    for found in findings:
        first = {"frames": found.frames, "listed": found.listed, "track": found.track}
        of_set = sets.setdefault(found.set, first | _modes(found) | {"detectors": {}})
        of_set["detectors"][found.detector] = {
            "supervision": found.supervision,
            **_modes(found),
            **found.extra,
            "thresholds": [vars(one) for one in found.thresholds],
            "warnings": list(found.warnings),
        }
    return sets


def _modes(found: Findings) -> dict[str, Any]:
    modes = {"official": found.official, "exact": found.exact}
    return {name: numbers for name, numbers in modes.items() if numbers}


def without_nan(value: Any) -> Any:
    """Replace what JSON lacks, NaN and infinity, by None."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
