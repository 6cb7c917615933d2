"""`roadanomaly compare`: runs side by side, and how sure their differences are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.errors import OptionError
from roadanomaly.files import check_writable
from roadanomaly.progress import counting
from roadanomaly.report.compare_page import write_comparison
from roadanomaly.report.comparison import Comparison, compare, pair_up, read_runs
from roadanomaly.report.tables.compared import (
    difference_table,
    differences_note,
    notes,
    published_note,
    set_names,
    side_by_side,
)
from roadanomaly.report.tables.formats import check_format, to_text, write_table

EXAMPLES = """
roadanomaly compare runs/eval_energy runs/eval_densehybrid --out compare.html
roadanomaly compare runs/evaluation --against energy
roadanomaly compare runs/a runs/b runs/c --published --table paper.tex table.md
"""


def run(arguments: Sequence[str]) -> None:
    """Compare, write the page and the tables, and print."""
    parser = new_parser("compare", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly compare RUN [RUN ...] [--out FILE] [options]"
    parser.add_argument(
        "runs", nargs="+", help="folders that `evaluate --out` wrote; the first is the reference"
    )
    parser.add_argument("--out", type=str, default="compare.html", help="the page")
    parser.add_argument(
        "--against",
        type=str,
        default=None,
        help="detector of the first run that all are compared with; default: the one of that name",
    )
    parser.add_argument("--detectors", type=str, default="", help="only these, comma-separated")
    parser.add_argument(
        "--published", action="store_true", help="show the papers' numbers beside, marked as such"
    )
    parser.add_argument(
        "--table", nargs="+", default=[], help="write tables too: FILE.md, FILE.tex or FILE.csv"
    )
    parser.add_argument("--resamples", type=int, default=1000, help="draws of the bootstrap")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    given = parse(parser, arguments)
    if not given.out.lower().endswith((".html", ".htm")):
        msg = f"--out {given.out}: a page is written; give a name that ends in .html."
        raise OptionError(msg)
    tables = [Path(name) for name in given.table]
    for path in tables:
        check_format(path)
    written = [Path(given.out), *tables, *map(differences_path, tables)]
    if len({path.absolute() for path in written}) < len(written):
        msg = (
            f"two outputs are the same file: {', '.join(map(str, written))} (a table's differences "
            "get a file beside it). Give each its own name."
        )
        raise OptionError(msg)
    detectors = [name for name in given.detectors.split(",") if name]
    entries = read_runs([Path(name) for name in given.runs], detectors)
    for path in written:
        check_writable(path)
    steps = len(entries) + len(pair_up(entries, given.against))
    with counting(steps, "bootstrap", "step") as step:
        comparison = compare(
            entries,
            against=given.against,
            resamples=given.resamples,
            confidence=given.confidence,
            seed=given.seed,
            step=step,
        )
    write_comparison(Path(given.out), comparison, with_published=given.published)
    for path in tables:
        write_table(path, side_by_side(comparison, with_published=given.published))
        write_table(differences_path(path), difference_table(comparison.pairs))
    sys.stdout.write(format_comparison(comparison, with_published=given.published))
    sys.stdout.write(f"\nwritten: {', '.join(map(str, written))}\n")


def differences_path(path: Path) -> Path:
    """Return where the differences go that belong to a table's file."""
    return path.with_name(f"{path.stem}_differences{path.suffix}")


def format_comparison(comparison: Comparison, *, with_published: bool = False) -> str:
    """Return the tables for a terminal, with what must be known to read them."""
    lines = [to_text(side_by_side(comparison, with_published=with_published).without("source"))]
    if with_published:
        lines += ["", published_note(comparison)]
    differences = difference_table(comparison.pairs)
    if len(set_names(comparison)) == 1:
        differences = differences.without("set")
    confidence = f"{100 * comparison.confidence:g} %"
    lines += ["", f"differences in points, {confidence} intervals over frames"]
    lines += [differences_note(comparison)]
    lines += ["", to_text(differences)]
    if found := notes(comparison):
        lines += ["", *(f"warning: {text}" for text in found)]
    return "\n".join(lines) + "\n"
