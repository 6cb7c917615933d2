"""A server on a free port, that plays a clip with a red square."""

import socket
import threading
import time

import numpy as np
import pytest

from roadanomaly.calibration import calibrate
from roadanomaly.video.judge import Judge, Rules
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from tests.video.clips import RedIsStrange, write_clip

WEB = "the live page needs `pip install -e .[serve]`"
pytest.importorskip("fastapi", reason=WEB)
pytest.importorskip("uvicorn", reason=WEB)
pytest.importorskip("multipart", reason=WEB)


class Shades(RedIsStrange):
    """Red is strange, and how strange depends on the column: 6 to 14."""

    def __call__(self, image):
        found = super().__call__(image)
        found.score[:] *= np.linspace(0.6, 1.4, self.size[1], dtype=np.float32)
        return found


class Served:
    """A running server."""

    def __init__(self, clip, token=None):
        from roadanomaly.serve.app import build_app
        from roadanomaly.serve.live import Live, Shared
        from roadanomaly.serve.server import Server
        from roadanomaly.serve.uploads import Uploads

        calibration = calibrate([np.linspace(0, 14, 20_000)], 0.5, "a ramp")
        rules = Rules(high=7, low=7, min_area=20, smooth_s=0)

        def source_at(time_s):
            return open_source(str(clip), Reading(realtime=True, start_s=time_s))

        runtime = Shared(Shades())
        self.live = Live(source_at, runtime, calibration, rules, widen=1.0)
        self.uploads = Uploads(runtime, lambda: Judge(self.live.rules()))
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = build_app(self.live, self.uploads, token)
        self.server = Server(app, self.live)
        self.thread = threading.Thread(target=self.server.run, args=([listener],), daemon=True)
        self.thread.start()

    def becomes(self, true, seconds=30):
        """Say whether it is true within that time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if true():
                return True
            time.sleep(0.05)
        return False

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "red.mp4", 75, range(10, 43))


@pytest.fixture(scope="module")
def served(clip):
    one = Served(clip)
    assert one.becomes(lambda: one.server.started and one.live.serial > 3)
    yield one
    one.close()
