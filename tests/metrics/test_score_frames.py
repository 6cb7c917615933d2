"""The one-call door: generators, memory, mistakes."""

import tracemalloc

import numpy as np
import pytest

from roadanomaly.errors import DataError, UnknownName
from roadanomaly.metrics import score_frames


def make_frames(count, size=(120, 160), dtype=np.float32):
    rng = np.random.default_rng(5)
    for _ in range(count):
        label = np.zeros(size, np.uint8)
        label[40:80, 50:100] = 1
        label[:20] = 255
        yield (rng.random(size) + 0.6 * label * (label == 1)).astype(dtype), label


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("mode", ["official", "exact"])
@pytest.mark.parametrize("track", ["anomaly", "obstacle"])
def test_a_one_shot_generator_gives_the_same_as_a_list(track, mode, dtype):
    frames = list(make_frames(3, dtype=dtype))
    assert score_frames(iter(frames), track, mode) == score_frames(frames, track, mode)
    assert score_frames(frames, track, mode)["siou"] > 0


def test_memory_does_not_grow_with_the_frames_in_official_mode():
    peaks = []
    for count in (3, 12):
        tracemalloc.start()
        score_frames(make_frames(count, (480, 640)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    one_frame = 480 * 640 * 5
    assert peaks[1] - peaks[0] < one_frame / 2


@pytest.mark.parametrize("mode", ["official", "exact"])
def test_nothing_to_count_is_nan(mode):
    void = [(np.ones((5, 6), np.float16), np.full((5, 6), 255, np.uint8))]
    for frames in (void, []):
        assert np.isnan(list(score_frames(frames, mode=mode).values())).all()


def test_strided_views_are_read_as_they_look():
    frames = list(make_frames(2))
    turned = [(np.asfortranarray(score), label[:, ::-1][:, ::-1]) for score, label in frames]
    assert score_frames(iter(turned)) == score_frames(frames)


SCORE, LABEL = np.zeros((4, 5), np.float32), np.zeros((4, 5), np.uint8)


@pytest.mark.parametrize(
    ("score", "label", "message"),
    [
        (SCORE[:3], LABEL, r"frame 1: the score has shape \(3, 5\) and the label \(4, 5\)"),
        (SCORE[0], LABEL[0], r"both must be \(H, W\)"),
        (SCORE[:0], LABEL[:0], "holds no pixel"),
        (SCORE.astype(int), LABEL, "frame 1: scores are int64"),
        (SCORE, LABEL.astype(np.int32), "frame 1: the label is int32"),
        (SCORE, LABEL + np.uint8(7), "frame 1: the label holds the id 7"),
        (SCORE, LABEL + np.uint8(254), "frame 1: the label holds the id 254"),
        (SCORE * np.nan, LABEL, "frame 1: 20 of 20 scores are NaN"),
        ((SCORE * np.nan).astype(np.float16), LABEL, "frame 1: 20 of 20 scores are NaN"),
    ],
)
def test_a_frame_that_cannot_be_scored_is_named(score, label, message):
    with pytest.raises(DataError, match=message):
        score_frames([(SCORE, LABEL), (score, label)])


def test_wrong_words_are_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean `anomaly`"):
        score_frames([], track="anomoly")
    with pytest.raises(UnknownName, match="did you mean `official`"):
        score_frames([], mode="oficial")
