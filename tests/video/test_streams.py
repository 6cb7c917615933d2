"""Several streams through one network: each gets what it gets alone, whatever becomes of others."""

import json
import threading
import time

import numpy as np
import pytest

from roadanomaly.errors import DataError, UserError
from roadanomaly.runtimes.base import Runtime, Scores
from roadanomaly.runtimes.gathering import Gathering
from roadanomaly.video.runner import Runner
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from roadanomaly.video.streams import raise_first, run_together
from tests.video.clips import SIZE, Collector, RedIsStrange, judge, write_clip


class Red(Runtime):
    """`RedIsStrange`, in batches."""

    name, precisions, takes_batches = "red", ("f32",), True

    def __init__(self, size=SIZE, seconds=0.0):
        super().__init__(size, "f32")
        self._one, self.seconds = RedIsStrange(size), seconds

    def run(self, image):
        return self._one(image)

    def run_many(self, images):
        time.sleep(self.seconds)
        return [self.run(image) for image in images]


@pytest.fixture
def clips(tmp_path):
    shown = (range(3, 25), [], range(10, 40))
    return [
        write_clip(tmp_path / f"{number}.mp4", count, frames)
        for number, (count, frames) in enumerate(zip((30, 20, 50), shown, strict=True))
    ]


def pipelines(clips, gathering, reading=None):
    seen = [Collector() for _ in clips]
    runners = [
        Runner(open_source(str(clip), reading), gathering.join(), judge(), [sink])
        for clip, sink in zip(clips, seen, strict=True)
    ]
    return runners, seen


def test_each_stream_has_the_results_that_it_has_alone(clips):
    gathering = Gathering(Red(), wait_s=0.05)
    runners, seen = pipelines(clips, gathering)
    assert run_together(runners) == [None] * 3
    assert [runner.statistics()["frames"] for runner in runners] == [30, 20, 50]
    assert gathering.frames == 100
    assert gathering.batches < 80
    for clip, found in zip(clips, seen, strict=True):
        alone = Collector()
        Runner(open_source(str(clip)), RedIsStrange(), judge(), [alone]).run()
        assert found.events == alone.events
        for one, wanted in zip(found.results, alone.results, strict=True):
            assert one.frame.number == wanted.frame.number
            np.testing.assert_array_equal(one.scores.score, wanted.scores.score)
            assert one.sightings == wanted.sightings


def test_one_that_fails_leaves_the_others_alone(clips):
    gathering = Gathering(Red(), wait_s=0.05)
    runners, seen = pipelines(clips, gathering)

    class Full(Collector):
        def take(self, judged):
            if judged.frame.number == 5:
                raise OSError("no room")

    runners[1].sinks = [Full()]
    faults = run_together(runners)
    assert [type(fault) for fault in faults] == [type(None), OSError, type(None)]
    assert [len(sink.results) for sink in (seen[0], seen[2])] == [30, 50]
    with pytest.raises(OSError, match="no room"):
        raise_first(faults)


@pytest.mark.slow
def test_live_streams_of_which_one_is_slow(clips):
    """Were the other to wait for each frame of the slow one, it would have three of its thirty."""
    gathering = Gathering(Red())
    fast, fast_seen = pipelines(clips[:1], gathering, Reading(realtime=True))
    slow, _ = pipelines(clips[1:2], gathering)
    frames = slow[0].source.frames

    def hesitating(size):
        for frame in frames(size):
            time.sleep(0.4)
            yield frame

    slow[0].source.frames = hesitating
    threading.Timer(3.0, slow[0].stop).start()
    assert run_together([*fast, *slow]) == [None, None]
    assert len(fast_seen[0].results) > 15


def test_mistakes_are_told_together():
    first, second = DataError("a is empty."), UserError("b cannot be written.")
    with pytest.raises(UserError, match=r"^a is empty\.\nb cannot be written\.$"):
        raise_first([first, None, second])
    with pytest.raises(DataError, match="a is empty"):
        raise_first([None, first])
    raise_first([None, None])


def test_stopping_ends_all(clips):
    runners, _ = pipelines(clips[:2], Gathering(Red(seconds=0.05)), Reading(loop=0))

    def stop():
        for runner in runners:
            runner.stop()

    threading.Timer(0.5, stop).start()
    assert run_together(runners) == [None, None]
    assert {runner.ended for runner in runners} == {"stopped"}


def test_figures_say_how_full_the_batches_were(clips):
    runners, _ = pipelines(clips, Gathering(Red(), wait_s=0.05))
    run_together(runners)
    figures = json.loads(json.dumps(runners[2].statistics()))
    assert 1 < figures["frames_a_batch"] <= 3
    assert isinstance(runners[0].runtime(np.zeros((*SIZE, 3), np.uint8)), Scores)
