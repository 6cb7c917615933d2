"""Small clips with a red square that walks, and a runtime that takes red for strange."""

import socket
import threading
import time
from fractions import Fraction

import av
import numpy as np

from roadanomaly.runtimes import Scores
from roadanomaly.video.frames import VideoFrame
from roadanomaly.video.judge import Judge, Rules
from roadanomaly.video.source import Source
from roadanomaly.video.tracking import Persistence

SIZE = (96, 128)
FPS = 25


class RedIsStrange:
    """Score 10 for red and 0 for grey."""

    name, precision, keeps_state = "red", "f32", False

    def __init__(self, size=SIZE, seconds=0.0):
        self.size = size
        self.seconds = seconds
        self.about = {}
        self.left = 0

    def leave(self):
        self.left += 1

    def __call__(self, image):
        time.sleep(self.seconds)
        score = np.where(image[..., 0].astype(int) - image[..., 1] > 80, 10, 0).astype(np.float32)
        return Scores(np.zeros(self.size, np.uint8), score, score / 2)


class InStep(RedIsStrange):
    """Has the frames of a live source read one by one, each when the one before it was taken.

    A live source drops what the model is too late for, and how much that is depends on the machine.
    """

    def __init__(self, source):
        super().__init__()
        self._taken = threading.Semaphore(1)
        self._read = source.frames
        source.frames = self._frames

    def _frames(self, size):
        for frame in self._read(size):
            self._taken.acquire(timeout=10)
            yield frame

    def __call__(self, image):
        self._taken.release()
        return super().__call__(image)


def judge(smooth_s=0, persistence=None):
    rules = Rules(
        high=5, low=4, min_area=20, smooth_s=smooth_s, persistence=persistence or Persistence()
    )
    return Judge(rules)


def picture(number, size=SIZE, shown=True):
    image = np.full((*size, 3), 110, np.uint8)
    if shown:
        x = 10 + 2 * number % (size[1] - 40)
        image[30:54, x : x + 24] = (230, 20, 20)
    return image


def write_clip(
    path, count=50, shown=range(10, 30), size=SIZE, codec="libx264", kind=None, times=None
):
    """Write a clip on which the square is to be seen on the frames `shown`."""
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(codec, rate=FPS)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 10
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, size, number in shown), "rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[number]), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames_of(path):
    """Decode a file with another reader's eyes: times and pictures."""
    with av.open(str(path)) as container:
        return [
            (frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
        ]


class Collector:
    """A sink that remembers."""

    def __init__(self):
        self.results = []
        self.events = []
        self.closed = False

    def take(self, judged):
        self.results.append(judged)
        self.events += judged.ended

    def close(self, last):
        self.events += last
        self.closed = True


class Camera(Source):
    """Gives grey frames without an end, until it is lost or stopped.

    Args:
        silent: it gives none.
    """

    size, fps, endless = SIZE, 25.0, True

    def __init__(self, silent=False):
        super().__init__("camera", live=True)
        self.lost = threading.Event()
        self.silent = silent

    def frames(self, size):
        number = 0
        while not self.stop.wait(0.01) and not self.lost.is_set():
            if not self.silent:
                image = picture(number, size, shown=False)
                yield VideoFrame(number, number / 25, time.perf_counter(), image, size)
                number += 1


class StreamServer:
    """Answers each connection with the next script: bytes to send, then what to do.

    A script is `(bytes, "close")` or `(bytes, "hang")`.
    """

    def __init__(self, *scripts):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._open = []
        threading.Thread(target=self._serve, args=(scripts,), daemon=True).start()

    def _serve(self, scripts):
        for content, then in scripts:
            connection, _ = self._listener.accept()
            self._open.append(connection)
            connection.sendall(content)
            if then == "close":
                connection.close()
        self._over.wait()

    def close(self):
        self._over.set()
        self._listener.close()
        for connection in self._open:
            connection.close()
