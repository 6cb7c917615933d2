"""Held-out worlds of an adaptation: what the model was worth in them, and what it is worth."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from roadanomaly.cli.models import pick_device
from roadanomaly.cli.worlds_scored import CONFIG, FILES, Entry, score_and_write
from roadanomaly.errors import OptionError, UserError
from roadanomaly.evaluation.truth import require_truth, truth_of
from roadanomaly.evaluation.worlds import World, open_worlds
from roadanomaly.ledger import Ledger
from roadanomaly.model import load
from roadanomaly.training.adapt_config import OWN, WITHOUT, AdaptConfig
from roadanomaly.training.run_folder import RunFolder

FOLDER = "worlds"
"""Folder of the tables, and of the results that are kept, in a run folder."""


@dataclass(frozen=True)
class Opened:
    """Worlds that are scored before and after.

    Args:
        worlds: whose data is there.
        left_out: why each further one is not scored, by name.
    """

    worlds: list[World]
    left_out: dict[str, str]

    def in_words(self) -> str:
        """Say how much will be scored, and how to do without."""
        frames = sum(len(world.frames) for world in self.worlds)
        named = ", ".join(world.name for world in self.worlds)
        absent = f"; data missing for {', '.join(self.left_out)}" if self.left_out else ""
        return (
            f"held-out worlds: {frames} frames are scored at the end, by the model as it was and "
            f"as it is ({named}{absent}); `--worlds {WITHOUT}` leaves this out"
        )


def open_asked(asked: str) -> Opened | None:
    """Open the worlds that `--worlds` names; None where it wants none.

    Of the package's own, those whose data is missing are left out; of a file, those that it lets
    be left out.

    Raises:
        OptionError: no such file, none of worlds, or an option that does not exist.
        UserError: a world that cannot be opened, or whose frames have no truth.
    """
    if asked == WITHOUT:
        return None
    try:
        opened = Opened(*open_worlds(CONFIG if asked == OWN else asked, lenient=asked == OWN))
        for world in opened.worlds:
            require_truth(world.frames)
            truth_of(world.frames[0])
    except UserError as error:
        kind = type(error) if isinstance(error, OptionError) else UserError
        msg = (
            f"--worlds {asked}: {error} It takes a YAML file of worlds (docs/worlds.md), `{OWN}` "
            f"for the package's own, or `{WITHOUT}`."
        )
        raise kind(msg) from error
    return opened


def claim(folder: RunFolder) -> None:
    """Put down that the tables' folder is this run's.

    Raises:
        UserError: it holds files of somebody else.
    """
    Ledger(folder.path).claim([f"{FOLDER}/"])


def compare(opened: Opened, config: AdaptConfig, folder: RunFolder) -> None:
    """Score the model as it was and as it is, write the tables, and print them.

    Raises:
        UserError: a model or a frame cannot be read, or a file cannot be written; says what is
            there.
        KeyboardInterrupt: it was asked to stop; says what is there, and how to go on.
    """
    device = pick_device(config.accelerator)
    was, became = config.model, str(folder.path)
    out: Path = folder.path / FOLDER
    try:
        entries = [
            Entry("before", was, load(was, device)),
            Entry("after", became, load(folder.model, device)),
        ]
        text = score_and_write(entries, opened.worlds, opened.left_out, out, asdict(config))
    except KeyboardInterrupt as stop:
        msg = (
            f"{str(stop) or 'interrupted.'} The adapted model is whole, in {folder.model}; to go "
            f"on with the held-out worlds: roadanomaly adapt --out {folder.path} --resume"
        )
        raise KeyboardInterrupt(msg) from stop
    except UserError as error:
        msg = (
            f"the held-out worlds cannot be shown: {error} The adapted model is whole, in "
            f"{folder.model}; once that is mended, roadanomaly adapt --out {folder.path} --resume "
            "shows them."
        )
        raise UserError(msg) from error
    sys.stdout.write(f"\nheld-out worlds\n{text}\nwritten to {out}: {', '.join(FILES)}\n")
