"""Print what a base install brings: every package, its size on disk, and what comes with it alone.

    python benchmarks/dependencies.py

Reads the metadata of the environment that it runs in; nothing is installed or downloaded.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

MEGABYTE = 2**20


@cache
def found(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def needs(name: str, extras: frozenset[str] = frozenset()) -> list[Requirement]:
    """Return what an installed package asks for on this machine, with some of its extras."""
    there = found(name)
    wanted = [Requirement(line) for line in (there.requires or [] if there else [])]
    chosen = [{"extra": extra} for extra in extras] or [{"extra": ""}]
    return [
        one
        for one in wanted
        if one.marker is None or any(one.marker.evaluate(environment) for environment in chosen)
    ]


def brought_by(roots: list[Requirement]) -> set[str]:
    """Return the names of all installed packages that some packages ask for, themselves among."""
    seen: set[str] = set()
    left = list(roots)
    while left:
        one = left.pop()
        if one.name.lower() not in seen and found(one.name) is not None:
            seen.add(one.name.lower())
            left += needs(one.name, frozenset(one.extras))
    return seen


@cache
def megabytes(name: str) -> float:
    """Return the size on disk of an installed package's files, without compiled bytecode."""
    there = found(name)
    paths = [Path(str(one.locate())) for one in (there.files or [] if there else [])]
    sizes = [p.stat().st_size for p in paths if p.suffix != ".pyc" and p.is_file()]
    return sum(sizes) / MEGABYTE


def main() -> None:
    """Print a line a package of the base install, largest first, and the whole."""
    base = needs("roadanomaly")
    whole = brought_by(base)
    rows = []
    for one in base:
        others = brought_by([other for other in base if other.name != one.name])
        alone = sorted(whole - others - {one.name.lower()})
        rows.append((megabytes(one.name), one.name, sum(map(megabytes, alone)), alone))
    sys.stdout.write("| package | MB | with it alone | MB |\n| --- | --- | --- | --- |\n")
    for size, name, more, alone in sorted(rows, reverse=True):
        shown = ", ".join(alone[:3]) + (f" and {len(alone) - 3} more" if len(alone) > 3 else "")
        sys.stdout.write(f"| {name} | {size:.1f} | {shown} | {more:.1f} |\n")
    total = sum(megabytes(name) for name in whole)
    sys.stdout.write(f"{len(whole)} packages, {total:.0f} MB\n")


if __name__ == "__main__":
    main()
