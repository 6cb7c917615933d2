"""Frames of several streams, gathered into one batch of the network."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from roadanomaly.runtimes.base import Runtime, Scores

WAIT_S = 0.005
"""How long the first frame of a batch waits for those of the other streams."""


class Gathering:
    """Scores what several threads ask, each for a stream of its own, in as few batches as it can.

    Whoever comes first gathers: it waits for a frame of each other stream, but not for long, and
    scores all that came as one batch. What comes meanwhile is the next batch. So a slow stream
    holds the others up by `wait_s` at most, and none gets another one's result.

    Args:
        runtime: for the size of all streams' frames; it keeps no state.
        wait_s: seconds.

    Attributes:
        frames: how many were scored.
        batches: in how many batches.
    """

    def __init__(self, runtime: Runtime, wait_s: float = WAIT_S) -> None:
        assert not runtime.keeps_state
        self.runtime = runtime
        self.wait_s = wait_s
        self.frames = self.batches = 0
        self._streams = 0
        self._waiting: list[_Asked] = []
        self._gathers = False
        self._changed = threading.Condition()

    def join(self) -> Seat:
        """Return what a new stream asks; it must be left when the stream is over."""
        with self._changed:
            self._streams += 1
        return Seat(self)

    def leave(self) -> None:
        """Wait for one stream less."""
        with self._changed:
            self._streams -= 1
            self._changed.notify_all()

    def score(self, image: np.ndarray) -> Scores:
        """Score a frame together with others.

        Raises:
            Exception: what the runtime raised at the batch.
        """
        asked = _Asked(image)
        with self._changed:
            self._waiting.append(asked)
            self._changed.notify_all()
        while not asked.over:
            batch = self._gather(asked)
            if batch:
                self._score(batch)
        if asked.fault is not None:
            raise asked.fault
        assert asked.found is not None
        return asked.found

    def _gather(self, asked: _Asked) -> list[_Asked]:
        """Return the next batch, or nothing where another thread has scored the frame."""
        with self._changed:
            self._changed.wait_for(lambda: asked.over or not self._gathers)
            if asked.over:
                return []
            self._gathers = True
            if self.runtime.takes_batches:
                self._changed.wait_for(self._all_are_here, self.wait_s)
            most = len(self._waiting) if self.runtime.takes_batches else 1
            batch = self._waiting[:most]
            del self._waiting[:most]
            return batch

    def _all_are_here(self) -> bool:
        return len(self._waiting) >= self._streams

    def _score(self, batch: Sequence[_Asked]) -> None:
        fault: BaseException | None = None
        found: Sequence[Scores | None] = [None] * len(batch)
        try:
            found = self.runtime.run_many([one.image for one in batch])
        except BaseException as error:
            fault = error
        with self._changed:
            for one, scores in zip(batch, found, strict=True):
                one.found, one.fault, one.over = scores, fault, True
            self.frames += len(batch)
            self.batches += 1
            self._gathers = False
            self._changed.notify_all()


class _Asked:
    """A frame, and what became of it."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.found: Scores | None = None
        self.fault: BaseException | None = None
        self.over = False


class Seat:
    """One stream's place in a gathering: the scorer that the stream sees.

    Args:
        gathering: the one that it belongs to.
    """

    keeps_state = False

    def __init__(self, gathering: Gathering) -> None:
        shared = gathering.runtime
        self.size, self.name, self.precision = shared.size, shared.name, shared.precision
        self._gathering = gathering
        self._left = False

    @property
    def about(self) -> dict[str, Any]:
        """What the shared runtime says, and how many frames a batch had on average."""
        many = self._gathering
        if not many.batches:
            return many.runtime.about
        return {**many.runtime.about, "frames_a_batch": round(many.frames / many.batches, 2)}

    def reset(self) -> None:
        """Nothing: the runtime keeps no state."""

    def __call__(self, image: np.ndarray) -> Scores:
        """Score one frame together with other streams' frames; as `Runtime.__call__`."""
        runtime = self._gathering.runtime
        runtime.check_frame(image)
        return runtime.checked(self._gathering.score(image))

    def leave(self) -> None:
        """Let nobody wait for this stream any more."""
        if not self._left:
            self._left = True
            self._gathering.leave()
