"""Open the frames that a submission needs: all of them, those with hidden truth too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from roadanomaly.data import DATASETS
from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.data.cards import Card, find_top
from roadanomaly.data.handed_round import is_handed_round
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.evaluation.submission.base import Track


def open_frames(track: Track, root: str | Path | None, *, incomplete: bool) -> BenchmarkSet:
    """Open the frames of a track.

    Args:
        track: which one.
        root: folder that holds the set's top folder or is it; None looks where `find_top` says.
        incomplete: take what is there.

    Raises:
        DataError: the set is absent, or frames are missing.
    """
    kind = DATASETS.get(track.data)
    assert issubclass(kind, BenchmarkSet)
    _refuse_handed_round(kind.card, root)
    frames = kind(split=track.split, root=root)
    if not incomplete and not is_whole(track, frames):
        raise _missing(track, frames)
    return frames


def _refuse_handed_round(card: Card, root: str | Path | None) -> None:
    """Refuse a set whose frames are numbered: a benchmark knows them by its own ids."""
    top = find_top(card, root)
    if is_handed_round(top):
        msg = (
            f"{top.absolute()} is {card.name} as it is handed round: its frames are numbered, and "
            "the benchmark could not tell which number is which of its frames. A submission needs "
            f"the frames under their official ids, those with hidden truth too: {card.where}"
        )
        raise DataError(msg)


def published_frames(track: Track, frames: BenchmarkSet) -> int:
    """Return how many frames the split has as published; where unknown, as many as are here."""
    return frames.card.splits[track.split].frames or len(frames)


def is_whole(track: Track, frames: BenchmarkSet) -> bool:
    """Tell whether every frame of the split is on disk."""
    official = frames.official(track.split) or frozenset()
    return official <= set(frames.ids) and len(frames) >= published_frames(track, frames)


def _missing(track: Track, frames: BenchmarkSet) -> DataError:
    card, official = frames.card, frames.official(track.split) or frozenset()
    published = published_frames(track, frames)
    absent = sorted(official - set(frames.ids))
    which = f" Missing: {shorten(absent)}." if absent else ""
    msg = (
        f"{frames.root.absolute()} holds {len(frames)} of the {published} frames of {card.name} "
        f"`{track.split}`, but a submission needs all of them, also those with hidden truth "
        f"({card.sums[0]}).{which} Get the rest ({card.where}); `roadanomaly data check "
        f"{card.name}` says what is there. To try the export on what is there, add --incomplete."
    )
    return DataError(msg)


def choose_tracks(
    tracks: tuple[Track, ...], wanted: str | None, split: str | None
) -> tuple[Track, ...]:
    """Return the tracks that are asked for.

    Args:
        tracks: of the benchmark.
        wanted: names, comma-separated; None takes all.
        split: instead of the usual one; where the benchmark ranks several.

    Raises:
        OptionError: an unknown track, or a split that is not submitted.
    """
    known = {track.name: track for track in tracks}
    names = list(known) if wanted is None else [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in known:
            msg = f"--track {name!r} is not of this benchmark; {nearest(name, known)}"
            raise OptionError(msg)
    chosen = tuple(track for track in tracks if track.name in names)
    if split is None:
        return chosen
    return tuple(_at(track, split) for track in chosen)


def _at(track: Track, split: str) -> Track:
    allowed = (track.split, *track.splits)
    if split not in allowed:
        msg = f"--split {split!r}: {track.name} is submitted on {' or '.join(allowed)}."
        raise OptionError(msg)
    return replace(track, split=split)
