"""What is seen of an evaluation while it runs: how far it is, and pictures of some frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from roadanomaly.data.images import write_image
from roadanomaly.evaluation.evaluate import Seen, seed_of
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.team import Team
from roadanomaly.files import file_name
from roadanomaly.progress import counting
from roadanomaly.report.explanation_sheet import explanation_sheet
from roadanomaly.report.frame_sheet import frame_sheet
from roadanomaly.report.pictures import rgb
from roadanomaly.report.thumbnails import write_explanation, write_thumbnails
from roadanomaly.types import Frame


@dataclass(frozen=True)
class View:
    """What is looked at, and where its pictures go.

    Args:
        job: the evaluation; frames drawn large get a sheet of what a score rests on too, of each
            detector that explains its own.
        folder: gets `pictures/<set>/<source>/<frame>.png`, sheets `<frame>_<detector>.png` beside
            them, and the page's `frames/`.
    """

    job: Job
    folder: Path

    @property
    def name(self) -> str:
        """The name of the set's protocol."""
        return self.job.protocol.name

    @property
    def pictures(self) -> Path:
        """Where large pictures go: no other set or source draws there."""
        return self.folder / "pictures" / file_name(self.name) / file_name(self.job.source.label)

    def draw(self, number: int, frame: Frame, scores: dict[str, np.ndarray]) -> None:
        """Draw a frame large.

        Args:
            number: of the frame in its set.
            frame: as it was scored.
            scores: `(H, W)` of each detector.
        """
        source = self.job.source
        name = file_name(frame.id)
        write_image(self.pictures / f"{name}.png", frame_sheet(frame, scores))
        for detector, found in source.explain(frame, seed_of(self.job, number)).items():
            sheet = explanation_sheet(rgb(frame), found, scores[detector], source.classes)
            write_image(self.pictures / f"{name}_{file_name(detector)}.png", sheet)
            write_explanation(self.folder, self.name, detector, frame.id, sheet)


@contextmanager
def watch(view: View, pictures: int, team: Team, before: int = 0) -> Iterator[Seen]:
    """Show the progress of this process's share, and draw frames as they pass.

    Args:
        view: what is looked at.
        pictures: how many to draw large, evenly spaced, the first and the last among them; 0 leaves
            out the page's small ones too.
        team: the processes; only the first shows progress.
        before: frames that an earlier, unfinished evaluation scored; they do not pass.
    """
    count = len(view.job.frames)
    share = len(team.share(range(count - before)))
    large = np.linspace(0, count - 1, min(pictures, count)).round().astype(int).tolist()

    def seen(number: int, frame: Frame, scores: dict[str, np.ndarray]) -> None:
        if number in large:
            view.draw(number, frame, scores)
        if pictures:
            write_thumbnails(view.folder, view.name, frame, scores)
        step()

    with counting(share, view.name, quiet=not team.leads) as step:
        yield seen
