"""Write a table as text, Markdown, LaTeX or CSV.

Text, Markdown and LaTeX are for people: percent with two digits. CSV is for programs: fractions
with all digits, and an empty cell where a number is undefined.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

from roadanomaly.errors import OptionError, nearest
from roadanomaly.files import write_text
from roadanomaly.report.tables.table import Cell, Column, Spread, Table

LATEX_SIGNS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "±": r"$\pm$",
    "≥": r"$\geq$",
}


def to_text(table: Table) -> str:
    """Return aligned columns for a terminal."""
    header = [column.heading for column in table.columns]
    lines = [header, *table.texts()]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    return "\n".join(_aligned(line, widths, table.columns) for line in lines)


def _aligned(line: list[str], widths: list[int], columns: tuple[Column, ...]) -> str:
    cells = [
        text.rjust(width) if column.numeric else text.ljust(width)
        for text, width, column in zip(line, widths, columns, strict=True)
    ]
    return "  ".join(cells).rstrip()


def to_markdown(table: Table) -> str:
    """Return a table of GitHub's Markdown, best cells in bold."""
    header = [_escape_markdown(column.heading) for column in table.columns]
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [header, rules, *_marked(table, _escape_markdown, "**{}**")]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text + "".join(f"\n\n{note}" for note in table.notes) + "\n"


def _escape_markdown(text: str) -> str:
    for sign in ("\\", "|", "*", "`", "<"):
        text = text.replace(sign, "\\" + sign)
    return text


def to_latex(table: Table) -> str:
    r"""Return a `tabular` for the package booktabs, best cells in `\textbf`."""
    shape = "".join("r" if column.numeric else "l" for column in table.columns)
    header = [_escape_latex(column.heading) for column in table.columns]
    rows = _marked(table, _escape_latex, r"\textbf{{{}}}")
    lines = [
        *(f"% {note}" for note in table.notes),
        rf"\begin{{tabular}}{{{shape}}}",
        r"\toprule",
        " & ".join(header) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _escape_latex(text: str) -> str:
    return "".join(LATEX_SIGNS.get(sign, sign) for sign in text)


def _marked(table: Table, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    return [
        [
            bold.format(escape(text)) if (place, at) in table.best else escape(text)
            for at, text in enumerate(row)
        ]
        for place, row in enumerate(table.texts())
    ]


def to_csv(table: Table) -> str:
    """Return comma-separated values with the columns' keys as header.

    Beside a column of means over several runs stands one of their deviations.
    """
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    places = range(len(table.columns))
    spread = [any(isinstance(row[at], Spread) for row in table.rows) for at in places]
    header: list[str] = []
    for column, several in zip(table.columns, spread, strict=True):
        header += [column.key, f"{column.key}_deviation"] if several else [column.key]
    writer.writerow(header)
    for row in table.rows:
        cells: list[Cell] = []
        for cell, several in zip(row, spread, strict=True):
            cells.append(float(cell) if isinstance(cell, Spread) else cell)
            if several:
                cells.append(getattr(cell, "deviation", math.nan))
        writer.writerow("" if isinstance(c, float) and math.isnan(c) else c for c in cells)
    return content.getvalue()


FORMATS = {".md": to_markdown, ".tex": to_latex, ".csv": to_csv, ".txt": to_text}


def check_format(path: Path) -> Callable[[Table], str]:
    """Return what writes a table into a file of this name.

    Raises:
        OptionError: the name's ending stands for no format.
    """
    if path.suffix.lower() not in FORMATS:
        msg = (
            f"{path} ends in {path.suffix or 'nothing'!r}, which is no table format; "
            f"{nearest(path.suffix, FORMATS)}"
        )
        raise OptionError(msg)
    return FORMATS[path.suffix.lower()]


def write_table(path: Path, table: Table) -> None:
    """Write a table in the format that the file's ending names.

    Raises:
        OptionError: the name's ending stands for no format.
        UserError: the file cannot be written.
    """
    write_text(path, check_format(path)(table))
