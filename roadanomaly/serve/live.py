"""The video behind the page: runs it, and keeps the last frame and the events."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from roadanomaly.calibration import Calibration
from roadanomaly.errors import OptionError, UserError
from roadanomaly.runtimes import Runtime, Scores
from roadanomaly.video.frames import Event, Judged
from roadanomaly.video.judge import Judge, Rules, find_objects, stated_rates, thresholds
from roadanomaly.video.overlay import draw, heat_picture
from roadanomaly.video.runner import Runner
from roadanomaly.video.source import Source

MOST_EVENTS = 200
THUMBNAIL = (160, 90)
VIEWS = ("overlay", "heat")


class Shared:
    """A runtime that several threads may call, in the order in which they came.

    A plain lock would let an upload's thread take it again and again, and the live picture stand.
    What a detector keeps from frame to frame is forgotten where another thread's frames begin.

    Args:
        runtime: the real one.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.size, self.name, self.precision = runtime.size, runtime.name, runtime.precision
        self.keeps_state, self.about = runtime.keeps_state, runtime.about
        self._runtime = runtime
        self._caller = threading.get_ident()
        self._turns = threading.Condition()
        self._came = self._served = 0

    def reset(self) -> None:
        """Forget earlier frames."""
        self._runtime.reset()

    def leave(self) -> None:
        """Nothing: nobody waits for a stream."""

    def __call__(self, image: np.ndarray) -> Scores:
        """Score one frame."""
        with self._turns:
            mine, self._came = self._came, self._came + 1
            self._turns.wait_for(lambda: self._served == mine)
        try:
            if self.keeps_state and self._caller != threading.get_ident():
                self._runtime.reset()
            self._caller = threading.get_ident()
            return self._runtime(image)
        finally:
            with self._turns:
                self._served += 1
                self._turns.notify_all()


@dataclass(frozen=True)
class Settings:
    """What the sliders say.

    Args:
        rate: share of inlier pixels that may exceed the high threshold.
        opacity: of the tint, 0 to 1.
        paused: whether the picture stands still.
    """

    rate: float
    opacity: float = 0.45
    paused: bool = False


@dataclass
class Noted:
    """An event as the page lists it."""

    event: Event
    on: bool
    picture: bytes


class Live:
    """Plays a source through the model for ever; files begin again at their end.

    Args:
        open_source: opens the source at a time, seconds.
        runtime: for its frames.
        calibration: of the model.
        rules: what counts as an object.
        widen: how much more inlier pixels the low threshold lets through.

    Attributes:
        over: set when nothing is to be shown any more.
    """

    def __init__(
        self,
        open_source: Callable[[float], Source],
        runtime: Shared,
        calibration: Calibration,
        rules: Rules,
        widen: float = 3.0,
    ) -> None:
        self.runtime = runtime
        self.calibration = calibration
        self.settings = Settings(rate=stated_rates(calibration)[0])
        self.fault: str | None = None
        self.seekable = False
        self._open_source = open_source
        self._rules = rules
        self._widen = widen
        self._lock = threading.RLock()
        self._last: Judged | None = None
        self._serial = 0
        self._pictures: dict[str, tuple[int, bytes]] = {}
        self._events: dict[str, Noted] = {}
        self._from_s = 0.0
        self._session = 0
        self._runner: Runner | None = None
        self.over = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()

    def close(self) -> None:
        """Stop playing."""
        self.over.set()
        self._wake.set()
        if self._runner is not None:
            self._runner.stop()
        if self._thread.ident is not None:
            self._thread.join(5)

    @property
    def serial(self) -> int:
        """Grows with each new picture."""
        return self._serial

    def _play(self) -> None:
        while not self.over.is_set():
            self._wake.clear()
            if self.settings.paused and self._last is not None:
                self._wake.wait()
                continue
            begun = time.monotonic()
            try:
                self._play_once()
            except UserError as error:
                self.fault = str(error)
            except Exception as error:
                self.fault = f"{type(error).__name__}: {error}"
            if not self._wake.is_set():
                self._from_s = 0.0
                self._wake.wait(max(0.0, 1.0 - (time.monotonic() - begun)))

    def _play_once(self) -> None:
        source = self._open_source(self._from_s)
        judge = Judge(self.rules())
        judge.keeps_peaks = True
        runner = Runner(source, self.runtime, judge, on_frame=self._show)
        with self._lock:
            self._session += 1
            self.seekable = not getattr(source, "endless", False)
            self._runner = runner
        if self._wake.is_set() or self.over.is_set():
            source.close()
            return
        try:
            runner.run()
        finally:
            with self._lock:
                for noted in self._events.values():
                    noted.on = False

    def rules(self) -> Rules:
        """Return what counts as an object at the threshold of the moment."""
        high, low = thresholds(self.calibration.at(self.settings.rate, "rate"), self._widen)
        return replace(self._rules, high=high, low=low, guard_s=0)  # the visitor is the guard

    def _show(self, judged: Judged) -> None:
        """Keep a result; called by the judging thread."""
        runner = self._runner
        if runner is None:
            return
        with self._lock:
            if self.settings.paused and self._last is not None:
                return
            for event in runner.judge.open_events:
                self._note(event, runner.judge.at_peak(event, judged), on=True)
            for event in judged.ended:
                self._note(event, judged, on=False)
            self._last = judged
            self.fault = None
            self._serial += 1

    def _note(self, event: Event, judged: Judged, *, on: bool) -> None:
        key = f"{self._session}-{event.id}"
        noted = self._events.get(key)
        is_peak = event.peak_frame == judged.frame.number
        if noted is None or (is_peak and noted.event.peak_frame != event.peak_frame):
            self._events[key] = Noted(event, on, _thumbnail(event, judged))
        else:
            noted.event, noted.on = event, on
        while len(self._events) > MOST_EVENTS:
            del self._events[next(iter(self._events))]

    def change(self, **values: Any) -> Settings:
        """Take new settings; the picture on show is judged again at once.

        Raises:
            OptionError: a value out of its range.
        """
        with self._lock:
            wanted = replace(self.settings, **values)
            self.calibration.threshold_at(wanted.rate)
            if not 0 <= wanted.opacity <= 1:
                msg = f"opacity must lie between 0 and 1, not {wanted.opacity:g}."
                raise OptionError(msg)
            turned = wanted.paused != self.settings.paused
            self.settings = wanted
            if self._runner is not None:
                self._runner.judge.rules = self.rules()
            if self._last is not None:
                self._last = self._again(self._last)
                self._serial += 1
        if turned:
            self._jump(self.time_s)
        return wanted

    def turn(self) -> Settings:
        """Pause, or go on: the page may not know yet which of the two it is."""
        return self.change(paused=not self.settings.paused)

    def _again(self, judged: Judged) -> Judged:
        mask, components = find_objects(judged.scores, self.rules())
        return replace(judged, mask=mask, components=components)

    @property
    def time_s(self) -> float:
        """Time of the picture on show."""
        return 0.0 if self._last is None else self._last.frame.time_s

    def seek(self, time_s: float) -> None:
        """Go on from another moment.

        Raises:
            OptionError: the source is live, or the time no number.
        """
        if not math.isfinite(time_s):
            msg = f"a moment must be a number of seconds, not {time_s:g}."
            raise OptionError(msg)
        if not self.seekable:
            msg = "a live source has no other moments; its events keep their pictures."
            raise OptionError(msg)
        with self._lock:
            self.settings = replace(self.settings, paused=False)
        self._jump(max(0.0, time_s))

    def _jump(self, time_s: float) -> None:
        """Play from a moment; a live source is left as it runs, and opened again if it was lost."""
        if not self.seekable:
            self._wake.set()
            return
        self._from_s = time_s
        self._wake.set()
        if self._runner is not None:
            self._runner.stop()

    def picture(self, view: str) -> bytes:
        """Return the last frame as JPEG; empty before the first."""
        with self._lock:
            judged, serial, opacity = self._last, self._serial, self.settings.opacity
            kept = self._pictures.get(view)
        if judged is None:
            return b""
        if kept is not None and kept[0] == serial:
            return kept[1]
        shown = (
            heat_picture(judged.scores.rarity) if view == "heat" else draw(judged, opacity=opacity)
        )
        content = jpeg(shown)
        self._pictures[view] = (serial, content)
        return content

    def event_picture(self, key: str) -> bytes | None:
        """Return an event's thumbnail as JPEG."""
        with self._lock:
            noted = self._events.get(key)
        return None if noted is None else noted.picture

    def status(self) -> dict[str, Any]:
        """Return what the page shows beside the picture."""
        with self._lock:
            runner, judged = self._runner, self._last
            events = [
                {"key": key, "on": noted.on, **noted.event.as_dict()}
                for key, noted in reversed(self._events.items())
            ]
        figures = runner.statistics() if runner is not None and runner.meter.frames else {}
        area = 0.0 if judged is None else float(judged.mask.mean())
        return {
            "serial": self._serial,
            "time_s": round(self.time_s, 2),
            "settings": {**vars(self.settings)},
            "threshold": self.rules().high,
            "mask_share": round(area, 6),
            "seekable": self.seekable,
            "fault": self.fault,
            "figures": figures,
            "events": events,
        }


def jpeg(picture: np.ndarray, quality: int = 85) -> bytes:
    """Encode `(H, W, 3)` uint8 RGB."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[
        1
    ].tobytes()


def _thumbnail(event: Event, judged: Judged) -> bytes:
    """Cut an event out of its frame, with as much around it again."""
    frame = judged.frame
    height, width = frame.image.shape[:2]
    scale = np.array([width / frame.source_size[1], height / frame.source_size[0]] * 2)
    x0, y0, x1, y1 = np.array(event.box) * scale
    centre_x, centre_y = (x0 + x1) / 2, (y0 + y1) / 2
    half = max((x1 - x0), (y1 - y0) * 16 / 9, 64.0)
    left, right = max(0, int(centre_x - half)), min(width, int(centre_x + half))
    top, bottom = max(0, int(centre_y - half * 9 / 16)), min(height, int(centre_y + half * 9 / 16))
    part = draw(judged)[top:bottom, left:right]
    return jpeg(cv2.resize(part, THUMBNAIL, interpolation=cv2.INTER_AREA))
