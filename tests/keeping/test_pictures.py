"""Large pictures of one evaluation: no set and no network draws over another's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.cli import progress
from roadanomaly.cli.progress import View, watch
from roadanomaly.evaluation.team import Team
from roadanomaly.types import Frame
from tests.evaluation.scenes import Drawn, Scenes, job


def test_sets_that_share_ids_and_several_networks_have_pictures_of_their_own(tmp_path):
    image, label = torch.zeros(3, 20, 30, dtype=torch.uint8), torch.zeros(20, 30, dtype=torch.uint8)
    frame = Frame("seq/0001", image, label)
    score = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    for set_name in ("roadanomaly", "laf"):
        for label_of in ("runs a", "runs b"):
            source = Drawn()
            source.label = label_of
            View(job(source, protocol=set_name), tmp_path).draw(0, frame, {"drawn": score})
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png"))
    assert found == [
        f"pictures/{set_name}/runs {network}/seq%2F0001.png"
        for set_name in ("laf", "roadanomaly")
        for network in "ab"
    ]


@pytest.mark.parametrize(
    ("count", "wanted", "drawn"),
    [
        (9, 5, [0, 2, 4, 6, 8]),
        (9, 4, [0, 3, 5, 8]),
        (3, 5, [0, 1, 2]),
        (7, 1, [0]),
        (4, 0, []),
    ],
)
def test_as_many_frames_as_are_asked_for_are_drawn_large(
    tmp_path, monkeypatch, count, wanted, drawn
):
    found = []
    monkeypatch.setattr(View, "draw", lambda view, number, *rest: found.append(number))
    monkeypatch.setattr(progress, "write_thumbnails", lambda *rest: None)
    with watch(View(job(frames=Scenes(count)), tmp_path), wanted, Team()) as seen:
        for number in range(count):
            seen(number, None, {})
    assert found == drawn
