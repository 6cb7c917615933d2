"""What a model costs and keeps, measured in a process of its own.

    python -m roadanomaly.leaderboard.measure OUT.json --model FOLDER | --segmenter JSON ...

`roadanomaly leaderboard` runs this once a row: memory is the growth of a process's peak.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from roadanomaly.data import DATASETS
from roadanomaly.data.derived import Resized
from roadanomaly.detectors import DETECTORS
from roadanomaly.evaluation.cost import in_turns, peak_growth, plain, scored
from roadanomaly.evaluation.folder import without_nan
from roadanomaly.evaluation.known_classes import closed_set
from roadanomaly.files import write_text
from roadanomaly.model import Model, load
from roadanomaly.segmenters import SEGMENTERS, Segmenter
from roadanomaly.training.record import machine
from roadanomaly.weights_hash import weights_hash


def _segmenter(words: str) -> Segmenter:
    given = json.loads(words)
    network = load(given).segmenter if isinstance(given, str) else SEGMENTERS.from_spec(given)
    return network.eval()


def _model(given: argparse.Namespace) -> Model:
    if given.model:
        return load(given.model)
    return Model(_segmenter(given.segmenter), DETECTORS.build("max_logit"))


def _image(given: argparse.Namespace) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(1, 3, *given.size)


def _closed(model: Model, given: argparse.Namespace, before: dict[str, Any]) -> dict[str, Any]:
    """Return mIoU and what tells the network; what is known of the network that it began with.

    Where the detector asks for more than one plain pass, its answer is judged.
    """
    known = weights_hash(model.segmenter)
    same = before.get("network") == known and not model.detector.asks
    if same and before.get("miou") is not None:
        return {"network": known, "miou": before["miou"]}
    if not given.closed:
        return {"network": known, "miou": math.nan}
    asked = json.loads(given.closed)
    frames = DATASETS.from_spec(asked["data"])
    if asked["size"]:
        frames = Resized(frames, tuple(asked["size"]))
    torch.manual_seed(0)
    return {"network": known, "miou": closed_set(model, frames).miou}


def _cost(model: Model, given: argparse.Namespace) -> dict[str, float]:
    """Return time and memory; memory first, while nothing else has been computed."""
    image = _image(given)
    memory = peak_growth(model, image, plain, scored)
    times = in_turns(model, image, given.repeats, scored)
    keys = ("plain_mb", "scored_mb", "plain_ms", "scored_ms")
    return dict(zip(keys, (*memory, *times), strict=True))


def main(words: Sequence[str]) -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("out")
    add("--model", default="")
    add("--segmenter", default="", help="JSON: name and options, or a run folder")
    add("--size", type=int, nargs=2, default=None, help="of the image; without it no cost")
    add("--repeats", type=int, default=5)
    add("--closed", default="", help="JSON: data and size")
    add("--before", default="", help="file of the bare segmenter's figures")
    add("--key", default="", help="goes into the file")
    given = parser.parse_args(words)
    model = _model(given)
    before = json.loads(Path(given.before).read_text()) if given.before else {}
    found: dict[str, Any] = {"key": given.key, "machine": machine()}
    if given.size:
        found |= _cost(model, given)
    found |= _closed(model, given, before)
    write_text(Path(given.out), json.dumps(without_nan(found), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
