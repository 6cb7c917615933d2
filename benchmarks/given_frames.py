"""Frames with negatives in them, as scripts of this folder take them from the command line."""

from __future__ import annotations

import argparse

import yaml

from roadanomaly.data import DATASETS
from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.subset import Subset
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames


def add_frames(parser: argparse.ArgumentParser) -> None:
    """Add the options that `frames_of` reads."""
    parser.add_argument("--data", type=yaml.safe_load, required=True, help="labelled frames")
    parser.add_argument("--negatives", type=yaml.safe_load, help="put into the frames")
    parser.add_argument("--size", type=int, nargs=2, help="height and width of the frames")
    parser.add_argument("--frames", type=int, help="so many, evenly spaced; default all")


def frames_of(given: argparse.Namespace) -> FrameSet:
    """Return the frames that were asked for."""
    frames = DATASETS.from_spec(given.data)
    if given.size:
        frames = Resized(frames, tuple(given.size))
    if given.negatives:
        frames = MixedFrames(frames, NEGATIVES.from_spec(given.negatives))
    return Subset(frames, given.frames) if given.frames else frames
