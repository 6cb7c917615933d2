"""Files lose no frame, live sources drop the oldest, times are the source's own."""

import json
import time

import numpy as np
import pytest

from roadanomaly.data.images import write_image
from roadanomaly.errors import DataError, OptionError
from roadanomaly.video import sinks
from roadanomaly.video.lanes import Closed, Lane
from roadanomaly.video.runner import Runner
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from tests.video.clips import SIZE, Collector, RedIsStrange, frames_of, judge, picture, write_clip


def run(source, *more, runtime=None):
    seen = Collector()
    figures = Runner(source, runtime or RedIsStrange(), judge(), [seen, *more]).run()
    return seen, figures


def test_file_gives_every_frame_at_its_own_time(tmp_path):
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.2, 40))
    clip = write_clip(tmp_path / "clip.mkv", 40, range(10, 30), times=times)
    out = tmp_path / "out.mp4"
    video = sinks.OverlayVideo(out, SIZE, 25, lambda judged: "")
    seen, figures = run(open_source(str(clip)), video, runtime=RedIsStrange(seconds=0.005))
    assert figures["frames"] == 40
    assert figures["dropped"] == 0
    wanted = times - times[0]
    assert [j.frame.time_s for j in seen.results] == pytest.approx(list(wanted), abs=1.5e-3)
    assert [t for t, _ in frames_of(out)] == pytest.approx(list(wanted), abs=1.5e-3)
    (event,) = seen.events
    assert event.start_s == pytest.approx(wanted[10], abs=2e-3)
    assert event.end_s == pytest.approx(wanted[29], abs=2e-3)


def test_event_says_where_in_pixels_of_the_source(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 30, range(5, 25))
    half = tuple(side // 2 for side in SIZE)
    seen, _ = run(open_source(str(clip)), runtime=RedIsStrange(half))
    (event,) = seen.events
    x0 = 10 + 2 * event.peak_frame
    assert event.box == pytest.approx((x0, 30, x0 + 24, 54), abs=3)


@pytest.mark.slow
def test_live_source_drops_the_oldest_and_counts(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 50, range(50))
    source = open_source(str(clip), Reading(realtime=True))
    assert source.live
    seen, figures = run(source, runtime=RedIsStrange(seconds=0.1))
    assert figures["dropped"] > 10
    assert figures["frames"] + figures["dropped"] == 50
    numbers = [judged.frame.number for judged in seen.results]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 49


def test_a_folder_is_played_as_the_video_of_its_images(tmp_path):
    """Each round begins at `start_s`, and time goes on."""
    clip = write_clip(tmp_path / "clip.mp4", 12)
    for number in range(12):
        write_image(tmp_path / "frames" / f"{number:02}.png", picture(number))
    for reading in ({}, {"loop": 2}, {"start_s": 0.2}, {"start_s": 0.2, "loop": 3}):
        told = []
        for word in (clip, tmp_path / "frames"):
            source = open_source(str(word), Reading(fps=25, **reading))
            told.append([(one.number, round(one.time_s, 4)) for one in source.frames((96, 128))])
            source.close()
        assert told[0] == told[1]
        assert len(told[0]) == (12 - round(25 * reading.get("start_s", 0))) * reading.get("loop", 1)


def test_looped_file_runs_on_in_time(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 20, range(5, 15))
    seen, figures = run(open_source(str(clip), Reading(loop=3)))
    assert figures["frames"] == 60
    steps = np.diff([judged.frame.time_s for judged in seen.results])
    assert steps == pytest.approx(np.full(59, 0.04), abs=1e-3)


def test_start_leaves_out_what_lies_before(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 50)
    seen, _ = run(open_source(str(clip), Reading(start_s=1.0)))
    assert seen.results[0].frame.time_s == pytest.approx(1.0, abs=0.05)


def test_folder_of_images_leaves_out_broken_ones(tmp_path):
    for number in range(12):
        write_image(tmp_path / f"{number:03d}.png", picture(number))
    (tmp_path / "005.png").write_bytes(b"no image")
    seen, figures = run(open_source(str(tmp_path), Reading(fps=5)))
    assert figures["frames"] == 11
    assert figures["corrupt"] == 1
    assert seen.results[-1].frame.time_s == pytest.approx(11 / 5)
    assert len(seen.events) == 1


@pytest.mark.parametrize("stopped", [False, True])
def test_a_folder_that_is_emptied_while_it_plays_for_ever_ends(tmp_path, stopped):
    for number in range(3):
        write_image(tmp_path / f"{number}.png", picture(number))
    source, came = open_source(str(tmp_path), Reading(loop=0)), []
    for frame in source.frames(SIZE):
        came.append(frame.number)
        if frame.number == 4:
            for path in tmp_path.iterdir():
                path.unlink()
            if stopped:
                source.stop.set()
        assert len(came) < 10
    assert came == [0, 1, 2, 3, 4]
    assert any("can be read any more" in note for note in source.mishaps.notes) != stopped


def test_logs_hold_events_and_components(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 50, range(10, 30))
    logs = sinks.EventFile(tmp_path / "e.jsonl"), sinks.ComponentFile(tmp_path / "c.jsonl")
    seen, figures = run(open_source(str(clip)), *logs)
    (event,) = map(json.loads, (tmp_path / "e.jsonl").read_text().splitlines())
    assert set(event) >= {"id", "start_s", "end_s", "peak_score", "box"}
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [bool(line["components"]) for line in lines] == [10 <= n < 30 for n in range(50)]
    assert figures["events"] == len(seen.events) == 1
    assert set(figures["latency_ms"]) == {"p50", "p95", "p99"}


def test_nobody_names_a_source_that_is_none(tmp_path):
    with pytest.raises(DataError, match="there is no source"):
        open_source(str(tmp_path / "missing.mp4"))
    with pytest.raises(DataError, match="holds no image"):
        open_source(str(tmp_path))
    with pytest.raises(DataError, match="cannot be opened"):
        open_source("tcp://127.0.0.1:9", Reading(stall_s=0.5))
    with pytest.raises(OptionError, match="--fps"):
        open_source(str(tmp_path), Reading(fps=0))


def test_lane_holds_back_or_drops():
    held = Lane(2)
    held.put(1)
    held.put(2)
    held.close()
    with pytest.raises(Closed):
        held.put(3)
    assert [held.take(), held.take()] == [1, 2]
    with pytest.raises(Closed):
        held.take()
    dropping = Lane(2, drop=True)
    for item in range(5):
        dropping.put(item)
    assert dropping.dropped == 3
    assert [dropping.take(), dropping.take()] == [3, 4]
    with pytest.raises(TimeoutError):
        dropping.take(0.01)


def test_latencies_are_percentiles():
    from roadanomaly.video.statistics import Latencies

    values = np.random.default_rng(0).gamma(2, 0.02, 5000)
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    for percent in (50, 95, 99):
        wanted = 1000 * np.percentile(values, percent, method="inverted_cdf")
        assert latencies.percentile(percent) == pytest.approx(wanted, abs=0.11)
    assert Latencies().summary() == {"p50": None, "p95": None, "p99": None}


def test_stop_from_another_thread_ends_a_paced_source(tmp_path):
    import threading

    clip = write_clip(tmp_path / "clip.mp4", 25, range(25))
    seen = Collector()
    runner = Runner(
        open_source(str(clip), Reading(realtime=True, loop=0)), RedIsStrange(), judge(), [seen]
    )
    threading.Timer(0.8, runner.stop).start()
    begun = time.monotonic()
    assert runner.run()["ended"] == "stopped"
    assert time.monotonic() - begun < 15
    assert len(seen.events) == 1
