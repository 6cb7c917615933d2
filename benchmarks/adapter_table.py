"""One table of the last validations of several runs: closed-set and anomaly figures.

    python benchmarks/adapter_table.py runs/densehybrid_*_camvid

Each run is a folder that `roadanomaly train` wrote.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

COLUMNS = ("miou", "ap", "fpr95", "auroc")


def main() -> None:
    header = ["run", "segmenter", "steps", "mIoU", "AP", "FPR95", "AUROC"]
    rows = [row_of(Path(folder)) for folder in sys.argv[1:]]
    if not rows:
        sys.exit(__doc__)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [
            text.ljust(w) if i < 2 else text.rjust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        ]
        print(f"| {' | '.join(cells)} |")
    print("\npercent; CamVid val with pasted negatives that training never shows")


def row_of(folder: Path) -> list[str]:
    """Return a run's name, its segmenter's, its steps and the figures of its last validation."""
    with (folder / "validation.csv").open(newline="") as file:
        *_, last = csv.DictReader(file)
    description = json.loads((folder / "model" / "model.json").read_text())
    figures = [f"{100 * float(last[key]):.2f}" for key in COLUMNS]
    return [folder.name, description["segmenter"]["name"], last["step"], *figures]


if __name__ == "__main__":
    main()
