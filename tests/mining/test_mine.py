"""Mining keeps the top events, goes on where it was killed, and reports clips that are broken."""

import json
import os
import re
import sys
import time
from pathlib import Path
from urllib.parse import unquote_to_bytes

import av
import cv2
import numpy as np
import pytest

from roadanomaly.data.images import write_image
from roadanomaly.errors import DataError, OptionError
from roadanomaly.mining.asked import ASKED, keep_asked
from roadanomaly.mining.clip import mine_clip, thumbnail
from roadanomaly.mining.index import write_index
from roadanomaly.mining.spread import find_clips, mine_here, mine_on_ray, others_found
from roadanomaly.video.frames import Judged, VideoFrame
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from tests.processes import Begun
from tests.video.clips import RedIsStrange, judge, picture, write_clip

parquet = pytest.importorskip("pyarrow.parquet")


def new_worker(seconds=0.0, top=5):
    def work(task):
        return mine_clip(
            task, open_source, lambda source: RedIsStrange(seconds=seconds), judge, top
        )

    return work


@pytest.fixture
def drives(tmp_path):
    folder = tmp_path / "drives"
    (folder / "monday").mkdir(parents=True)
    write_clip(folder / "a.mp4", 60, [*range(3, 15), *range(33, 44)])
    write_clip(folder / "monday" / "b.mkv", 30, [])
    write_clip(folder / "monday" / "c.mp4", 40, range(10, 30))
    (folder / "monday" / "broken.mp4").write_bytes(b"no clip")
    return folder


def test_index_holds_the_events_of_all_clips(drives, tmp_path):
    out = tmp_path / "out"
    tasks = find_clips([str(drives)], out)
    records = list(mine_here(tasks, new_worker))
    write_index(out, records, "<test>")
    table = parquet.read_table(out / "index.parquet").to_pylist()
    assert len(table) == 3
    assert {os.path.basename(row["clip"]) for row in table} == {"a.mp4", "c.mp4"}  # noqa: PTH119
    for row in table:
        assert row["x0"] < row["x1"]
        assert row["start_s"] <= row["peak_s"] <= row["end_s"]
        assert cv2.imread(str(out / row["thumbnail"])).shape[1] == 320
    page = (out / "index.html").read_text()
    assert page.count("<img") == 3
    assert "&lt;test&gt;" in page
    assert "broken.mp4" in page
    errors = [record for record in records if record["error"]]
    assert [record["frames"] for record in errors] == [0]


def test_only_the_top_events_are_kept(drives, tmp_path):
    tasks = find_clips([str(drives / "a.mp4")], tmp_path / "out")
    (record,) = mine_here(tasks, lambda: new_worker(top=1))
    assert len(record["events"]) == 1


def test_peaks_are_kept_whole_where_they_are_asked_for(drives, tmp_path):
    tasks = find_clips([str(drives / "a.mp4")], tmp_path / "out")
    judging = (open_source, lambda source: RedIsStrange(), judge, 5)
    record = mine_clip(tasks[0], *judging, whole=True)
    with av.open(str(drives / "a.mp4")) as film:
        filmed = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    assert len(record["events"]) == 2
    for event in record["events"]:
        kept = cv2.imread(str(tmp_path / "out" / event["frame"]))[..., ::-1].astype(int)
        nearest = min(range(60), key=lambda number: np.abs(kept - filmed[number]).mean())
        assert np.abs(kept - filmed[nearest]).mean() < 1
        assert nearest == event["peak_frame"]


def test_a_peak_is_kept_as_it_was_filmed_where_frames_are_scored_smaller(drives, tmp_path):
    def opener(word):
        return open_source(word, Reading(whole=True))

    (task,) = find_clips([str(drives / "a.mp4")], tmp_path / "out")
    record = mine_clip(task, opener, lambda _: RedIsStrange((48, 64)), judge, 5, whole=True)
    assert record["runtime"]["size"] == "64x48"
    kept = cv2.imread(str(tmp_path / "out" / record["events"][0]["frame"]))[..., ::-1].astype(int)
    with av.open(str(drives / "a.mp4")) as film:
        filmed = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    assert min(np.abs(kept - frame).mean() for frame in filmed) < 1


def test_images_of_a_folder_are_given_as_they_are_too_where_that_is_asked_for(tmp_path):
    write_image(tmp_path / "a.png", picture(30))
    for asked, shape in ((True, (96, 128, 3)), (False, (48, 64, 3))):
        (frame,) = open_source(str(tmp_path), Reading(whole=asked)).frames((48, 64))
        assert (frame.image.shape, frame.filmed.shape) == ((48, 64, 3), shape)


def test_done_clips_are_not_mined_again(drives, tmp_path):
    (drives / "monday" / "broken.mp4").unlink()
    tasks = find_clips([str(drives)], tmp_path / "out")
    first = list(mine_here(tasks, new_worker))

    def must_not_run():
        return lambda task: mine_clip(task, None, None, None, 5)

    assert list(mine_here(tasks, must_not_run)) == first
    write_clip(drives / "monday" / "b.mkv", 30, range(5, 25))
    changed = find_clips([str(drives)], tmp_path / "out")
    assert len({task.key for task in changed} - {task.key for task in tasks}) == 1


def test_what_other_calls_found_is_known_as_long_as_the_clip_is_the_same(
    drives, tmp_path, monkeypatch
):
    monkeypatch.chdir(drives)
    out = tmp_path / "out"
    first = list(mine_here(find_clips(["a.mp4", "monday/broken.mp4"], out), new_worker))
    monkeypatch.chdir(tmp_path)  # the clips were named from elsewhere
    tasks = find_clips([str(drives / "monday" / "c.mp4")], out)
    assert len(list(mine_here(tasks, new_worker))) == 1
    assert sorted(others_found(out, tasks), key=str) == sorted(first, key=str)
    everything = find_clips([str(drives)], out)
    assert [one["clip"] for one in others_found(out, everything)] == []
    (drives / "monday" / "broken.mp4").unlink()
    assert [one["clip"] for one in others_found(out, tasks)] == ["a.mp4"]
    write_clip(drives / "a.mp4", 30, [])
    assert others_found(out, tasks) == []


def test_a_clip_that_is_named_twice_is_mined_once(drives, tmp_path, monkeypatch):
    monkeypatch.chdir(drives)
    tasks = find_clips(["a.mp4", str(drives / "a.mp4"), "."], tmp_path / "out")
    assert [task.path for task in tasks] == [
        "a.mp4",
        *(f"monday/{name}" for name in ("b.mkv", "broken.mp4", "c.mp4")),
    ]


@pytest.mark.parametrize("text", ['{"cl', "[]", "{}", "null", '{"clip": "a.mp4", "error": null}'])
def test_a_clip_whose_record_is_broken_is_mined_again(drives, tmp_path, text):
    tasks = find_clips([str(drives / "a.mp4")], tmp_path / "out")
    wanted = list(mine_here(tasks, new_worker))
    tasks[0].record.write_text(text)
    assert tasks[0].found is None
    assert others_found(tmp_path / "out", []) == []
    assert list(mine_here(tasks, new_worker)) == wanted
    assert json.loads(tasks[0].record.read_text()) == wanted[0]


def test_a_clip_that_could_not_be_read_is_tried_again(drives, tmp_path):
    tasks = find_clips([str(drives / "a.mp4")], tmp_path / "out")

    def busy(_):
        msg = "the share is busy"
        raise DataError(msg)

    failed = mine_clip(tasks[0], busy, None, judge, 5)
    assert failed["error"] == "the share is busy"
    (record,) = mine_here(tasks, new_worker)
    assert record["error"] is None
    assert len(record["events"]) == 2
    assert json.loads(tasks[0].record.read_text()) == record


def test_a_folder_holds_the_events_of_one_model_and_one_choice(drives, tmp_path):
    out, asked = tmp_path / "out", {"model": "a", "top": 5, "size": None}
    keep_asked(out, {**asked, "top": 3})
    keep_asked(out, asked)  # nothing is mined yet
    list(mine_here(find_clips([str(drives / "a.mp4")], out), new_worker))
    keep_asked(out, asked)
    with pytest.raises(OptionError, match=r"`model` was 'a' and is 'b'; `top` was 5 and is 9\."):
        keep_asked(out, {**asked, "model": "b", "top": 9})
    keep_asked(out, asked)
    (out / ASKED).unlink()
    keep_asked(out, {**asked, "top": 9})  # mined by an earlier version


def test_a_clip_whose_name_is_no_utf_8_is_in_the_index(tmp_path):
    name = os.fsdecode("Stra\xdfe #1".encode("latin-1"))
    event = dict.fromkeys(("id", "start_s", "end_s", "peak_s", "peak_score", "peak_frame"), 1)
    event |= {"thumbnail": f"thumbnails/{name}-1.jpg", "box": [0, 0, 1, 1]}
    record = {"clip": f"{name}.mp4", "seconds": 1.0, "error": None, "events": [event]}
    write_index(tmp_path, [record], "a model")
    (row,) = parquet.read_table(tmp_path / "index.parquet").to_pylist()
    assert row["clip"] == r"Stra\udcdfe #1.mp4"
    page = (tmp_path / "index.html").read_text()
    assert r"Stra\udcdfe #1.mp4" in page
    (address,) = re.findall(r'<img src="([^"]*)"', page)
    assert os.fsdecode(unquote_to_bytes(address)) == event["thumbnail"]
    assert "#" not in address


def mine_slowly(drives, out):
    for record in mine_here(find_clips([str(drives)], out), lambda: new_worker(0.02)):
        sys.stdout.write(f"{record['clip']}\n")
        sys.stdout.flush()


@pytest.mark.slow
def test_kill_9_and_restart_loses_nothing_and_does_nothing_twice(tmp_path):
    drives, out = tmp_path / "drives", tmp_path / "out"
    drives.mkdir()
    for number in range(4):
        write_clip(drives / f"{number}.mp4", 50, range(10, 40))
    process = Begun(mine_slowly, drives, out)
    process.first_line()
    time.sleep(0.3)
    process.kill()
    process.communicate()
    done = {path.name: path.stat().st_mtime_ns for path in (out / "clips").glob("[!.]*.json")}
    assert 1 <= len(done) < 4
    for path in (out / "clips").glob("[!.]*.json"):
        json.loads(path.read_text())
    records = list(mine_here(find_clips([str(drives)], out), new_worker))
    assert [len(record["events"]) for record in records] == [1, 1, 1, 1]
    after = {path.name: path.stat().st_mtime_ns for path in (out / "clips").glob("[!.]*.json")}
    assert {name: after[name] for name in done} == done


def test_clips_that_are_mined_at_a_time_have_the_records_of_one_alone(drives, tmp_path):
    alone = list(mine_here(find_clips([str(drives)], tmp_path / "alone"), new_worker))
    tasks = find_clips([str(drives)], tmp_path / "together")
    assert list(mine_here(tasks, new_worker, at_once=3)) == alone


@pytest.mark.slow
def test_clips_that_are_broken_off_leave_no_record(drives, tmp_path):
    """What ends the mining ends every clip that is in work, and they are mined again."""
    tasks = find_clips([str(drives)], tmp_path / "out")

    def failing_worker():
        work = new_worker(seconds=0.05)

        def or_fail(task):
            if task.path.endswith("broken.mp4"):
                time.sleep(0.5)
                raise OSError("the disk is full")
            return work(task)

        return or_fail

    begun = time.perf_counter()
    with pytest.raises(OSError, match="the disk is full"):
        list(mine_here(tasks[::-1], failing_worker, at_once=4))
    assert time.perf_counter() - begun < 20
    done = {path.name for path in (tmp_path / "out" / "clips").glob("[!.]*.json")}
    assert len(done) < 3
    again = find_clips([str(drives)], tmp_path / "out")
    records = list(mine_here(again, new_worker, at_once=2))
    assert sorted(len(record["events"]) for record in records) == [0, 0, 1, 2]


def test_words_that_name_no_clip_are_refused(tmp_path):
    with pytest.raises(DataError, match="names no clip"):
        find_clips([str(tmp_path)], tmp_path / "out")


@pytest.mark.slow
def test_ray_gives_what_one_machine_gives(drives, tmp_path):
    ray = pytest.importorskip("ray")
    here = find_clips([str(drives)], tmp_path / "here")
    wanted = list(mine_here(here, new_worker))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        there = find_clips([str(drives)], tmp_path / "there")
        found = list(mine_on_ray(there, new_worker, 2))
    finally:
        ray.shutdown()
    assert sorted(r["clip"] for r in found) == sorted(r["clip"] for r in wanted)
    key = lambda record: record["clip"]  # noqa: E731
    assert sorted(found, key=key) == sorted(wanted, key=key)
    frames = {Path(record["clip"]).name: record["frames"] for record in found}
    assert frames == {"a.mp4": 60, "b.mkv": 30, "c.mp4": 40, "broken.mp4": 0}


def test_a_thumbnail_of_the_flattest_frame_has_a_row(tmp_path):
    flat = np.zeros((2, 4000, 3), np.uint8)
    scores = RedIsStrange((2, 4000))(flat)
    judged = Judged(VideoFrame(0, 0.0, 0.0, flat, (2, 4000)), scores, scores.score > 5, [], [], [])
    shown = cv2.imdecode(np.frombuffer(thumbnail(judged), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (1, 320, 3)
