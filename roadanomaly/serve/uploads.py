"""Images and clips that visitors send: checked, decoded elsewhere, scored, kept for a while."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from roadanomaly.data.image_arrays import SUFFIXES, read_array, scale_image, write_image
from roadanomaly.errors import UserError
from roadanomaly.serve.decode_worker import CUT, ENVIRONMENT, MOST_FRAMES
from roadanomaly.serve.live import Shared
from roadanomaly.video.frames import Event, Sighting, VideoFrame
from roadanomaly.video.judge import Judge
from roadanomaly.video.overlay import draw
from roadanomaly.video.runner import Runner
from roadanomaly.video.sinks import OverlayVideo
from roadanomaly.video.source import SUFFIXES as CLIPS
from roadanomaly.video.sources import open_source
from roadanomaly.video.tracking import to_source

MOST_BYTES = 64 << 20
MOST_SECONDS = 90
MOST_LETTERS = 80
"""Of a visitor's name of a file that its result is saved under."""
MOST_AT_ONCE = 4
"""Uploads that may be on their way, waiting or in work; they are scored one after the other."""

KEPT = 20


class TooLarge(UserError):
    """More bytes than are taken."""


class Busy(UserError):
    """As many uploads are in work as are taken at a time."""


class Uploads:
    """Results of uploads, in a folder that goes with the server.

    Args:
        runtime: shared with the live video; uploads are scaled to its size.
        judge: makes a fresh judge at the threshold of the moment.
    """

    def __init__(self, runtime: Shared, judge: Callable[[], Judge]) -> None:
        self._runtime = runtime
        self._judge = judge
        self._root = tempfile.TemporaryDirectory(prefix="roadanomaly-")
        self._count = 0
        self._taken = 0
        self._kept: list[Path] = []
        self._names: dict[str, str] = {}
        self._scorer = ThreadPoolExecutor(1, "uploads")
        self._stop: Callable[[], None] | None = None
        self._closed = False

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the few places for uploads; asked from the event loop alone.

        Raises:
            Busy: all are taken.
        """
        if self._taken >= MOST_AT_ONCE:
            msg = f"busy with {self._taken} uploads; try again in some seconds."
            raise Busy(msg)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> Path:
        """Store an upload in a folder of its own.

        Raises:
            UserError: its ending is of no kind that is taken.
            TooLarge: it is larger than `MOST_BYTES`.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES + CLIPS:
            msg = (
                f"{suffix or 'a file without an ending'} is not taken; send an image "
                f"({', '.join(SUFFIXES)}) or a clip ({', '.join(CLIPS)})."
            )
            raise UserError(msg)
        self._count += 1
        folder = Path(self._root.name) / f"{self._count:06d}"
        folder.mkdir()
        self._names[folder.name] = plain_stem(name)
        path, size = folder / f"upload{suffix}", 0
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > MOST_BYTES:
                        msg = f"the file is larger than {MOST_BYTES >> 20} MB."
                        raise TooLarge(msg)
                    file.write(chunk)
        except BaseException:
            self._forget(folder)
            raise
        return path

    async def scored(self, path: Path) -> dict[str, Any]:
        """Score an upload when those before it are done, in a thread that nothing else needs.

        Raises:
            UserError: it cannot be decoded.
        """
        return await asyncio.get_running_loop().run_in_executor(self._scorer, self._score, path)

    def _score(self, path: Path) -> dict[str, Any]:
        """Decode an upload in a process of its own and score it."""
        folder = path.parent
        try:
            cut = self._decode(path, folder)
            path.unlink()
            found = self._image(folder) or {
                **self._clip(folder),
                "cut_after": MOST_FRAMES if cut else None,
            }
        except BaseException:
            self._forget(folder)
            raise
        self._kept.append(folder)
        while len(self._kept) > KEPT:
            self._forget(self._kept.pop(0))
        return {"id": folder.name, "name": self.saved_name(folder / found["file"]), **found}

    def _forget(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._names.pop(folder.name, None)

    def _image(self, folder: Path) -> dict[str, Any] | None:
        if not (folder / "image.png").exists():
            return None
        image = read_array(folder / "image.png")
        scaled = scale_image(image, self._runtime.size)
        size = (image.shape[0], image.shape[1])
        frame = VideoFrame(0, 0.0, 0.0, scaled, size)
        judged = self._judge()(frame, self._runtime(scaled))
        write_image(folder / "overlay.png", scale_image(draw(judged), size))
        return {
            "kind": "image",
            "file": "overlay.png",
            "components": [_at_source(one, frame).as_dict() for one in judged.sightings],
        }

    def _clip(self, folder: Path) -> dict[str, Any]:
        source = open_source(str(folder / "clip.mp4"))
        overlay = OverlayVideo(
            folder / "overlay.mp4", self._runtime.size, source.fps, lambda judged: ""
        )
        events = _Events()
        runner = Runner(source, self._runtime, self._judge(), [overlay, events])
        with self._stopped_by(runner.stop):
            figures = runner.run()
        return {
            "kind": "clip",
            "file": "overlay.mp4",
            "frames": figures["frames"],
            "events": [event.as_dict() for event in events.found],
        }

    def result(self, number: str, name: str) -> Path | None:
        """Return a result's file, or None."""
        path = Path(self._root.name) / number / name
        allowed = number.isdigit() and name in ("overlay.png", "overlay.mp4")
        return path if allowed and path.exists() else None

    def saved_name(self, path: Path) -> str:
        """Return what a result's file is called when a visitor saves it, after the upload."""
        stem = self._names.get(path.parent.name, "")
        return f"{stem}_{path.name}" if stem else path.name

    def close(self) -> None:
        """Break off what is in work and remove everything."""
        self._closed = True
        stop = self._stop
        if stop is not None:
            stop()
        self._scorer.shutdown(cancel_futures=True)
        self._root.cleanup()

    @contextlib.contextmanager
    def _stopped_by(self, stop: Callable[[], None]) -> Iterator[None]:
        """Say what `close` must call while this goes on."""
        self._stop = stop
        if self._closed:
            stop()
        try:
            yield
        finally:
            self._stop = None

    def _decode(self, path: Path, folder: Path) -> bool:
        """Decode an upload in a process of its own.

        Returns:
            whether a clip was cut to `MOST_FRAMES`.

        Raises:
            UserError: it cannot be decoded, or not in time.
        """
        command = [sys.executable, "-m", "roadanomaly.serve.decode_worker", str(path), str(folder)]
        told_how: dict[str, Any] = {"env": {**os.environ, **ENVIRONMENT}, "text": True}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, **told_how) as worker:
            try:
                with self._stopped_by(worker.kill):
                    said, told = worker.communicate(timeout=MOST_SECONDS)
            except subprocess.TimeoutExpired as error:
                worker.kill()
                msg = f"the file took longer than {MOST_SECONDS} s to decode; send a shorter one."
                raise UserError(msg) from error
        if worker.returncode:
            lines = told.strip().splitlines()
            reason = lines[-1] if worker.returncode == 1 and lines else "the decoder broke down"
            msg = f"this file cannot be used: {reason}"
            raise UserError(msg)
        return bool(said == CUT)


def plain_stem(name: str) -> str:
    r"""Return a visitor's name of a file without folders, ending and invisible characters.

    >>> plain_stem("C:\\bilder\\Straße_Öl.jpg")
    'Straße_Öl'
    """
    stem = Path(name.replace("\\", "/")).stem
    return "".join(letter for letter in stem if letter.isprintable())[:MOST_LETTERS].strip()


def _at_source(sighting: Sighting, frame: VideoFrame) -> Sighting:
    """Return box and area in pixels of the picture that was sent, not of the network's."""
    height, width = frame.source_size
    larger = height * width / (frame.image.shape[0] * frame.image.shape[1])
    area = round(sighting.area * larger)
    return replace(sighting, box=to_source(sighting.box, frame), area=area)


class _Events:
    """A sink that keeps the events."""

    def __init__(self) -> None:
        self.found: list[Event] = []

    def take(self, judged: Any) -> None:
        self.found += judged.ended

    def close(self, last: Any) -> str | None:
        self.found += last
        return None
