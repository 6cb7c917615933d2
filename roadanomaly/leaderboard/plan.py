"""From a leaderboard's config to runs: what each would be made with, where, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from roadanomaly.errors import OptionError, nearest
from roadanomaly.leaderboard.config import Board, How, Member
from roadanomaly.leaderboard.merging import REFERENCE, merged, replaced
from roadanomaly.training.config import TrainConfig
from roadanomaly.training.fit_config import FitConfig
from roadanomaly.training.flow_config import FlowConfig
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.training.run_config import RunConfig
from roadanomaly.training.run_folder import plain
from roadanomaly.training.values import config_of

KINDS: dict[How, type[RunConfig] | type[FitConfig]] = {
    "train": TrainConfig,
    "fit": FitConfig,
    "flow": FlowConfig,
    "generator": GeneratorConfig,
}
COMMANDS: dict[How, tuple[str, ...]] = {
    "train": ("train",),
    "fit": ("fit",),
    "flow": ("flow", "train"),
    "generator": ("train", "generator"),
}
MADE: dict[How, str] = {"train": "model", "fit": "model", "flow": "flow", "generator": "generator"}
"""Folder inside the run's that holds what was made."""


@dataclass(frozen=True)
class Run:
    """One run of one member.

    Args:
        member: its name in the config.
        seed: of it.
        how: it is made.
        folder: of the run.
        config: typed.
        file: its config file, which the commands of `words` read.
        needs: names of the runs that must be there before it.
    """

    member: str
    seed: int
    how: How
    folder: Path
    config: RunConfig | FitConfig
    file: Path
    needs: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Of its folder: the member's with its seed."""
        return self.folder.name

    @property
    def words(self) -> tuple[str, ...]:
        """The command that makes it, without `roadanomaly`."""
        return (*COMMANDS[self.how], str(self.file))

    @property
    def values(self) -> dict[str, Any]:
        """Its config as a file holds it."""
        return plain(self.config)


def plan_of(board: Board, recipes: Path) -> list[Run]:
    """Return all runs of a leaderboard, each after those that it needs.

    Args:
        board: the config.
        recipes: folder that the members' recipes lie in.

    Raises:
        OptionError: a recipe that cannot be read, a key or value that its training does not take,
            a name that is no member's, or members that need each other in a circle.
    """
    members = board.first | board.rows
    runs = {
        folder_name(name, seed): _run(board, recipes, name, member, seed)
        for name, member in members.items()
        for seed in member.seeds
    }
    return _in_order(runs)


def folder_name(member: str, seed: int) -> str:
    """Return the name of a run's folder."""
    return f"{member}_{seed}"


def network(board: Board) -> tuple[str, Any]:
    """Return the key and value that begin a training with the board's segmenter."""
    return ("start" if isinstance(board.segmenter, str) else "segmenter"), board.segmenter


def _run(board: Board, recipes: Path, name: str, member: Member, seed: int) -> Run:
    folder = Path(board.out) / "runs" / folder_name(name, seed)
    what = f"`{name}`"
    values = _recipe(recipes / member.recipe, what) if member.recipe else {}
    values = merged(values, _shared(board, member))
    values = merged(values, member.options) | {"seed": seed, "out": str(folder)}
    needs: list[str] = []
    values = replaced(values, _folders(board, needs, what))
    config = config_of(KINDS[member.how], values, what)
    file = Path(board.out) / "configs" / f"{folder.name}.yaml"
    return Run(name, seed, member.how, folder, config, file, tuple(dict.fromkeys(needs)))


def _shared(board: Board, member: Member) -> Mapping[str, Any]:
    """Return what the board says of every run of a kind, its segmenter too.

    A member that says itself what to begin with keeps that, over what its recipe says of it.
    """
    if member.how not in ("train", "fit"):
        return {}
    shared = dict(board.training if member.how == "train" else board.fitting)
    key, value = network(board)
    network_keys = ("segmenter", "start") if member.how == "train" else ("segmenter", "run")
    taken = network_keys[1] if key == "start" else key
    own = member.options.keys() & set(network_keys)
    begin: dict[str, Any] = {one: None for one in network_keys if one not in own}
    return shared | begin | ({} if own else {taken: value})


def _recipe(path: Path, what: str) -> dict[str, Any]:
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        msg = f"{what}: its recipe {path.absolute()} cannot be read: {reason}."
        raise OptionError(msg) from error
    if not isinstance(held, dict):
        msg = f"{what}: its recipe {path} must hold `key: value` lines."
        raise OptionError(msg)
    return held


def _folders(board: Board, needs: list[str], what: str) -> Callable[[str], str]:
    """Return what puts a run's folder in place of a member's name, and notes it in `needs`."""
    members = board.first | board.rows

    def by(text: str) -> str:
        found = REFERENCE.fullmatch(text)
        if found is None:
            return text
        name = found[1]
        if name not in members:
            msg = f"{what} needs `@{name}`, which is no member; {nearest(name, members)}"
            raise OptionError(msg)
        seed = int(found[2]) if found[2] else members[name].seeds[0]
        if seed not in members[name].seeds:
            msg = f"{what} needs `{text}`, and `{name}` has the seeds {list(members[name].seeds)}."
            raise OptionError(msg)
        needs.append(folder_name(name, seed))
        return str(Path(board.out) / "runs" / needs[-1])

    return by


def _in_order(runs: dict[str, Run]) -> list[Run]:
    """Put each run after those that it needs, and otherwise keep the order."""
    ordered: list[Run] = []
    left = dict(runs)
    while left:
        free = [one for one in left.values() if not left.keys() & set(one.needs)]
        if not free:
            msg = f"these need each other in a circle: {', '.join(sorted(left))}."
            raise OptionError(msg)
        ordered.append(free[0])
        del left[free[0].name]
    return ordered


def reference_folder(board: Board) -> str | None:
    """Return the run folder of the board's segmenter, or None where it is described."""
    if not isinstance(board.segmenter, str):
        return None
    return _folders(board, [], "`segmenter`")(board.segmenter)


def moved(board: Board, out: str) -> Board:
    """Return a board whose folder is another."""
    return replace(board, out=out) if out else board
