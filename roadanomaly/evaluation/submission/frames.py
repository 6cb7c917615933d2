"""Open the frames that a submission needs: all of them, those with hidden truth too."""

from __future__ import annotations

from pathlib import Path

from roadanomaly.data import DATASETS
from roadanomaly.data.benchmark import BenchmarkSet
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
    frames = kind(split=track.split, root=root)
    missing = missing_frames(track, frames)
    if missing and not incomplete:
        raise DataError(missing)
    return frames


def missing_frames(track: Track, frames: BenchmarkSet) -> str | None:
    """Say which frames of the split are not on disk, or return None."""
    card = frames.card
    published = card.splits[track.split].frames
    official = frames.official(track.split)
    absent = sorted(official - set(frames.ids)) if official else []
    if not absent and (published is None or len(frames) >= published):
        return None
    which = f" Missing: {shorten(absent)}." if absent else ""
    return (
        f"{frames.root.absolute()} holds {len(frames)} of the {published} frames of {card.name} "
        f"`{track.split}`, but a submission needs all of them, also those with hidden truth "
        f"({card.sums[0]}).{which} Get the rest ({card.where}); `roadanomaly data check "
        f"{card.name}` says what is there. To try the export on what is there, add --incomplete."
    )


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
    return Track(track.name, track.data, split, track.splits, track.proof, track.maps)
