"""What is seen of an evaluation while it runs: a progress line, and pictures of some frames."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from roadanomaly.data import FrameSet
from roadanomaly.data.images import write_image
from roadanomaly.evaluation.evaluate import Seen
from roadanomaly.evaluation.sources import ScoreSource
from roadanomaly.evaluation.team import Team
from roadanomaly.report.explanation_sheet import explanation_sheet
from roadanomaly.report.frame_sheet import frame_sheet
from roadanomaly.report.pictures import rgb
from roadanomaly.report.thumbnails import write_explanation, write_thumbnails
from roadanomaly.types import Frame


@contextmanager
def watch(
    frames: FrameSet, name: str, pictures: int, folder: Path, source: ScoreSource, team: Team
) -> Iterator[Seen]:
    """Show the progress of this process's share, and draw frames as they pass.

    Args:
        frames: of the set.
        name: of the set's protocol.
        pictures: how many to draw large, evenly spaced; 0 leaves out the page's small ones too.
        folder: where `pictures/<id>.png` and the page's `frames/` go.
        source: of the scores; frames drawn large get `pictures/<id>_<detector>.png` too where a
            detector explains its score.
        team: the processes; only the first shows progress.
    """
    share = len(range(team.rank, len(frames), team.size))
    quiet = not (team.leads and sys.stderr.isatty())
    step = max(1, len(frames) // pictures) if pictures else len(frames) + 1

    def seen(number: int, frame: Frame, scores: dict[str, np.ndarray]) -> None:
        if pictures and number % step == 0:
            write_image(folder / "pictures" / f"{frame.id}.png", frame_sheet(frame, scores))
            for detector, found in source.explain(frame).items():
                sheet = explanation_sheet(rgb(frame), found, scores[detector])
                write_image(folder / "pictures" / f"{frame.id}_{detector}.png", sheet)
                write_explanation(folder, name, detector, frame.id, sheet)
        if pictures:
            write_thumbnails(folder, name, frame, scores)
        bar.update()

    with tqdm(total=share, unit="frame", disable=quiet, leave=False) as bar:
        yield seen
