"""Thresholds by false objects a frame: against what is drawn, object by object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.data.base import FrameSet
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.worlds import World, choose_thresholds
from roadanomaly.model import Model, Result
from roadanomaly.types import IGNORE, Frame
from tests.contracts.toy import ToySegmenter

SIDE = 30
"""Of a drawn object: 900 pixels, enough to count."""


class Drawn(FrameSet):
    """Frames whose red channel is the score: squares of given values on a floor of noise."""

    def __init__(self, values, anomaly=None):
        self.values, self.anomaly = values, anomaly
        self.ids = [f"{number:02}" for number in range(len(values))]

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        image = torch.zeros(3, 100, 200, dtype=torch.uint8)
        image[0] = torch.from_numpy(
            np.random.default_rng(index).integers(0, 20, (100, 200), dtype=np.uint8)
        )
        truth = torch.zeros(100, 200, dtype=torch.uint8)
        for place, value in enumerate(self.values[index]):
            part = np.s_[10 : 10 + SIDE, 10 + 50 * place : 10 + 50 * place + SIDE]
            image[(0, *part)] = value
            if self.anomaly is not None:
                truth[part] = 1
        return Frame(self.ids[index], image, anomaly=truth)

    def record(self):
        return {"name": "drawn", "count": len(self)}


class Red:
    """A model whose score is the red channel, in 0..255."""

    def eval(self):
        return self

    def __call__(self, image, frame_id):
        return Result(image[0].float().numpy(), np.zeros(image.shape[1:], np.uint8), None, 1)


def test_the_threshold_leaves_what_was_wanted_and_tells_what_it_finds():
    """Four false squares on two frames, at 60, 100, 140 and 180; objects at 90, 150 and 200."""
    ordinary = World("plain", Drawn([[60, 140], [100, 180]]))
    strange = World("strange", Drawn([[90, 150, 200]], anomaly=True))
    choices = choose_thresholds(Red(), [ordinary, strange], [2.0, 1.0, 0.5])
    two, one, half = choices
    assert two.false_a_frame == 2.0
    assert two.threshold < 60
    assert 100 <= one.threshold < 140
    assert one.false_a_frame == one.worlds["plain"].false_a_frame == 1.0
    assert (one.worlds["strange"].found, one.worlds["strange"].objects) == (2, 3)
    assert 140 <= half.threshold < 180
    assert half.worlds["strange"].found == 2
    assert half.worlds["plain"].clean == 1


def test_ordinary_worlds_are_counted_once_each_however_many_frames_they_have():
    long = World("long", Drawn([[200]] * 3 + [[0]]))
    short = World("short", Drawn([[0]]))
    (choice,) = choose_thresholds(Red(), [long, short], [0.375])
    assert choice.false_a_frame == pytest.approx(0.375)
    assert choice.threshold < 200


def test_worlds_without_an_ordinary_one_and_odd_numbers_are_refused():
    strange = World("strange", Drawn([[90]], anomaly=True))
    with pytest.raises(OptionError, match="no world is ordinary"):
        choose_thresholds(Red(), [strange], [1.0])
    with pytest.raises(OptionError, match="must be above 0"):
        choose_thresholds(Red(), [strange], [0.0])


def ignored_throughout():
    frames = Drawn([[0, 0], [0, 0]])
    read = frames.__getitem__

    class Blind(Drawn):
        def __getitem__(self, index):
            frame = read(index)
            return replace(frame, anomaly=torch.full_like(frame.anomaly, IGNORE))

    return World("blind", Blind([[0, 0], [0, 0]]))


def test_a_world_without_an_inlier_is_not_counted_among_the_ordinary():
    """Beside a world that is ignored throughout, and has no false object, nothing changes."""
    ordinary = World("plain", Drawn([[60, 140], [100, 180]]))
    wanted = [2.0, 1.0, 0.5]
    alone = choose_thresholds(Red(), [ordinary], wanted)
    beside = choose_thresholds(Red(), [ignored_throughout(), ordinary], wanted)
    assert [one.threshold for one in beside] == [one.threshold for one in alone]
    assert [one.false_a_frame for one in beside] == [2.0, 1.0, 0.5]


def test_a_world_without_an_inlier_is_refused_where_it_is_alone():
    strange = World("strange", Drawn([[90]], anomaly=True))
    with pytest.raises(OptionError, match="each of blind, strange shows one or is ignored"):
        choose_thresholds(Red(), [ignored_throughout(), strange], [1.0])


def test_draws_are_the_same_in_every_run():
    model = Model(ToySegmenter(), roadanomaly.detector("mc_dropout", passes=2, at="classifier"))
    world = World("plain", Drawn([[60, 140]]))
    torch.manual_seed(1)
    first = choose_thresholds(model, [world], [0.5])
    torch.manual_seed(2)
    assert choose_thresholds(model, [world], [0.5]) == first
