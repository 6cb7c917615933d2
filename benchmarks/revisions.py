"""Do two revisions give the same numbers, and which is faster? Bit for bit, on one machine.

    python benchmarks/revisions.py d5e57f3 .
    python benchmarks/revisions.py ../checkout-of-0.1 HEAD --repeats 40
    python benchmarks/revisions.py d5e57f3 . --only values

OLD and NEW are folders that hold the package, or git revisions of this repository, which are
checked out into temporary worktrees. The same probe (`revision_probe.py`) runs in both, each in
processes of its own: scores of every detector of 0.1 on three frames of `streets`, after fitting or
training it with the commands where it needs that; all weights of those trainings, and after 20
steps of the paste recipe; all metrics of made frames. All must be equal in every bit: the exit code
is 1 where they are not. Then both take turns at inference (ESPNetv2 s=0.5 with DenseHybrid,
256x512) and at training steps (four crops of 128x256, loading included).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from roadanomaly.training.record import machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROBE = HERE / "revision_probe.py"
REFERENCES = ROOT / "tests" / "references"
WARM_UP = 3


@contextmanager
def source(name: str) -> Iterator[Path]:
    """Yield the folder of a revision; one that is named by git is checked out meanwhile."""
    if (Path(name) / "roadanomaly" / "__init__.py").exists():
        yield Path(name).resolve()
        return
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent).resolve() / "source"
        made = subprocess.run(
            [*git, "add", "--quiet", "--detach", str(folder), name], capture_output=True, text=True
        )
        if made.returncode:
            raise SystemExit(
                f"{name!r} is no folder with the package, and git has no such revision: "
                f"{made.stderr.strip()}"
            )
        try:
            yield folder
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=False)


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join(map(str, (folder, REFERENCES)))
    return {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}


def values(folder: Path) -> dict[str, np.ndarray]:
    """Return all numbers of a revision by their names."""
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(
            [sys.executable, str(PROBE), str(folder), "values", "values.npz"],
            cwd=place, env=environment(folder), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"the probe failed in {folder}:\n{done.stdout[-800:]}{done.stderr}")
        with np.load(Path(place) / "values.npz") as file:
            return dict(file)


@dataclass
class Row:
    """How far two revisions agree on one thing.

    Args:
        numbers: that were compared.
        different: of them, whose bits differ.
        largest: difference; infinite where one is not finite or the shapes differ.
        missing: names that NEW lacks.
    """

    numbers: int = 0
    different: int = 0
    largest: float = 0.0
    missing: list[str] = field(default_factory=list)

    def add(self, name: str, old: np.ndarray, new: np.ndarray | None) -> None:
        """Compare two arrays."""
        self.numbers += old.size
        if new is None:
            self.missing.append(name)
        elif old.shape != new.shape or old.dtype != new.dtype:
            self.different, self.largest = self.different + old.size, np.inf
        else:
            unequal = (bits(old) != bits(new)).any(-1)
            gaps = np.abs(old.reshape(-1)[unequal].astype(float) - new.reshape(-1)[unequal])
            self.different += len(gaps)
            self.largest = max([self.largest, *np.nan_to_num(gaps, nan=np.inf).tolist()])


def bits(array: np.ndarray) -> np.ndarray:
    """Return the bytes of each number, `(N, bytes)`."""
    return np.ascontiguousarray(array).reshape(-1, 1).view(np.uint8)


def compare(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> dict[str, Row]:
    """Compare two revisions, one row for each kind and thing."""
    rows: dict[str, Row] = {}
    for name, array in old.items():
        kind, thing, _ = name.split("/", 2)
        rows.setdefault(f"{kind} {thing}", Row()).add(name, array, new.get(name))
    return rows


def print_rows(rows: dict[str, Row], added: list[str]) -> bool:
    """Print the table; return whether everything is equal."""
    print(f"{'':<44}{'numbers':>9}{'different':>11}{'largest':>11}")
    for name, row in rows.items():
        print(f"{name:<44}{row.numbers:>9}{row.different:>11}{row.largest:>11.3g}")
    missing = [name for row in rows.values() for name in row.missing]
    for title, names in (("OLD", missing), ("NEW", added)):
        for name in names:
            print(f"only in {title}: {name}")
    largest = max(row.largest for row in rows.values())
    total = sum(row.numbers for row in rows.values())
    print(f"\nlargest difference of {total} numbers: {largest:g}\n")
    return not missing and not any(row.different for row in rows.values())


class Timed:
    """A process that waits to be asked for turns.

    Args:
        folder: of the revision.
        stack: that ends it.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        log = stack.enter_context((Path(place) / "log").open("w+"))
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(PROBE), str(folder), "speed"],
                cwd=place,
                env=environment(folder),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        )
        self.turns = self._line().split()
        if not self.turns:
            log.seek(0)
            raise SystemExit(f"the probe failed in {folder}:\n{log.read()}")

    def ask(self, turn: str) -> list[float]:
        """Return the seconds of one turn, by the clock and of the processor."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{turn}\n")
        self.process.stdin.flush()
        return [float(one) for one in self._line().split()]

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def print_speed(old: Path, new: Path, repeats: int) -> None:
    """Let both take turns, old new old new, and print how fast each is."""
    with ExitStack() as stack:
        both = [Timed(folder, stack) for folder in (old, new)]
        print(
            f"{'median of turns':<24}{'old, ms':>9}{'new, ms':>9}{'speed new/old':>15}  quartiles"
        )
        for turn in both[0].turns:
            for _ in range(WARM_UP):
                [one.ask(turn) for one in both]
            pairs = [[one.ask(turn) for one in both] for _ in range(repeats)]
            for index, kind in enumerate(("clock", "processor")):
                print_ratio(f"{turn}, {kind}", [(old[index], new[index]) for old, new in pairs])


def print_ratio(title: str, pairs: list[tuple[float, float]]) -> None:
    """Print a row: the ratio is the median of those of neighbouring turns."""
    olds, news = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
    low, middle, high = statistics.quantiles([old / new for old, new in pairs], n=4)
    print(f"{title:<24}{olds:>9.1f}{news:>9.1f}{middle:>15.3f}  {low:.3f} to {high:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", help="folder or git revision")
    parser.add_argument("new", help="folder or git revision")
    parser.add_argument("--repeats", type=int, default=20, help="turns of each, at least 2")
    parser.add_argument("--only", choices=("values", "speed"), help="leave out the other")
    given = parser.parse_args()
    if given.repeats < 2:
        parser.error(f"--repeats is {given.repeats}; give at least 2.")
    equal = True
    with source(given.old) as old, source(given.new) as new:
        if given.only != "speed":
            before, after = values(old), values(new)
            added = [name for name in after if name not in before]
            equal = print_rows(compare(before, after), added)
        if given.only != "values":
            print_speed(old, new, given.repeats)
            print(f"\n{machine()}, PyTorch {version('torch')}")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
