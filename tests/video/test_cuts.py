"""A drive is one scene; another place is another."""

from __future__ import annotations

import numpy as np

from roadanomaly.data.streets import Streets
from roadanomaly.video.cuts import CutFinder


def test_frames_of_a_drive_are_one_scene_and_another_street_is_another():
    drawn = Streets("test", count=6, height=192, width=384)
    streets = [frame.image.permute(1, 2, 0).numpy() for frame in drawn]
    finder = CutFinder()
    assert finder(streets[0])
    rng = np.random.default_rng(0)
    for shift in range(1, 6):  # moved a little, and with noise
        moved = np.roll(streets[0], 2 * shift, axis=1).astype(int)
        assert not finder((moved + rng.integers(-4, 5, moved.shape)).clip(0, 255).astype(np.uint8))
    assert finder(255 - streets[0])
