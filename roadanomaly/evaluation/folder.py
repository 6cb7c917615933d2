"""The folder of an evaluation: what lies where, and how a new one replaces an older one."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from roadanomaly.errors import UserError
from roadanomaly.evaluation import older
from roadanomaly.evaluation.findings import FOLDER, Findings, save_findings
from roadanomaly.files import remove_partial, write_text
from roadanomaly.ledger import Ledger
from roadanomaly.swap import WORK, finish, new_result, open_work, swap

REPLACED = (FOLDER, "frames", "pictures", *older.FILES)
"""What belongs to one evaluation and is replaced together."""

RUNS = {
    "frames/": "the frames that `adapt` took of drives",
    "config.yaml": "a run of `train`, `adapt` or `flow train`",
}
"""What runs hold, by what only they write: an evaluation has files of the same names."""


class EvaluationFolder:
    """Paths of an evaluation's folder.

    While frames are scored they lie in `.partial/<key>/`, one key a set and source of scores, with
    their pictures in `.partial/<key>/result/`. Nothing else is touched until all is known; then the
    whole result is made beside the older one and put in its place (`roadanomaly.swap`).

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.partial = self.path / WORK

    def require_usable(self) -> None:
        """Make the folder, or refuse it before any work is done.

        A result that was cut off while it was put in its place is put there first.

        Raises:
            UserError: it is a file, cannot be written, or holds a run or other files that an
                evaluation would replace and did not write.
        """
        try:
            finish(self.path)
            Ledger(self.path).refuse_results(RUNS)
            Ledger(self.path).refuse_strangers(REPLACED, older.files_of(self.path))
            open_work(self.path)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
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
        self,
        findings: Sequence[Findings],
        record: dict[str, Any],
        keys: Sequence[str],
        pages: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """Put a finished evaluation in the place of what was there, and clear up.

        Args:
            findings: what was found, in the order of the table.
            record: of the run.
            keys: whose pictures belong to it.
            pages: writes what is made of the findings into the folder that it is given.

        Raises:
            UserError: a file cannot be written, or somebody put one where the result goes while it
                was made; the older result still stands.
        """
        known = older.files_of(self.path)  # of what is there before the new findings are
        try:
            new = new_result(self.path)
            for place, found in enumerate(findings):
                save_findings(new, found, place)
            write_text(new / "record.json", json.dumps(record, indent=1) + "\n")
            text = json.dumps(without_nan(metrics(findings)), indent=1, allow_nan=False)
            write_text(new / "metrics.json", text + "\n")
            for key in keys:
                _link_files(self.result(key), new)
            pages(new)
            self._look_again(known)
            ledger = Ledger(self.path)
            names = [path.relative_to(new).as_posix() for path in new.rglob("*") if path.is_file()]
            ledger.add(names)
            swap(self.path, REPLACED)
            kept = [name for name in ledger.names() if name.split("/")[0] not in REPLACED]
            ledger.write([*kept, *names])
        except OSError as error:
            msg = f"{self.path} cannot be written: {error.strerror}; the scored frames are kept."
            raise UserError(msg) from error

    def _look_again(self, known: set[str]) -> None:
        """Refuse to replace what came into the folder since `require_usable`.

        Args:
            known: files that are of an older result although no ledger lists them.

        Raises:
            UserError: names the first other such file, and says that no work is lost.
        """
        try:
            Ledger(self.path).refuse_strangers(REPLACED, known)
        except UserError as error:
            msg = (
                f"{error} It came while the evaluation ran, whose scored frames are kept: move it "
                "away and start the same command again, which goes on from them."
            )
            raise UserError(msg) from error


def _link_files(source: Path, target: Path) -> None:
    """Let every file below a folder lie below another too, without a second copy where possible."""
    remove_partial(source)
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            try:
                os.link(path, place)
            except OSError:  # a file system without hard links
                shutil.copyfile(path, place)


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
            **_precision(found),
            **_modes(found),
            **found.extra,
            "thresholds": [vars(one) for one in found.thresholds],
            "warnings": list(found.warnings),
        }
    return sets


def _modes(found: Findings) -> dict[str, Any]:
    modes = {"official": found.official, "exact": found.exact}
    return {name: numbers for name, numbers in modes.items() if numbers}


def _precision(found: Findings) -> dict[str, Any]:
    if found.precision == "f32":
        return {}
    effect = found.precision_effect
    return {"precision": found.precision, "precision_effect": effect and vars(effect)}


def without_nan(value: Any) -> Any:
    """Replace what JSON lacks, NaN and infinity, by None."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
