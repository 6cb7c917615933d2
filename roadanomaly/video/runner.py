"""The pipeline: decode, score, judge, and draw and encode at the same time, in bounded memory."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import psutil

from roadanomaly.errors import DataError, UserError
from roadanomaly.runtimes import Scorer, Scores
from roadanomaly.video.cuts import CutFinder
from roadanomaly.video.frames import Event, Judged, VideoFrame
from roadanomaly.video.judge import Judge
from roadanomaly.video.lanes import Closed, Lane
from roadanomaly.video.source import Source
from roadanomaly.video.statistics import Meter

GRACE_S = 10.0
"""Seconds that a stage gets to finish what it holds, once the video is over."""


class Sink(Protocol):
    """Somewhere that results go. `take` runs in a thread of its own, in order, never late."""

    def take(self, judged: Judged) -> None:
        """Take a frame's result."""

    def close(self, last: Sequence[Event]) -> str | None:
        """Take the events that end with the video; return what went wrong, or None."""


@dataclass(frozen=True)
class Scored:
    """A frame on its way from the network to the judge."""

    frame: VideoFrame
    scores: Scores
    model_s: float


class Runner:
    """Runs a video through a model. One thread decodes, one scores, one judges, one writes.

    Of a live source the oldest frame is dropped where the model falls behind; of others none.

    Args:
        source: opened.
        runtime: for the size at which frames are scored.
        judge: what counts as an object.
        sinks: where results go; events are handed over before the next frame is judged.
        patience_s: a source that gives nothing for so long is given up, however long the model
            takes; None waits for ever.
        on_frame: called with each result in the judging thread, for displays.
    """

    def __init__(
        self,
        source: Source,
        runtime: Scorer,
        judge: Judge,
        sinks: Sequence[Sink] = (),
        *,
        patience_s: float | None = None,
        on_frame: Callable[[Judged], None] | None = None,
    ) -> None:
        self.source = source
        self.runtime = runtime
        self.judge = judge
        self.sinks = sinks
        self.patience_s = patience_s
        self.on_frame = on_frame
        self.meter = Meter()
        self.events = 0
        self.ended = "end of the source"
        self._decoded: Lane[VideoFrame] = Lane(1 if source.live else 2, drop=source.live)
        self._scored: Lane[Scored] = Lane(2)
        self._judged: Lane[Judged] = Lane(2)
        self._cut = CutFinder()
        self._fault: BaseException | None = None
        self._asked_at = math.inf
        self._begun = time.perf_counter()

    def run(self) -> dict[str, Any]:
        """Run to the end of the source, or until `stop`; sinks are closed whatever happens.

        Returns:
            what `stats.json` holds.

        Raises:
            DataError: the source gave no frame, and nobody stopped it.
            UserError: a sink could not keep something.
            Exception: what a stage raised, after the sinks were closed.
        """
        stages = [
            threading.Thread(target=self._guard, args=(stage, lane), daemon=True)
            for stage, lane in (
                (self._decode, self._decoded),
                (self._score, self._scored),
                (self._write, None),
            )
        ]
        for stage in stages:
            stage.start()
        interrupt: BaseException | None = None
        try:
            self._judge_all()
        except BaseException as error:
            interrupt = error
            self.ended = "stopped" if isinstance(error, KeyboardInterrupt) else "a fault"
        faults = self._finish(stages)
        broken = interrupt or self._fault
        if broken is not None:
            for fault in faults:
                logging.getLogger(__name__).error("%s", fault)
            raise broken
        if not self.meter.frames and self.ended != "stopped":
            notes = "; ".join(self.source.mishaps.notes) or "it is empty or nothing can be decoded"
            msg = f"{self.source.name} gave no frame: {notes}."
            raise DataError(msg)
        if faults:
            raise UserError("\n".join(faults))
        return self.statistics()

    def stop(self) -> None:
        """End the run from another thread, as at the end of the source."""
        if self._fault is None:
            self.ended = "stopped"
        self.source.stop.set()
        self._decoded.close()

    def statistics(self) -> dict[str, Any]:
        """Return figures so far, as plain values."""
        mishaps = self.source.mishaps
        height, width = self.runtime.size
        lanes: dict[str, Lane[Any]] = {
            "decoded": self._decoded,
            "scored": self._scored,
            "judged": self._judged,
        }
        return {
            "source": self.source.name,
            "live": self.source.live,
            "frames": self.meter.frames,
            "fps": round(self.meter.fps, 2),
            "source_fps": round(self.source.fps, 3),
            "seconds": round(time.perf_counter() - self._begun, 3),
            "latency_ms": self.meter.latency.summary(),
            "model_ms": self.meter.model.summary(),
            "dropped": self._decoded.dropped,
            "corrupt": mishaps.corrupt,
            "lost": mishaps.lost,
            "reconnects": mishaps.reconnects,
            "size_changes": mishaps.size_changes,
            "queues": {
                name: {"mean": round(lane.mean_depth, 2), "most": lane.deepest, "size": lane.size}
                for name, lane in lanes.items()
            },
            "events": self.events,
            "thresholds": {"high": self.judge.rules.high, "low": self.judge.rules.low},
            "backend": self.runtime.name,
            "precision": self.runtime.precision,
            **self.runtime.about,
            "size": f"{width}x{height}",
            "memory_mb": round(psutil.Process().memory_info().rss / 2**20),
            "ended": self.ended,
            "notes": list(mishaps.notes),
        }

    def _guard(self, stage: Callable[[], None], lane: Lane[Any] | None) -> None:
        """Run a stage; keep what it raises and close what it fills."""
        try:
            with suppress(Closed):
                stage()
        except BaseException as error:
            self._fault = self._fault or error
            self.ended = "a fault"
            self.source.stop.set()
            self._judged.close()
            self._decoded.close()
        finally:
            if lane is not None:
                lane.close()

    def _decode(self) -> None:
        self._asked_at = time.monotonic()
        for frame in self.source.frames(self.runtime.size):
            self._asked_at = math.inf
            self._decoded.put(frame)
            self._asked_at = time.monotonic()
        self._asked_at = math.inf

    def _score(self) -> None:
        try:
            while True:
                frame = self._decoded.take()
                start = time.perf_counter()
                scores = self._scores_of(frame)
                self._scored.put(Scored(frame, scores, time.perf_counter() - start))
        finally:
            self.runtime.leave()
            self._decoded.close()

    def _scores_of(self, frame: VideoFrame) -> Scores:
        """Score a frame, or say which one cannot be."""
        try:
            if self.runtime.keeps_state and self._cut(frame.image):
                self.runtime.reset()
            return self.runtime(frame.image)
        except DataError as error:
            place = f"frame {frame.number} of {self.source.name}, at {frame.time_s:.2f} s"
            msg = f"{place}: {error}"
            raise DataError(msg) from error

    def _judge_all(self) -> None:
        """Judge frames in this thread, which is the one that signals reach."""
        while True:
            try:
                scored = self._next()
            except Closed:
                return
            except TimeoutError:
                self.ended = "the source stalled"
                self.source.mishaps.notes.append(f"no frame for {self.patience_s:g} s")
                self.source.stop.set()
                return
            judged = self.judge(scored.frame, scored.scores)
            self.events += len(judged.ended)
            self.meter.add(scored.frame.captured, scored.model_s)
            if self.on_frame is not None:
                self.on_frame(judged)
            try:
                self._judged.put(judged)
            except Closed:
                return

    def _next(self) -> Scored:
        """Wait for the next frame, also for a slow model's.

        Raises:
            Closed: there is none.
            TimeoutError: the source was asked for one, and gave none for `patience_s`.
        """
        wait_s = self.patience_s
        while True:
            try:
                return self._scored.take(wait_s)
            except TimeoutError:
                assert self.patience_s is not None
                silent_s = max(0.0, time.monotonic() - self._asked_at)
                if silent_s >= self.patience_s:
                    raise
                wait_s = self.patience_s - silent_s

    def _write(self) -> None:
        while True:
            judged = self._judged.take()
            for sink in self.sinks:
                sink.take(judged)

    def _finish(self, stages: Sequence[threading.Thread]) -> list[str]:
        """Let the stages end, close the sinks, and return what they could not keep."""
        self.source.stop.set()
        for lane in (self._decoded, self._scored, self._judged):
            lane.close()
        for stage in stages:
            stage.join(GRACE_S)
        if not stages[0].is_alive():
            self.source.close()
        last = self.judge.close()
        self.events += len(last)
        faults = [sink.close(last) for sink in self.sinks]
        return [fault for fault in faults if fault]
