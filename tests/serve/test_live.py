"""The video behind the page, without a server: lost sources, and the pictures of peaks."""

import time
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from roadanomaly.calibration import calibrate
from roadanomaly.runtimes import Scores
from roadanomaly.serve.live import Live, Shared
from roadanomaly.video.frames import VideoFrame
from roadanomaly.video.judge import Rules
from tests.video.clips import Camera, RedIsStrange, picture


def live_of(open_source, runtime):
    calibration = calibrate([np.linspace(0, 14, 20_000)], 0.5, "a ramp")
    rules = Rules(high=7, low=7, min_area=20, smooth_s=0)
    return Live(open_source, Shared(runtime), calibration, rules, widen=1.0)


def becomes(true, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not true():
        time.sleep(0.02)
    return true()


@contextmanager
def watched():
    """A page's camera that runs, and all that were opened for it."""
    opened = []

    def open_camera(_):
        opened.append(Camera())
        return opened[-1]

    live = live_of(open_camera, RedIsStrange())
    live.start()
    try:
        assert becomes(lambda: live.serial > 3)
        yield live, opened
    finally:
        live.close()


@pytest.mark.slow
def test_a_camera_that_was_lost_in_a_pause_comes_back_with_go_on():
    with watched() as (live, opened):
        live.change(paused=True)
        opened[0].lost.set()
        assert becomes(lambda: opened[0].stop.is_set())  # its run is over
        time.sleep(1.5)  # and the wait before a source is opened again, too
        assert len(opened) == 1
        live.change(paused=False)
        assert becomes(lambda: len(opened) == 2)
        shown = live.serial
        assert becomes(lambda: live.serial > shown)


def test_a_pause_does_not_end_a_camera():
    with watched() as (live, opened):
        for _ in range(4):
            live.turn()
        shown = live.serial
        assert becomes(lambda: live.serial > shown)
        assert len(opened) == 1


class Fades(RedIsStrange):
    """The square scores highest on its first frame: 10, then 9.9 and so on."""

    number = 0

    def __call__(self, image):
        found = super().__call__(image)
        self.number += 1
        return Scores(found.classes, found.score * (1 - self.number / 100), found.rarity)


@pytest.mark.parametrize("colour", [(20, 20, 230), (20, 230, 20)])
def test_an_event_s_picture_is_the_frame_of_its_peak(colour):
    """The peak comes before the alarm; its frame alone has a ground of that colour."""

    class Clip(Camera):
        """Few frames, and none is dropped."""

        def __init__(self):
            super().__init__()
            self.live = False

        def frames(self, size):
            for number in range(12):
                image = picture(number)
                if number == 0:
                    image[60:] = colour
                yield VideoFrame(number, number / 25, time.perf_counter(), image, size)
            self.stop.wait(30)

    live = live_of(lambda _: Clip(), Fades())
    live.start()
    try:
        assert becomes(lambda: any(live.status()["events"]))
        (event,) = live.status()["events"]
        assert event["peak_frame"] == 0
        shown = cv2.imdecode(
            np.frombuffer(live.event_picture(event["key"]), np.uint8), cv2.IMREAD_COLOR_RGB
        )
        assert np.abs(shown[-12:, :40].astype(int) - colour).mean() < 25
    finally:
        live.close()
