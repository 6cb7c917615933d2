"""What a training says at its start."""

from types import SimpleNamespace

from roadanomaly.data.streets import Streets
from roadanomaly.training.shown import of_source, shown


def test_frames_are_counted():
    frames = Streets("train", count=3, height=48, width=64)
    told = shown(SimpleNamespace(frames=frames, source=None))
    assert told == "learns from 3 frames of streets train"


def test_what_sources_draw_from_is_counted():
    paste = {"name": "paste", "root": "coco", "images": 2, "cutouts": 3, "share": 0.75}
    mixture = {"name": "mixture", "sources": [paste, {"name": "flow", "share": 0.25}]}
    assert of_source(mixture) == "paste, 3 cut-outs of coco + flow"
