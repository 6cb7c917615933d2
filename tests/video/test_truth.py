"""Counts against drawn boxes, on alarms whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from roadanomaly.data.images import write_image
from roadanomaly.errors import DataError
from roadanomaly.runtimes import Scores
from roadanomaly.video.frames import Judged, Sighting, VideoFrame
from roadanomaly.video.sources import open_source
from roadanomaly.video.truth import Tally, read_truth

CLASSES = ("road", "person")


def table(tmp_path, *rows):
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join(["frame,x0,y0,x1,y1", *rows]) + "\n")
    return str(path)


def judged(number, *sightings, fps=10):
    classes = np.zeros((40, 60), np.uint8)
    classes[:, 30:] = 1
    image = np.zeros((40, 60, 3), np.uint8)
    frame = VideoFrame(number, number / fps, 0.0, image, (80, 120))
    score = np.zeros((40, 60), np.float32)
    return Judged(frame, Scores(classes, score, score), classes == classes, [], sightings, [])


def alarm(number, *box, on=True):
    return Sighting(number, box, 100, 1.0, 1.0, on)


def test_boxes_are_filled_in_over_short_gaps_only(tmp_path):
    found = read_truth(table(tmp_path, "2,0,0,10,10", "5,30,0,40,16", "9,0,0,10,10"))
    assert sorted(found) == [2, 3, 4, 5, 9]
    assert found[3] == (10, 0, 20, 12)
    assert read_truth("none") == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no box"),
        (b"frame,x0\n1,2\n", "a row lacks y0, x1, y1"),
        (b"frame,x0,y0,x1,y1\n1,2,3,4,five\n", "'five'"),
        (b"frame,x0,y0,x1,y1\n1,2,3,4\n", "a row lacks y1"),
        (b"frame,x0,y0,x1,y1\n3,nan,0,10,10\n", "the box of frame 3 is nan 0 10 10"),
        (b"frame,x0,y0,x1,y1\n3,0,0,inf,10\n", "the box of frame 3 is 0 0 inf 10"),
        (b"frame,x0,y0,x1,y1\n3,0,0,1e999,10\n", "the box of frame 3 is 0 0 1e999 10"),
        (b"frame,x0,y0,x1,y1\n1.5,0,0,1,10\n", "'1.5'"),
        (bytes(range(256)) * 100, "it is no text"),
        (b"\0frame" + b"x" * 200_000, r"boxes\.csv is no table"),
    ],
)
def test_other_tables_are_refused_in_a_sentence(tmp_path, content, why):
    path = tmp_path / "boxes.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=why) as refusal:
        read_truth(str(path))
    assert len(str(refusal.value)) < 300 + len(str(path))
    with pytest.raises(DataError, match="nowhere"):
        read_truth(str(tmp_path / "nowhere.csv"))


def test_events_on_the_object_and_false_ones_are_told_apart(tmp_path):
    truth = read_truth(table(tmp_path, "0,0,0,40,40", "3,0,0,40,40"))
    tally = Tally(truth, CLASSES, 10)
    tally.take(judged(0, alarm(0, 0, 0, 20, 20, on=False)))  # no alarm yet
    tally.take(judged(1, alarm(1, 0, 0, 20, 20), alarm(2, 40, 0, 50, 20)))
    tally.take(judged(2, alarm(1, 0, 0, 20, 18), alarm(2, 40, 0, 50, 20)))
    tally.take(judged(3, alarm(3, 0, 0, 18, 20), alarm(4, 5, 25, 20, 40)))
    tally.take(judged(6))
    counts = tally.summary()
    assert counts["frames"] == 5
    assert counts["object_frames"] == 4
    assert counts["object_frames_alarmed"] == 3
    assert counts["object_first_alarm"] == 1
    assert counts["object_ids"] == 2
    assert counts["false_events"] == 2
    assert counts["false_frames"] == 3
    assert counts["false_events_per_minute"] == round(2 / (7 / 600), 1)  # seven intervals of 0.1 s
    assert counts["false_on"] == {"person": 1, "road": 1}


def test_without_an_object_every_alarm_is_false():
    tally = Tally({}, CLASSES, 10)
    tally.take(judged(0))
    tally.take(judged(299, alarm(1, 0, 0, 20, 20)))
    assert tally.summary()["false_events_per_minute"] == 2.0
    assert tally.summary()["object_frames"] == 0


def test_a_network_that_was_not_asked_names_no_class():
    tally = Tally({}, CLASSES, 10)
    shown = judged(0, alarm(1, 0, 0, 20, 20))
    tally.take(replace(shown, scores=replace(shown.scores, classes=np.full((40, 60), 255, "u1"))))
    assert tally.summary()["false_on"] == {"?": 1}


def test_a_minute_is_one_wherever_in_the_video_it_begins():
    for begin in (0, 1, 9000):
        tally = Tally({}, CLASSES, 10)
        for number in range(begin, begin + 600):
            tally.take(judged(number, alarm(1 + number // 300, 0, 0, 20, 20)))
        events = len({1 + number // 300 for number in range(begin, begin + 600)})
        assert tally.summary()["false_events_per_minute"] == events


def test_an_image_that_cannot_be_read_shifts_no_box(tmp_path):
    """The object stands on the fourth and fifth of six images, and the second is broken."""
    for number in range(6):
        write_image(tmp_path / f"{number}.png", np.full((80, 120, 3), 40 * number, np.uint8))
    (tmp_path / "1.png").write_bytes(b"no picture")
    tally = Tally({3: (0, 0, 40, 40), 4: (0, 0, 40, 40)}, CLASSES, 10)
    for frame in open_source(str(tmp_path)).frames((40, 60)):
        shown = [alarm(1, 0, 0, 20, 20)] if frame.image[0, 0, 0] in (120, 160) else []
        tally.take(replace(judged(0, *shown), frame=frame))
    counts = tally.summary()
    assert (counts["frames"], counts["object_frames_alarmed"]) == (5, 2)
    assert (counts["object_first_alarm"], counts["false_events"]) == (3, 0)
