"""The whole pipeline against the bare model: rate, latency on a live source, memory over time.

    python benchmarks/video.py MODEL clip.mp4 --size 640x360 --backends openvino,torch

Rate: H.264 file in, overlay encoded to H.264 out, against the model alone on the same frames, in
turns. Latency: the file played at its own pace as a camera; what the pipeline adds to the model,
p95, in frame intervals. Memory: `--loop N` plays the file N times and prints the resident memory
as it goes; `--no_model` leaves the network out of that, to go through 20,000 frames in minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from roadanomaly.cli.parsing import frame_size
from roadanomaly.runtimes import Scores
from roadanomaly.runtimes.ready import Choice, Opened
from roadanomaly.training.record import machine
from roadanomaly.video.judge import Judge, Rules, stated_rates, thresholds
from roadanomaly.video.runner import Runner
from roadanomaly.video.sinks import EventFile, OverlayVideo
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source


class NoModel:
    """Scores that cost nothing: brightness."""

    name, precision, keeps_state = "none", "f32", False

    def __init__(self, size):
        self.size = size
        self.about = {}

    def leave(self) -> None:
        """Nothing: nobody waits."""

    def __call__(self, image):
        """Score one frame."""
        score = image[..., 0].astype(np.float32)
        return Scores(image[..., 1], score, score)


def opened_by(given, backend: str) -> Opened:
    """As `roadanomaly video` opens it: without the class map, which no rule of it asks for."""
    choice = Choice(backend, given.precision, device=given.device, classes=False)
    return Opened(given.model, choice)


def rules_of(opened: Opened, motion: str) -> Rules:
    high, low = thresholds(opened.calibration)
    rates = stated_rates(opened.calibration)
    return Rules(high, low, opened.min_area, motion=motion, rates=rates, guard_s=10)


def run(given, runtime, rules, reading: Reading, on_frame=None) -> dict:
    source = open_source(given.clip, reading)
    with tempfile.TemporaryDirectory() as folder:
        sinks = [
            EventFile(Path(folder) / "events.jsonl"),
            OverlayVideo(Path(folder) / "overlay.mp4", runtime.size, source.fps, lambda j: "bench"),
        ]
        return Runner(source, runtime, Judge(rules), sinks, on_frame=on_frame).run()


def bare_fps(given, runtime, count: int) -> float:
    """Frames a second of the model alone, on frames that lie in memory."""
    frames = []
    for frame in open_source(given.clip).frames(runtime.size):
        frames.append(frame.image)
        if len(frames) == count:
            break
    runtime(frames[0])
    start = time.perf_counter()
    for image in frames:
        runtime(image)
    return len(frames) / (time.perf_counter() - start)


def rate_and_latency(given, opened: Opened, backend: str) -> None:
    size = frame_size(given.size, "WxH")
    runtime = opened_by(given, backend).runtime(size)
    rules = rules_of(opened, given.motion)
    bare, whole = [], []
    for _ in range(given.turns):
        bare.append(bare_fps(given, runtime, given.frames))
        whole.append(run(given, runtime, rules, Reading())["fps"])
    live = run(given, runtime, rules, Reading(realtime=True))
    late, model = live["latency_ms"], live["model_ms"]
    interval = 1000 / live["source_fps"]
    print(
        f"{backend:>12} {given.size:>9} {np.median(bare):>9.1f} {np.median(whole):>9.1f} "
        f"{100 * np.median(whole) / np.median(bare):>8.0f} % {late['p50']:>7} {late['p95']:>7} "
        f"{late['p99']:>7} {(late['p95'] - model['p95']) / interval:>9.2f} {live['dropped']:>7} "
        f"{live['memory_mb']:>7}"
    )


def memory(given, opened: Opened) -> None:
    size = frame_size(given.size, "WxH")
    runtime = NoModel(size) if given.no_model else opened.runtime(size)
    rules = Rules(250, 240) if given.no_model else rules_of(opened, given.motion)
    seen = {"frames": 0}

    def on_frame(_) -> None:
        seen["frames"] += 1
        if seen["frames"] % given.every == 1:
            print(f"{seen['frames']:>8} {psutil.Process().memory_info().rss / 2**20:>8.1f} MB")

    print("  frames   memory")
    run(given, runtime, rules, Reading(loop=given.loop), on_frame)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("clip")
    parser.add_argument("--size", default="640x360", help="WxH")
    parser.add_argument("--backends", default="openvino,onnxruntime,torch")
    parser.add_argument("--precision", help="f32, bf16 or f16; the backend's or export's own")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--motion", default="none")
    parser.add_argument("--frames", type=int, default=100, help="of the bare model")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--loop", type=int, default=0, help="measure memory over so many rounds")
    parser.add_argument("--every", type=int, default=1000, help="frames between two lines of it")
    parser.add_argument("--no_model", action="store_true")
    given = parser.parse_args()
    precision = f", precision {given.precision}" if given.precision else ""
    print(f"machine  {machine()}, load {psutil.getloadavg()[0]:.1f}{precision}")
    opened = opened_by(given, given.backends.split(",")[0])
    if given.loop:
        memory(given, opened)
        return
    head = "     backend      size  bare fps       fps of bare      p50     p95     p99  added/if"
    print(head + " dropped      MB")
    for backend in given.backends.split(","):
        rate_and_latency(given, opened, backend)


if __name__ == "__main__":
    main()
