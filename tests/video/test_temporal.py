"""Smoothing, two thresholds and tracks, on pictures whose answer is known."""

import numpy as np
import pytest

from roadanomaly.calibration import calibrate
from roadanomaly.errors import OptionError
from roadanomaly.runtimes import Scores
from roadanomaly.types import Component
from roadanomaly.video.frames import VideoFrame
from roadanomaly.video.ground import ground_classes, stands_on
from roadanomaly.video.judge import Judge, Rules, find_objects, stated_rates, thresholds
from roadanomaly.video.temporal import Smoother
from roadanomaly.video.tracking import Persistence, Tracker

SIZE = (120, 200)


def frame(number, fps=10, source_size=SIZE):
    return VideoFrame(number, number / fps, 0.0, np.zeros((*SIZE, 3), np.uint8), source_size)


def component(x, y, width=20, height=20, score=5.0):
    return Component((x, y, width, height), width * height, score - 1, score)


def follow(positions, persistence=None):
    """Return sightings a frame, and all events, for lists of components."""
    tracker = Tracker(persistence or Persistence(0.2, 3, 0.5))
    seen, events = [], []
    for number, components in enumerate(positions):
        sightings, ended = tracker.update(frame(number), components)
        seen.append(sightings)
        events += ended
    return seen, events + tracker.close()


def test_running_mean_is_exponential_in_time():
    smoother = Smoother(0.1)
    image = np.zeros((8, 8, 3), np.uint8)
    maps = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    times = [0.0, 0.1, 0.15, 0.4, 0.41]
    mean = maps[0]
    assert (smoother(maps[0], image, 0.0) == maps[0]).all()
    for score, before, now in zip(maps[1:], times, times[1:], strict=False):
        left = np.exp(-(now - before) / 0.1)
        mean = (1 - left) * score + left * mean
        np.testing.assert_allclose(smoother(score, image, now), mean, rtol=1e-5, atol=1e-6)


def test_flow_keeps_the_mean_on_a_thing_that_moves():
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 255, (40, 60)), np.ones((8, 8))).astype(np.uint8)
    errors = {}
    for motion in ("none", "flow"):
        smoother = Smoother(0.112, motion)
        for step in range(8):
            shift = 6 * step
            image = np.repeat(texture[20:180, shift : shift + 240, None], 3, 2)
            truth = np.zeros((160, 240), np.float32)
            truth[60:100, 150 - shift : 190 - shift] = 1
            found = smoother(truth, np.ascontiguousarray(image), 0.04 * step)
        errors[motion] = np.abs(found - truth).mean()
    assert errors["flow"] < 0.4 * errors["none"]


def test_hysteresis_keeps_weak_parts_of_strong_regions_only():
    score = np.zeros((20, 40), np.float32)
    score[5:10, 5:15] = 2
    score[6, 6] = 5
    score[5:10, 25:35] = 2
    scores = Scores(np.zeros(score.shape, np.uint8), score, score)
    rules = Rules(high=4, low=1, min_area=1)
    mask, found = find_objects(scores, rules)
    assert [one.box for one in found] == [(5, 5, 10, 5)]
    assert mask.sum() == 50
    assert found[0].max_score == 5
    assert len(find_objects(scores, rules, expects=lambda one: one.box[0] > 20)[1]) == 2


def test_weak_sightings_carry_an_object_on_but_begin_none():
    weak, strong = [component(50, 50, score=3.0)], [component(50, 50, score=6.0)]
    tracker = Tracker(Persistence(0.2, 3, 0.5))
    confirmed = []
    for number, found in enumerate([weak] * 3 + [strong] * 2 + [weak] * 9 + [strong] + [weak] * 9):
        sightings, ended = tracker.update(frame(number), found, strong=4.0)
        confirmed.append([one.alarm for one in sightings])
        assert not ended
    assert confirmed == [[]] * 3 + [[False]] * 11 + [[True]] * 10
    (event,) = tracker.close()
    assert (event.start_s, event.end_s) == (pytest.approx(0.3), pytest.approx(2.3))


def test_objects_are_expected_where_they_move_to():
    tracker = Tracker(Persistence())
    for number in range(4):
        tracker.update(frame(number), [component(10 + 15 * number, 40)])
    assert tracker.expects(component(70, 40, score=0.1), 0.4)
    assert not tracker.expects(component(40, 80), 0.4)


def test_thresholds_state_their_rates():
    values = np.random.default_rng(0).normal(size=100_000)
    calibration = calibrate([values], 0.01, "normal")
    high, low = thresholds(calibration, 3)
    assert (values > high).mean() == pytest.approx(0.01, rel=0.15)
    assert (values > low).mean() == pytest.approx(0.03, rel=0.15)
    with pytest.raises(OptionError, match="--widen"):
        thresholds(calibration, 0.5)


@pytest.mark.parametrize(
    ("way", "f1"), [("f1", 1.0), ("f1", -9.0), ("f1", 9.0), ("conformal", 0.0)]
)
def test_thresholds_that_no_rate_set_have_the_rate_that_the_data_say(way, f1):
    values = np.random.default_rng(0).normal(size=100_000)
    calibration = calibrate([values], 0.01, "normal").with_f1(f1, "other").at(way=way)
    high, low = thresholds(calibration, 3)
    assert high == calibration.threshold
    assert low <= high
    share = (values > high).mean()
    assert stated_rates(calibration, 3)[0] == pytest.approx(share, rel=0.15, abs=2e-5)
    assert (values > low).mean() == pytest.approx(min(1, 3 * share), rel=0.15, abs=5e-5)


def test_one_object_is_one_event_even_through_gaps():
    positions = [[component(10 + 4 * n, 30)] if n % 4 else [] for n in range(1, 30)]
    seen, events = follow(positions)
    assert len(events) == 1
    assert events[0].start_s == pytest.approx(0.0)
    alarms = [s.alarm for sightings in seen for s in sightings]
    assert alarms == [False] * 2 + [True] * (len(alarms) - 2)


def test_flicker_is_no_event():
    assert follow([[component(50, 50)], [], [], [], [], [], [component(90, 20)], []])[1] == []


def test_small_object_that_moves_by_more_than_its_size_is_followed():
    positions = [[component(5 + 9 * n, 40, 8, 8)] for n in range(15)]
    assert len(follow(positions)[1]) == 1


def test_two_objects_that_pass_keep_their_ids():
    positions = [[component(10 + 6 * n, 20), component(150 - 6 * n, 60)] for n in range(20)]
    seen, events = follow(positions)
    assert [event.id for event in events] == [1, 2]
    for sightings in seen[4:]:
        assert {s.id: s.box[1] for s in sightings} == {1: 20, 2: 60}


def test_fragments_belong_to_the_object_that_was_whole():
    whole = [[component(40, 20, 60, 60)] for _ in range(5)]
    parts = [[component(40, 20, 60, 30), component(45, 60, 50, 18)] for _ in range(5)]
    seen, events = follow(whole + parts)
    assert len(events) == 1
    assert all(len(sightings) == 1 for sightings in seen)
    assert seen[-1][0].box == (40, 20, 100, 78)


def test_peak_is_the_highest_score_in_pixels_of_the_source():
    tracker = Tracker(Persistence(0, 1, 0.1))
    large = (2 * SIZE[0], 2 * SIZE[1])
    for number, score in enumerate([3.0, 9.0, 4.0]):
        tracker.update(frame(number, source_size=large), [component(10 + number, 5, score=score)])
    (event,) = tracker.close()
    assert event.peak_score == 9
    assert event.box == (22, 10, 62, 50)
    assert event.peak_frame == 1


def test_alarm_ends_once_after_its_patience():
    positions = [[component(50, 50)]] * 6 + [[]] * 10 + [[component(50, 50)]] * 6
    _, events = follow(positions)
    assert [(event.start_s, event.end_s) for event in events] == [(0.0, 0.5), (1.6, 2.1)]


@pytest.mark.parametrize("fps", [10, 15, 25, 30])
@pytest.mark.parametrize("begin", range(12))
def test_an_alarm_begins_and_ends_on_the_same_frames_wherever_its_video_stands(fps, begin):
    """Differences of binary fractions such as 0.3 - 0.1 < 0.2 decide nothing; whole frames do."""
    tracker = Tracker(Persistence(3 / fps, 1, 6 / fps))
    alarms, over = [], None
    for number in range(begin, begin + 20):
        shown = [component(50, 50)] if number < begin + 6 else []
        sightings, ended = tracker.update(frame(number, fps), shown)
        alarms += [one.alarm for one in sightings]
        over = number if ended else over
    assert alarms == [False] * 3 + [True] * 3
    assert over - begin == 5 + 7  # seen last on the sixth frame; six without it are borne


def test_options_out_of_range_are_refused():
    with pytest.raises(OptionError, match="--smooth_s"):
        Smoother(-1)
    with pytest.raises(OptionError, match="--motion"):
        Smoother(0.1, "flwo")


def test_object_must_stand_on_the_road_where_that_is_asked():
    classes = np.full((60, 80), 2, np.uint8)
    classes[30:] = 0
    mask = np.zeros((60, 80), bool)
    mask[20:40, 10:20] = mask[2:14, 50:70] = True
    on_road, on_wall = component(10, 20, 10, 20), component(50, 2, 20, 12)
    assert stands_on(on_road, mask, classes, (0,))
    assert not stands_on(on_wall, mask, classes, (0,))
    assert stands_on(on_wall, mask, classes, (0, 2))
    assert ground_classes("road", ("road", "sidewalk", "car")) == (0,)
    assert ground_classes("ground", ("road", "sidewalk", "car")) == (0, 1)
    assert ground_classes("anywhere", ("sky",)) == ()
    for where, classes_ in (("raod", ("road",)), ("road", ("sky", "car"))):
        with pytest.raises(OptionError, match="--where"):
            ground_classes(where, classes_)


def test_what_stands_elsewhere_is_not_tinted():
    score = np.zeros(SIZE, np.float32)
    score[60:80, 20:40] = score[5:20, 100:130] = 10
    classes = np.full(SIZE, 2, np.uint8)
    classes[50:] = 0
    rules = Rules(high=5, low=4, smooth_s=0, ground=(0,))
    judged = Judge(rules)(frame(0), Scores(classes, score, score))
    assert [one.box for one in judged.components] == [(20, 60, 20, 20)]
    assert judged.mask.sum() == 400
