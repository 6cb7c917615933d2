"""The index of a mined collection: a parquet table, and a page that shows it."""

from __future__ import annotations

import contextlib
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from roadanomaly.extras import require
from roadanomaly.files import readable, write_bytes, write_text

COLUMNS = ("clip", "id", "start_s", "end_s", "peak_s", "peak_score", "peak_frame", "thumbnail")
INDEX = ("index.parquet", "index.html")
BOX = ("x0", "y0", "x1", "y1")
STYLE = """
:root{color-scheme:light dark;font:15px/1.4 system-ui,sans-serif}body{margin:1rem auto;
max-width:1400px;padding:0 1rem}ol{list-style:none;padding:0;display:grid;gap:1rem;
grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}li{border:1px solid #8885;
border-radius:8px;overflow:hidden}img{width:100%;display:block;background:#000}
p{margin:.4rem .6rem;overflow-wrap:anywhere}small{opacity:.75}
"""


def is_mined(folder: Path) -> bool:
    """Tell whether clips were mined into a folder before, by the record of one."""
    for path in folder.glob("clips/*.json"):
        with contextlib.suppress(OSError, ValueError, RecursionError, AttributeError):
            return {"clip", "frames", "events"} <= json.loads(path.read_text()).keys()
    return False


def write_index(out: Path, records: Sequence[dict[str, Any]], heading: str) -> None:
    """Write `index.parquet` and `index.html`, the highest peaks first.

    Args:
        out: folder of the clips' records and thumbnails.
        records: of all clips.
        heading: what was mined with what.

    Raises:
        UserError: the folder cannot be written, or pyarrow is missing.
    """
    rows = [{"clip": record["clip"], **event} for record in records for event in record["events"]]
    rows.sort(key=lambda row: -row["peak_score"])
    _write_parquet(out / INDEX[0], rows)
    write_text(out / INDEX[1], _page(rows, records, heading))


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    arrow = require("pyarrow", "the index")
    parquet = require("pyarrow.parquet", "the index")
    whole, real, text = arrow.int64(), arrow.float64(), arrow.string()
    types = {"clip": text, "id": whole, "peak_frame": whole, "thumbnail": text}
    columns = {
        name: arrow.array([_plain(row[name]) for row in rows], types.get(name, real))
        for name in COLUMNS
    }
    for place, name in enumerate(BOX):
        columns[name] = arrow.array([row["box"][place] for row in rows], whole)
    content = io.BytesIO()
    parquet.write_table(arrow.table(columns), content)
    write_bytes(path, content.getvalue())


def _plain(value: Any) -> Any:
    return readable(value) if isinstance(value, str) else value


def _page(rows: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]], heading: str) -> str:
    hours = sum(record["seconds"] for record in records) / 3600
    broken = [record for record in records if record["error"]]
    cards = "\n".join(
        f'<li><img src="{quote(row["thumbnail"], errors="surrogateescape")}" alt="" loading="lazy">'
        f"<p><b>{row['peak_score']:.2f}</b> · {row['start_s']:.1f} to {row['end_s']:.1f} s<br>"
        f"<small>{html.escape(row['clip'])} #{row['id']}</small></p></li>"
        for row in rows
    )
    faults = "".join(
        f"<li><p>{html.escape(record['clip'])}: {html.escape(record['error'])}</p></li>"
        for record in broken
    )
    listed = f"<h2>Clips that could not be used</h2><ol>{faults}</ol>" if faults else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Mined events</title><style>{STYLE}</style></head><body>\n"
        f"<h1>Mined events</h1><p>{html.escape(heading)}. {len(rows)} events from {len(records)} "
        f"clips, {hours:.2f} h of video.</p>\n<ol>\n{cards}\n</ol>{listed}</body></html>\n"
    )
