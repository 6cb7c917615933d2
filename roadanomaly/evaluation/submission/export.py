"""Write a submission: score, survey, write, read back, prove, pack; each step can be continued."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError, UserError
from roadanomaly.evaluation.submission import plan as plans
from roadanomaly.evaluation.submission.archive import pack, sha256
from roadanomaly.evaluation.submission.base import Submission, Track, TrackWriter
from roadanomaly.evaluation.submission.frames import is_whole, published_frames
from roadanomaly.evaluation.submission.intact import changed_files, digests, put_back
from roadanomaly.evaluation.submission.plan import State, fingerprint
from roadanomaly.evaluation.submission.source import Progress, ScoredTrack, Source
from roadanomaly.files import in_words, remove_partial, write_text

FORMAT = 1


@dataclass(frozen=True)
class Report:
    """What an export wrote.

    Args:
        card: what `submission.json` holds.
        already: whether it was whole before.
        mended: files of it that were gone or changed since, and were written again.
    """

    card: dict[str, Any]
    already: bool
    mended: tuple[str, ...] = ()


class Export:
    """One submission into one folder.

    Args:
        submission: what the benchmark accepts.
        source: where the scores come from.
        tracks: with the frames of each.
        progress: shows how far a step is.
    """

    def __init__(
        self,
        submission: Submission,
        source: Source,
        tracks: Sequence[tuple[Track, BenchmarkSet]],
        progress: Progress,
    ) -> None:
        self.submission = submission
        self.source = source
        self.tracks = tracks
        self.progress = progress
        self.out = submission.out

    def plan(self) -> dict[str, Any]:
        """Return what tells this export from others."""
        archive = self.submission.archive().name
        return {
            "format": FORMAT,
            "benchmark": self.submission.name,
            **self.submission.identity(),
            "tracks": {
                track.name: {
                    "split": track.split,
                    "frames": len(frames),
                    "images": fingerprint({k: _image(frames, k) for k in frames.ids}),
                    "scores": self.source.identity(track, frames),
                }
                for track, frames in self.tracks
            },
            "contents": [*self._contents(), archive],
        }

    def state(self) -> State:
        """Tell how far this export is in its folder.

        Raises:
            UserError: the folder holds something else.
        """
        return plans.find_state(self.out, self.plan())

    def restart(self) -> None:
        """Remove the export that the folder holds, whole or begun, if any.

        Raises:
            UserError: something cannot be removed.
        """
        plans.restart(self.out, self.plan())

    def need(self) -> float:
        """Return the bytes that the export may take on disk, estimated from above."""
        each = self.source.bytes_per_pixel + self.submission.bytes_per_pixel
        pixels = 0
        for _, frames in self.tracks:
            height, width = frames.size(frames.ids[0])
            pixels += height * width * len(frames)
        return float(each * pixels)

    def rehearse(self) -> None:
        """Find what would be refused, and write nothing.

        Raises:
            DataError: a map is missing, superfluous or cannot be used.
            UserError: there is too little room.
        """
        for track, frames in self.tracks:
            self.source.rehearse(track, frames, self.progress)
        self._require_room()

    def run(self) -> Report:
        """Write, or continue; a whole export is looked at, and files that were changed mended.

        Raises:
            DataError: the scores cannot be used, something was lost, or a file was damaged.
            UserError: the folder holds something else or cannot be written.
        """
        plan, state = self.plan(), self.state()
        mended: tuple[str, ...] = ()
        if state is State.WHOLE:
            report = self._look_at()
            if report.already:
                return report
            mended = report.mended
        self._require_room()
        plans.begin(self.out, plan)
        remove_partial(self.out)
        proofs, tracks = {}, {}
        for track, frames in self.tracks:
            writer = self._track(track, frames)
            proofs[track.name] = writer.proof()
            tracks[track.name] = _track_card(track, frames, writer, proofs[track.name])
        self.submission.finish(proofs)
        archive = self.submission.archive()
        pack(archive, self.out, self.submission.packed())
        card: dict[str, Any] = {
            "benchmark": self.submission.name,
            "method": self.submission.settings.method,
            "complete": all(one["whole"] for one in tracks.values()) and self._all_tracks(),
            "tracks": tracks,
            "archive": {
                "name": archive.name,
                "bytes": archive.stat().st_size,
                "sha256": sha256(archive),
            },
            "send": self.submission.send,
            "files": digests(self.out, self._contents()),
            "plan": plan,
        }
        write_text(self.out / plans.CARD, json.dumps(card, indent=1) + "\n")
        shutil.rmtree(self.out / plans.WORK, ignore_errors=True)
        return Report(card, already=False, mended=mended)

    def _contents(self) -> list[str]:
        return [*self.submission.packed(), *self.submission.unpacked]

    def _all_tracks(self) -> bool:
        given = {track.name for track, _ in self.tracks}
        return all(one.optional or one.name in given for one in self.submission.tracks)

    def _look_at(self) -> Report:
        """Compare every file with what was written, and put back what the archive holds of them.

        Returns:
            `already` is False where files are left that only another run can write.
        """
        card = json.loads((self.out / plans.CARD).read_text())
        archive = self.submission.archive()
        if not archive.exists() or sha256(archive) != card.get("archive", {}).get("sha256"):
            msg = (
                f"{archive} is missing or was changed since it was exported; add --restart to "
                "write it anew."
            )
            raise DataError(msg)
        changed = changed_files(self.out, card.get("files") or {}, archive)
        left = put_back(self.out, changed, archive)
        if not left:
            shutil.rmtree(self.out / plans.WORK, ignore_errors=True)
        return Report(card, already=not left, mended=tuple(changed))

    def _require_room(self) -> None:
        place = self.out.absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < self.need():
            msg = (
                f"the export may take {in_words(self.need())}, but {place} has "
                f"{in_words(free)} free. Make room, or give an --out on another disk."
            )
            raise UserError(msg)

    def _track(self, track: Track, frames: BenchmarkSet) -> TrackWriter:
        kept = self.out / plans.WORK / track.name
        maps = self.source.maps(track, frames, kept, self.progress)
        scored = ScoredTrack(track, frames, maps, self.submission.wants_classes)
        writer = self.submission.writer(track, frames)
        if writer.surveys:
            for frame_id in self.progress(frames.ids, f"survey {track.name}"):
                writer.survey(scored.read(frame_id)[0])
        for frame_id in self.progress(frames.ids, f"write {track.name}"):
            writer.write(frame_id, *scored.read(frame_id))
        for frame_id in self.progress(frames.ids, f"check {track.name}"):
            writer.check(frame_id, *scored.read(frame_id))
        _require_names(writer)
        return writer


def _image(frames: BenchmarkSet, frame_id: str) -> Path:
    image = frames.files[frame_id].image
    assert image is not None
    return image


def _require_names(writer: TrackWriter) -> None:
    folder = writer.folder()
    held, wanted = {path.name for path in folder.iterdir()}, writer.names()
    if extra := sorted(held - wanted):
        msg = f"{folder} holds files that are of no frame ({shorten(extra)}); take them out."
        raise DataError(msg)
    if missing := sorted(wanted - held):
        msg = f"{folder} lacks {shorten(missing)}; run the export again."
        raise DataError(msg)


def _track_card(
    track: Track, frames: BenchmarkSet, writer: TrackWriter, proof: dict[str, Any]
) -> dict[str, Any]:
    hidden = sum(frames.hidden(frame_id) is not None for frame_id in frames.ids)
    return {
        "data": track.data,
        "split": track.split,
        "frames": len(frames),
        "hidden": hidden,
        "files": len(writer.names()),
        "published": published_frames(track, frames),
        "whole": is_whole(track, frames),
        "proof": proof,
        "warnings": list(writer.warnings()),
    }
