"""Streams that share a network get their own results, and none waits long for another."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from roadanomaly.errors import DataError, OptionError
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.runtimes.gathering import Gathering
from roadanomaly.runtimes.ready import Choice, prepare, scorers
from tests.runtimes.models import SIZE, toy_model

SMALL = (4, 6)


class Mean(Runtime):
    """Scores a frame by its mean, and remembers its batches."""

    name, precisions = "mean", ("f32",)

    def __init__(self, size=SMALL, batches=True, seconds=0.0):
        super().__init__(size, "f32")
        self.takes_batches, self.seconds = batches, seconds
        self.scored = []

    def run(self, image):
        return self.run_many([image])[0]

    def run_many(self, images):
        time.sleep(self.seconds)
        self.scored.append([int(image.flat[0]) for image in images])
        return [Scores(image[..., 0], *2 * [np.float32(image.mean(2))]) for image in images]


def frame(value):
    return np.full((*SMALL, 3), value, np.uint8)


def play(gathering, values, pause=0.0):
    """Play a stream of frames; return what came back."""
    seat = gathering.join()
    found = []
    for value in values:
        time.sleep(pause)
        found.append(float(seat(frame(value)).score.mean()))
    seat.leave()
    return found


def play_all(gathering, streams, pauses=None):
    pauses = pauses or [0.0] * len(streams)
    with ThreadPoolExecutor(len(streams)) as pool:
        return list(pool.map(play, [gathering] * len(streams), streams, pauses))


@pytest.mark.parametrize("batches", [True, False])
def test_every_stream_gets_its_own_results(batches):
    streams = [list(range(start, start + 40)) for start in (0, 60, 120, 180)]
    runtime = Mean(batches=batches, seconds=0.001)
    assert play_all(Gathering(runtime), streams) == streams
    scored = [value for batch in runtime.scored for value in batch]
    assert sorted(scored) == sorted(value for stream in streams for value in stream)
    assert max(map(len, runtime.scored)) == (4 if batches else 1)


def test_batches_are_full_where_all_streams_are_fast():
    streams = [list(range(start, start + 30)) for start in (0, 50, 100)]
    gathering = Gathering(runtime := Mean(seconds=0.01), wait_s=1.0)
    seats = [gathering.join() for _ in streams]

    def ask(seat, values):
        for value in values:
            seat(frame(value))
        seat.leave()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ask, seats, streams))
    assert [len(batch) for batch in runtime.scored] == [3] * 30
    assert all(
        sorted(value % 50 for value in batch)[0] == batch[0] % 50 for batch in runtime.scored
    )
    assert seats[0].about == {"frames_a_batch": 3.0}


@pytest.mark.slow
def test_a_slow_stream_holds_nobody_up():
    gathering = Gathering(Mean(), wait_s=0.005)
    begun = time.perf_counter()
    took = {}

    def timed(name, values, pause):
        play(gathering, values, pause)
        took[name] = time.perf_counter() - begun

    threads = [
        threading.Thread(target=timed, args=words)
        for words in (("fast", range(50), 0.0), ("slow", range(4), 0.5))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert took["fast"] < 1.5 < 2.0 <= took["slow"]


def test_a_stream_that_is_over_is_not_waited_for():
    gathering = Gathering(Mean(), wait_s=30.0)
    first, second = gathering.join(), gathering.join()
    threading.Timer(0.2, second.leave).start()
    begun = time.perf_counter()
    for value in range(5):
        first(frame(value))
    assert time.perf_counter() - begun < 10


def test_a_fault_reaches_all_of_its_batch_and_nobody_waits_for_ever():
    class Broken(Mean):
        def run_many(self, images):
            if any(image.flat[0] == 13 for image in images):
                raise RuntimeError("out of memory")
            return super().run_many(images)

    gathering = Gathering(Broken(), wait_s=1.0)
    seats = [gathering.join() for _ in range(3)]

    def ask(seat, value):
        try:
            return float(seat(frame(value)).score.mean())
        except RuntimeError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(ask, seats, (12, 13, 14))) == ["out of memory"] * 3
        assert list(pool.map(ask, seats, (1, 2, 3))) == [1, 2, 3]


def test_scores_that_are_no_numbers_and_wrong_sizes_are_one_streams_alone():
    class Dark(Mean):
        def run_many(self, images):
            found = super().run_many(images)
            for one in found:
                one.score[one.score == 0] = np.nan
            return found

    gathering = Gathering(Dark(), wait_s=1.0)
    seats = [gathering.join() for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        dark, light = (
            pool.submit(seat, frame(value)) for seat, value in zip(seats, (0, 5), strict=True)
        )
        assert light.result().score.mean() == 5
        with pytest.raises(DataError, match="mean f32: 24 of 24 scores are NaN"):
            dark.result()
    with pytest.raises(OptionError, match="scale the frame"):
        seats[0](np.zeros((3, 3, 3), np.uint8))


@pytest.mark.parametrize("detector", ["densehybrid", "mahalanobis"])
def test_a_batch_of_a_network_scores_as_each_stream_alone(detector):
    model = toy_model(detector)
    alone = prepare(model, SIZE, Choice("torch"))
    gathering = Gathering(prepare(model, SIZE, Choice("torch")), wait_s=1.0)
    rng = np.random.default_rng(0)
    streams = [rng.integers(0, 255, (4, *SIZE, 3), dtype=np.uint8) for _ in range(3)]
    seats = [gathering.join() for _ in streams]

    def scores_of(seat, frames):
        found = [seat(one) for one in frames]
        seat.leave()
        return found

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(scores_of, seats, streams))
    assert gathering.batches < gathering.frames == 12
    for found, frames in zip(together, streams, strict=True):
        for one, image in zip(found, frames, strict=True):
            wanted = alone(image)
            np.testing.assert_allclose(one.score, wanted.score, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(one.classes, wanted.classes)


class Source:
    """Stands for an opened model."""

    def __init__(self, keeps_state):
        self.keeps_state = keeps_state
        self.made = []

    def runtime(self, size):
        self.made.append(Mean(size))
        self.made[-1].keeps_state = self.keeps_state
        return self.made[-1]


def test_streams_of_equal_size_share_a_runtime_unless_it_keeps_state():
    sizes = [SMALL, (8, 8), SMALL]
    opened = Source(keeps_state=False)
    seats = scorers(opened, sizes)
    assert [one.size for one in seats] == sizes
    assert [one.size for one in opened.made] == [SMALL, (8, 8)]
    stateful = Source(keeps_state=True)
    assert scorers(stateful, sizes) == stateful.made
    assert len(stateful.made) == 3
    single = Source(keeps_state=False)
    assert scorers(single, [SMALL]) == single.made
