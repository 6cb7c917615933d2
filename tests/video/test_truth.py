"""Counts against drawn boxes, on alarms whose answer is known."""

import numpy as np
import pytest

from roadanomaly.errors import DataError
from roadanomaly.runtimes import Scores
from roadanomaly.video.frames import Judged, Sighting, VideoFrame
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


@pytest.mark.parametrize("text", ["", "frame,x0\n1,2\n", "frame,x0,y0,x1,y1\n1,2,3,4,five\n"])
def test_other_tables_are_refused(tmp_path, text):
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"boxes\.csv"):
        read_truth(str(path))
    with pytest.raises(DataError, match="nowhere"):
        read_truth(str(tmp_path / "nowhere.csv"))


def test_events_on_the_object_and_false_ones_are_told_apart(tmp_path):
    truth = read_truth(table(tmp_path, "0,0,0,40,40", "3,0,0,40,40"))
    tally = Tally(truth, CLASSES)
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
    assert counts["false_events_per_minute"] == 200.0
    assert counts["false_on"] == {"person": 1, "road": 1}


def test_without_an_object_every_alarm_is_false():
    tally = Tally({}, CLASSES)
    tally.take(judged(0))
    tally.take(judged(300, alarm(1, 0, 0, 20, 20)))
    assert tally.summary()["false_events_per_minute"] == 2.0
    assert tally.summary()["object_frames"] == 0
