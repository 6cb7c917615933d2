"""What the config of a leaderboard says: flat, typed, checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from roadanomaly.catalogue import check_types
from roadanomaly.config_text import parsed_config
from roadanomaly.data import DATASETS
from roadanomaly.errors import OptionError, UserError, nearest
from roadanomaly.evaluation.protocols import PROTOCOLS
from roadanomaly.evaluation.worlds.config import check_world
from roadanomaly.report.published import published, published_sets
from roadanomaly.training.run_config import Part
from roadanomaly.training.values import refuse_blank

How = Literal["train", "fit", "flow", "generator"]
T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """Something that is made: a row of the table, or what a row needs first.

    Args:
        how: `train` a detector or a segmenter by a recipe; `fit` and calibrate one; train a `flow`
            or a `generator`.
        recipe: config file of the training, beside the leaderboard's own; empty where `options`
            say all.
        options: put over the recipe, key by key; a part of another `name` replaces the recipe's.
            `@name` stands for the run folder of another member, `@name/1` for that of its seed 1.
        seeds: one run each.
        title: in the table; empty takes the name.
        published: its name among the published rows, where it is there.
        note: what is not as in the other rows.
    """

    how: How = "train"
    recipe: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    title: str = ""
    published: str = ""
    note: str = ""


@dataclass(frozen=True)
class TestSet:
    """A set that every row is scored on, as `roadanomaly evaluate` takes it.

    Args:
        data: name out of the catalogue of data sets that benchmarks score, and its options.
        title: in the table; empty takes the name.
        size: height and width that frames are brought to; None keeps their own.
        negatives: source of what is put into the frames.
        note: what must be known to read its figures.
    """

    data: Part
    title: str = ""
    size: tuple[int, int] | None = None
    negatives: Part | None = None
    note: str = ""


@dataclass(frozen=True)
class OrdinarySet:
    """Frames without an anomaly, on which a run should keep quiet at its own threshold.

    Args:
        data: name out of the catalogue of data sets, and its options.
        title: in the table; empty takes the name.
        frames: how many, evenly spaced; 0 for all.
        size: height and width that frames are brought to; None keeps their own.
        note: what must be known to read its figures.
    """

    data: Part
    title: str = ""
    frames: int = 0
    size: tuple[int, int] | None = None
    note: str = ""

    @property
    def world(self) -> dict[str, Any]:
        """The same as a config of `roadanomaly worlds` describes a world."""
        return {
            "data": dict(self.data),
            "frames": self.frames,
            "size": self.size and list(self.size),
        }


@dataclass(frozen=True)
class ClosedSet:
    """Frames on which the known classes are judged, before and after.

    Args:
        data: name out of the catalogue of data sets, and its options.
        size: height and width that frames are brought to; None keeps their own.
    """

    data: Part
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Cost:
    """How time and memory are measured.

    Args:
        size: height and width of the image.
        repeats: of segmenter and detector, in turns.
    """

    size: tuple[int, int] = (720, 1280)
    repeats: int = 7


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Args:
        title: of page and table.
        segmenter: that every row begins with: name out of the catalogue and its options, or
            `@name` of a member that trains it.
        rows: by name, in any order; the table is sorted by the first set's AP.
        sets: by name; the first one orders the table.
        out: folder for configs, runs, evaluations, page and tables.
        about: shown under the title, a sentence or two.
        training: keys of every row that is trained, over its recipe and under its own options.
        fitting: keys of every row that is fitted, under its own options.
        first: members that rows need, and that are no rows.
        ordinary: sets without an anomaly, by name, on which false components are counted.
        closed_set: where mIoU is measured; None leaves it out.
        cost: how time and memory are measured; None leaves them out.
        against: row that all others are compared with, by a paired bootstrap.
        published: set whose published rows stand beside, out of `report/published.csv`.
        frames: how many frames of each set are shown, the same for all rows.
        resamples: draws of the bootstrap.
    """

    title: str
    segmenter: Part | str
    rows: dict[str, Member]
    sets: dict[str, TestSet]
    out: str = "runs/leaderboard"
    about: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    fitting: dict[str, Any] = field(default_factory=dict)
    first: dict[str, Member] = field(default_factory=dict)
    ordinary: dict[str, OrdinarySet] = field(default_factory=dict)
    closed_set: ClosedSet | None = None
    cost: Cost | None = None
    against: str = ""
    published: str = ""
    frames: int = 6
    resamples: int = 500


NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Of rows, members and sets: they are folders, and stand behind `@`."""

GROUPS: dict[str, type] = {
    "rows": Member,
    "first": Member,
    "sets": TestSet,
    "ordinary": OrdinarySet,
}
NEEDED = ("rows", "sets")
"""Groups that may not be empty."""
PARTS: dict[str, type] = {"closed_set": ClosedSet, "cost": Cost}


def read_board(path: Path) -> Board:
    """Read a config.

    Raises:
        OptionError: no such file, a key that does not exist or is missing, or a value out of range;
            names the place and the nearest key.
    """
    held = parsed_config(path, yaml.safe_load, "Name a file of a leaderboard.")
    return board_of(held, f"the config {path}")


def board_of(held: Any, what: str) -> Board:
    """Return the leaderboard that plain values describe.

    Args:
        held: as YAML has it.
        what: stands at the start of messages.

    Raises:
        OptionError: as `read_board`.
    """
    require_keys(Board, held, what)
    given = dict(held)
    for key, kind in GROUPS.items():
        of_group = given.get(key, {})
        if not isinstance(of_group, Mapping) or (not of_group and key in NEEDED):
            msg = f"{what}: `{key}` must be a mapping from names to options, not {of_group!r}."
            raise OptionError(msg)
        for name in of_group:
            if not isinstance(name, str) or not NAME.fullmatch(name):
                msg = f"{what}: {name!r} of `{key}` needs a name of letters, digits, _ and -."
                raise OptionError(msg)
        given[key] = {name: typed(kind, one, f"{what}, `{name}`") for name, one in of_group.items()}
    for key, kind in PARTS.items():
        if given.get(key) is not None:
            given[key] = typed(kind, given[key], f"{what}, `{key}`")
    plain = {key: one for key, one in given.items() if key not in (*GROUPS, *PARTS)}
    check_types(Board, plain, what)
    board = Board(**given)
    _check(board, what)
    return board


def require_keys(kind: type, held: Any, what: str) -> None:
    """Refuse what is no mapping, has other keys than a dataclass has, or one without a value.

    Raises:
        OptionError: names the key, and of an unknown one the nearest.
    """
    known = [one.name for one in fields(kind)]
    if not isinstance(held, Mapping):
        msg = f"{what} is {held!r}; it must be a mapping with the keys {', '.join(known)}."
        raise OptionError(msg)
    for key in held:
        if key not in known:
            msg = f"{what} has the key `{key}`, which is none of it; {nearest(str(key), known)}"
            raise OptionError(msg)
    for one in fields(kind):
        has_default = one.default is not MISSING or one.default_factory is not MISSING
        if not has_default and one.name not in held:
            msg = f"{what} lacks the key `{one.name}`."
            raise OptionError(msg)
    refuse_blank(kind, held, what)


def typed(kind: type[T], held: Any, what: str) -> T:
    """Return a dataclass from plain values; lists become tuples where it has those.

    Raises:
        OptionError: an unknown or missing key, or a value of another type.
    """
    require_keys(kind, held, what)
    check_types(kind, held, what)
    pairs = ("seeds", "size")
    return kind(**{k: tuple(v) if k in pairs and v is not None else v for k, v in held.items()})


def _check(board: Board, what: str) -> None:
    both = sorted(board.rows.keys() & board.first.keys())
    if both:
        msg = f"{what}: `{both[0]}` is among `rows` and among `first`; give one another name."
        raise OptionError(msg)
    for name, member in (board.rows | board.first).items():
        if not member.seeds or len(set(member.seeds)) < len(member.seeds):
            msg = f"{what}, `{name}`: `seeds` is {list(member.seeds)}; give each once, as [0, 1]."
            raise OptionError(msg)
    for name, member in board.rows.items():
        if member.how not in ("train", "fit"):
            msg = f"{what}, `{name}`: a {member.how} scores no pixels: it belongs under `first`."
            raise OptionError(msg)
    _check_published(board, what)
    for name, one in board.sets.items():
        if one.data.get("name") not in PROTOCOLS:
            msg = (
                f"{what}, set `{name}`: no benchmark scores {one.data.get('name')!r}; "
                f"{nearest(str(one.data.get('name')), PROTOCOLS)}"
            )
            raise OptionError(msg)
    _check_ordinary(board, what)
    if board.against and board.against not in board.rows:
        msg = f"{what}: `against` is no row: {nearest(board.against, board.rows)}"
        raise OptionError(msg)
    if board.cost and (board.cost.repeats < 1 or min(board.cost.size) < 1):
        msg = f"{what}, `cost`: `repeats` and both numbers of `size` must be at least 1."
        raise OptionError(msg)
    if board.frames < 0 or board.resamples < 1:
        msg = f"{what}: `frames` must not be negative, and `resamples` at least 1."
        raise OptionError(msg)


def _check_ordinary(board: Board, what: str) -> None:
    """Refuse ordinary sets whose data set or options do not exist, or are out of range."""
    for name, one in board.ordinary.items():
        options = dict(one.data)
        data = str(options.pop("name", ""))
        try:
            check_world(name, one.world)
            DATASETS.check_options(data, options)
            DATASETS.check_types(data, options)
        except UserError as error:
            msg = f"{what}, `ordinary`, `{name}`: {error}"
            raise OptionError(msg) from error


def _check_published(board: Board, what: str) -> None:
    """Refuse a name of the papers' rows that `report/published.csv` does not have."""
    if board.published and board.published not in published_sets():
        msg = f"{what}: `published` is no set of published rows: "
        raise OptionError(msg + nearest(board.published, published_sets()))
    known = [row.method for row in published(board.published) if row.split == "test"]
    for name, member in board.rows.items():
        if board.published and member.published and member.published not in known:
            msg = f"{what}, `{name}`: `published` names no row of {board.published}: "
            raise OptionError(msg + nearest(member.published, known))
