"""Faults that are put in: each is survived, or ends with a clear error; no event is lost."""

import base64
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from roadanomaly.errors import DataError, UserError
from roadanomaly.video import sinks, writer
from roadanomaly.video.runner import Runner
from roadanomaly.video.signals import stop_on_signals
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from tests.processes import Begun
from tests.video.clips import (
    SIZE,
    Camera,
    Collector,
    InStep,
    RedIsStrange,
    StreamServer,
    frames_of,
    judge,
    write_clip,
)


def run(source, *more, runtime=None, patience_s=None):
    seen = Collector()
    runner = Runner(
        source, runtime or RedIsStrange(), judge(), [seen, *more], patience_s=patience_s
    )
    return seen, runner, runner.run


def overlay(path):
    return sinks.OverlayVideo(path, SIZE, 25, lambda judged: "")


def test_truncated_file_gives_its_events_and_a_note(tmp_path):
    whole = write_clip(tmp_path / "whole.mkv", 60, range(10, 30)).read_bytes()
    clip = tmp_path / "part.mkv"
    clip.write_bytes(whole[: int(len(whole) * 0.8)])
    seen, _, go = run(open_source(str(clip)), overlay(tmp_path / "out.mp4"))
    figures = go()
    assert 25 < figures["frames"] < 60
    assert len(seen.events) == 1
    assert len(frames_of(tmp_path / "out.mp4")) == figures["frames"]


def test_file_without_its_index_is_a_clear_error(tmp_path):
    clip = write_clip(tmp_path / "whole.mp4")
    clip.write_bytes(clip.read_bytes()[:-600])
    with pytest.raises(DataError, match=r"cannot be opened as video.*truncated"):
        open_source(str(clip))


def test_corrupt_packets_are_counted_and_left_out(tmp_path):
    content = bytearray(write_clip(tmp_path / "whole.ts", 60, range(10, 40)).read_bytes())
    rng = np.random.default_rng(0)
    for place in range(len(content) // 3, len(content) // 3 + 4000, 40):
        content[place] = rng.integers(256)
    clip = tmp_path / "broken.ts"
    clip.write_bytes(content)
    seen, _, go = run(open_source(str(clip)))
    figures = go()
    assert figures["corrupt"] > 0
    assert 20 < figures["frames"] < 60
    assert figures["frames"] + figures["lost"] == pytest.approx(60, abs=1)
    assert seen.closed
    assert seen.events


@pytest.mark.slow
def test_stream_that_stalls_is_called_again_and_ends_in_time(tmp_path):
    content = write_clip(tmp_path / "clip.ts", 60, range(10, 40)).read_bytes()
    server = StreamServer((content, "hang"))
    reading = Reading(stall_s=0.6, reconnect_s=1.0)
    source = open_source(server.address, reading)
    seen, _, go = run(source, runtime=InStep(source), patience_s=8)
    figures = go()
    server.close()
    assert len(seen.events) == 1
    assert any("did not come back" in note for note in figures["notes"])


@pytest.mark.slow
def test_stream_that_comes_back_goes_on(tmp_path):
    content = write_clip(tmp_path / "clip.ts", 40, range(5, 35)).read_bytes()
    server = StreamServer((content, "close"), (content, "close"))
    reading = Reading(stall_s=1.0, reconnect_s=1.0)
    source = open_source(server.address, reading)
    assert source.live
    seen, _, go = run(source, runtime=InStep(source), patience_s=10)
    figures = go()
    server.close()
    assert figures["reconnects"] >= 1
    assert figures["dropped"] == 0
    times = [judged.frame.time_s for judged in seen.results]
    assert times == sorted(set(times))
    assert len(seen.events) == 2


def test_size_change_in_mid_stream_keeps_output_and_boxes_right(tmp_path):
    large = tuple(2 * side for side in SIZE)
    first = write_clip(tmp_path / "a.ts", 30, range(30)).read_bytes()
    second = write_clip(tmp_path / "b.ts", 30, range(30), size=large).read_bytes()
    clip = tmp_path / "both.ts"
    clip.write_bytes(first + second)
    seen, _, go = run(open_source(str(clip)), overlay(tmp_path / "out.mp4"))
    figures = go()
    assert figures["size_changes"] == 1
    assert {picture.shape[:2] for _, picture in frames_of(tmp_path / "out.mp4")} == {SIZE}
    assert {judged.frame.source_size for judged in seen.results} == {SIZE, large}


@pytest.mark.parametrize("how", ["empty file", "no frames"])
def test_zero_length_clip_is_a_clear_error(tmp_path, how):
    clip = tmp_path / "zero.mkv"
    if how == "empty file":
        clip.write_bytes(b"")
    else:
        write_clip(clip, 1)
        clip.write_bytes(clip.read_bytes()[:400])
    with pytest.raises(DataError, match=r"no frame|cannot be opened|holds no"):
        Runner(open_source(str(clip)), RedIsStrange(), judge()).run()


def test_audio_only_is_a_clear_error(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(DataError, match="holds no video, only audio"):
        open_source(str(path))


def test_images_that_are_none_are_told_with_the_reason(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("no picture")
    with pytest.raises(DataError, match=r"a\.jpg cannot be decoded"):
        open_source(str(tmp_path / "a.jpg"))
    with pytest.raises(DataError, match=r"none of the 2 images in .*a\.jpg cannot be decoded"):
        open_source(str(tmp_path))


def test_unwritable_outputs_are_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    for make in (overlay, sinks.EventFile):
        with pytest.raises(UserError, match="cannot be written"):
            make(tmp_path / "file" / "out.mp4")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_keeps_events_and_says_so(tmp_path):
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    log = sinks.EventFile(tmp_path / "events.jsonl")
    seen, _, go = run(open_source(str(write_clip(tmp_path / "clip.mp4"))), log)
    with pytest.raises(UserError, match=r"No space left.*not in it") as refusal:
        go()
    lost = json.loads(str(refusal.value).split("\n")[1])
    assert lost["id"] == 1
    assert seen.closed


@pytest.mark.parametrize("frames", [24, 200])
def test_no_room_for_a_video_is_said_however_late_it_shows(tmp_path, frames):
    """Each second or so is written at once; what comes last, only when the file is closed."""
    code = f"""
import resource, sys
from pathlib import Path
import numpy as np
from roadanomaly.video.writer import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
video = VideoWriter(Path(sys.argv[1]), (96, 128), 25)
for number in range({frames}):
    video.write(np.roll(noise, number, 1), number / 25)
video.close()
print(video.fault)
"""
    words = [sys.executable, "-c", code, str(tmp_path / "out.mp4")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "out.mp4" in done.stdout
    assert "File too large" in done.stdout


def test_killed_encoder_goes_on_in_a_second_file(tmp_path, monkeypatch):
    whole = writer.VideoWriter._encode

    def fails_once(self, picture, stamp):
        if self.frames == 20 and len(self.paths) == 1:
            raise OSError(32, "Broken pipe")
        whole(self, picture, stamp)

    monkeypatch.setattr(writer.VideoWriter, "_encode", fails_once)
    clip = write_clip(tmp_path / "clip.mp4")
    seen, _, go = run(open_source(str(clip)), overlay(tmp_path / "out.mp4"))
    with pytest.raises(UserError, match=r"out.mp4 stops at 0.80 s: Broken pipe"):
        go()
    assert len(frames_of(tmp_path / "out.mp4")) == 20
    assert len(frames_of(tmp_path / "out_2.mp4")) == 30
    assert len(seen.events) == 1


def test_a_second_file_replaces_none_and_stays_only_with_frames(tmp_path, monkeypatch):
    """The user never named it; and on a full disk there is nothing to put into it."""

    def fails(self, picture, stamp):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.VideoWriter, "_encode", fails)
    monkeypatch.setattr(writer.WholeFile, "write", fails_to_write)
    (tmp_path / "out_2.mp4").write_text("holiday")
    video = writer.VideoWriter(tmp_path / "out.mp4", (96, 128), 25)
    video.write(np.zeros((96, 128, 3), np.uint8), 0.0)
    video.close()
    assert "out.mp4 stops at 0.00 s: No space left on device" in str(video.fault)
    assert (tmp_path / "out_2.mp4").read_text() == "holiday"
    assert not (tmp_path / "out_3.mp4").exists()


def fails_to_write(self, content):
    raise OSError(28, "No space left on device")


def test_stage_that_raises_ends_the_run_with_its_error(tmp_path):
    class Breaks(RedIsStrange):
        def __call__(self, image):
            self.seconds += 1
            if self.seconds > 25:
                msg = "out of memory"
                raise MemoryError(msg)
            return super_call(image)

    super_call = RedIsStrange().__call__
    seen, _, go = run(open_source(str(write_clip(tmp_path / "clip.mp4"))), runtime=Breaks())
    with pytest.raises(MemoryError):
        go()
    assert seen.closed
    assert len(seen.events) == 1


def broken(*_):
    msg = "out of memory"
    raise MemoryError(msg)


@pytest.mark.parametrize("stage", ["decode", "score", "write"])
def test_figures_say_that_a_fault_ended_the_run(tmp_path, monkeypatch, stage):
    source = open_source(str(write_clip(tmp_path / "clip.mp4")))
    parts = {"decode": (source, "frames"), "score": (RedIsStrange, "__call__")}
    monkeypatch.setattr(*parts.get(stage, (Collector, "take")), broken)
    _, runner, go = run(source)
    with pytest.raises(MemoryError):
        go()
    runner.stop()  # too late to be the reason
    assert runner.statistics()["ended"] == "a fault"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_events_that_a_full_disk_lost_are_printed_after_a_fault_too(tmp_path, monkeypatch, caplog):
    """The event is over on frame 45, and the model breaks down after it."""
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    source = open_source(str(write_clip(tmp_path / "clip.mp4", 60)))
    score, scored = RedIsStrange.__call__, []

    def breaks(self, image):
        scored.append(image)
        return broken() if len(scored) > 55 else score(self, image)

    monkeypatch.setattr(RedIsStrange, "__call__", breaks)
    seen, _, go = run(source, sinks.EventFile(tmp_path / "events.jsonl"))
    with pytest.raises(MemoryError):
        go()
    (event,) = seen.events
    (told,) = [record.getMessage() for record in caplog.records]
    assert json.loads(told.split("\n")[1]) == event.as_dict()


def test_a_stop_before_the_first_result_blames_no_source():
    _, runner, go = run(Camera(silent=True))
    threading.Timer(0.3, runner.stop).start()
    figures = go()
    assert (figures["frames"], figures["ended"]) == (0, "stopped")


@pytest.mark.slow
def test_a_slow_model_is_no_stalled_source():
    """Each frame takes four times the patience; the source gives one each hundredth second."""
    camera = Camera()
    _, runner, go = run(camera, runtime=RedIsStrange(seconds=0.8), patience_s=0.2)
    threading.Timer(2.5, runner.stop).start()
    figures = go()
    assert figures["ended"] == "stopped"
    assert figures["frames"] >= 1
    assert figures["notes"] == []


def test_a_silent_source_is_given_up_however_slow_the_model_is():
    _, _, go = run(Camera(silent=True), patience_s=0.3)
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"gave no frame: no frame for 0\.3 s"):
        go()
    assert 0.3 <= time.monotonic() - begun < 20


class LockedHandler(BaseHTTPRequestHandler):
    """Gives a clip to those who know the password."""

    content, word = b"", base64.b64encode(b"me:secret").decode()

    def do_GET(self):
        known = self.headers.get("Authorization") == f"Basic {self.word}"
        self.send_response(200 if known else 401)
        if not known:
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.end_headers()
        self.wfile.write(self.content if known else b"")

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.mark.slow
def test_a_password_opens_an_address_and_is_told_to_nobody(tmp_path):
    content = write_clip(tmp_path / "clip.ts", 40).read_bytes()
    handler = type("Handler", (LockedHandler,), {"content": content})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_address[1]}"
        source = open_source(f"http://me:secret@{host}/street", Reading(reconnect_s=0.5))
        _, _, go = run(source, runtime=InStep(source), patience_s=20)
        server.shutdown()
    figures = go()
    assert figures["frames"] > 20
    assert figures["source"] == f"http://{host}/street"
    assert "did not come back" in str(figures["notes"])
    assert "secret" not in str(figures)


def test_an_address_that_cannot_be_opened_is_told_without_its_password():
    with pytest.raises(DataError, match=r"^tcp://127\.0\.0\.1:9/a@b cannot be opened") as refusal:
        open_source("tcp://me:secret@127.0.0.1:9/a@b", Reading(stall_s=0.5))
    assert "secret" not in str(refusal.value)


def run_for_ever(clip, out):
    """Play a clip again and again, and write what is found."""
    source = open_source(str(clip), Reading(loop=0, realtime=True))
    found = [
        sinks.EventFile(out / "events.jsonl"),
        sinks.OverlayVideo(out / "out.mp4", SIZE, 25, lambda _: ""),
    ]
    runner = Runner(source, RedIsStrange(), judge(), found)
    with stop_on_signals(runner.stop):
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        sys.stdout.write(f"{runner.run()['ended']}\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_leave_a_playable_file(tmp_path, number):
    clip = write_clip(tmp_path / "clip.mp4", 50, range(5, 40))
    process = Begun(run_for_ever, clip, tmp_path)
    assert process.first_line() == "begun"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (tmp_path / "out.mp4").stat().st_size < 6000:
        time.sleep(0.1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert len(frames_of(tmp_path / "out.mp4")) >= 20
    if number != signal.SIGKILL:
        assert out == "begun\nstopped\n"
        lines = (tmp_path / "events.jsonl").read_text().splitlines()
        assert [json.loads(line)["id"] for line in lines] == list(range(1, len(lines) + 1))
        assert lines
