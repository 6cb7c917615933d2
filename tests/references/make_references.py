"""Stores what version 0.1 wrote and answered: models, scores, a stopped run, trained weights.

    PYTHONPATH=<checkout of 0.1> python tests/references/make_references.py <empty folder>

It ran with revision d5e57f3cfb642795005524609d2dde2cd4750065, on one thread of an x86 processor,
and is kept to show how the files came about: later versions must read them, not make them again.
Models are trained and fitted by the commands of that version. To keep the files small, the weights
of the two small networks are stored once, a model's folder holds the weights of its detector alone,
and calibrations (but that of DenseHybrid) and records are left out; a test puts them together.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tiny_models
import torch
import yaml
from filled import filled
from safetensors.torch import load_file, save, save_file

import roadanomaly
from roadanomaly.cli.main import main as command
from roadanomaly.data import DATASETS
from roadanomaly.training.loop import Interrupted, Trainer

HERE = Path(__file__).parent
STREETS = {"split": "test", "count": 3, "height": 48, "width": 64}
CALIBRATED = "densehybrid"
STOPPED_AFTER = 4
SAMPLE = 200


def main() -> None:
    target = Path(sys.argv[1]).absolute()
    target.mkdir(parents=True)
    assert roadanomaly.__version__ == "0.1.0"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        draw_cutouts(Path("cutouts"))
        shutil.copytree("cutouts", target / "cutouts")
        starts(target)
        models, scores = {}, {}
        for name in tiny_models.DETECTORS:
            models[name], scores[name] = store_detector(name, target)
        for name, spec in tiny_models.OTHERS.items():
            models[name], scores[name] = store_other(spec)
        pack(target / "models.json.xz", json.dumps(models, indent=0).encode())
        np.savez_compressed(target / "scores.npz", **scores)
        store_runs(target)


def draw_cutouts(folder: Path) -> None:
    """Draw ten objects with an alpha channel."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(10):
        pixels = np.zeros((24, 30, 4), np.uint8)
        centre = (15, 12), (int(rng.integers(6, 14)), int(rng.integers(5, 11)))
        colour = [int(one) for one in rng.integers(30, 220, 3)]
        cv2.ellipse(pixels, *centre, float(rng.integers(90)), 0, 360, (*colour, 255), -1)
        pixels[:: 3 + index % 3, :, :3] //= 2
        cv2.imwrite(str(folder / f"object_{index}.png"), pixels)


def starts(target: Path) -> None:
    """Save the two small networks, and their weights once."""
    for name, spec in tiny_models.SEGMENTERS.items():
        torch.manual_seed(1)
        options = dict(spec)
        segmenter = roadanomaly.segmenter(options.pop("name"), **options)
        with torch.no_grad():
            for parameter in segmenter.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            if name == "plain":  # as fresh as it is, all its answers are alike
                segmenter.network.decode_head.classifier.weight.mul_(30)
        detector = roadanomaly.detector("max_logit" if name == "plain" else "rba")
        folder = roadanomaly.Model(segmenter, detector).save(name)
        pack(target / f"{name}.safetensors.xz", (folder / "weights.safetensors").read_bytes())
    shutil.copytree("plain", "start")


def pack(path: Path, data: bytes) -> None:
    path.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def sampled(model: roadanomaly.Model, count: int) -> np.ndarray:
    """Return every fifth score of every fifth row of the first frames."""
    frames = DATASETS.build("streets", STREETS)
    return np.stack([model(frames[index].image).score[1::5, 2::5] for index in range(count)])


def store_detector(name: str, target: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Make a detector's model ready, store its weights; return `model.json` and scores."""
    start = "plain" if "logits" in roadanomaly.DETECTORS.get(name).accepts else "masks"
    model = prepared(name, start)
    if name != CALIBRATED:
        model.calibration = None
    folder = model.save(f"{name}_saved")
    weights = load_file(folder / "weights.safetensors")
    for key, value in load_file(f"{start}/weights.safetensors").items():
        assert torch.equal(weights.pop(key), value), key
    if weights:
        pack(target / f"{name}.safetensors.xz", save(weights))
    description = json.loads((folder / "model.json").read_text())
    return (
        {"model.json": description, "segmenter": start},
        sampled(roadanomaly.load(folder), STREETS["count"]),
    )


def prepared(name: str, start: str) -> roadanomaly.Model:
    """Fit or train a detector with the commands; the network under it stays as it is."""
    spec = {"name": name, **tiny_models.DETECTORS[name]}
    kind = roadanomaly.DETECTORS.get(name).kind
    if kind == "posthoc":
        model = roadanomaly.load(start)
        return roadanomaly.Model(model.segmenter, roadanomaly.detector(**spec))
    if kind == "fit":
        data = {"name": "streets", "height": 48, "width": 64, "count": 6}
        words = ["--run", start, "--detector", spec, "--data", data, "--device", "cpu"]
        given = [one if isinstance(one, str) else json.dumps(one) for one in words]
        assert command(["fit", *given, "--out", f"{name}_run"]) == 0
    else:
        changes = (
            {"negatives": tiny_models.NEGATIVES[name]} if name in tiny_models.NEGATIVES else {}
        )
        changes |= {"lr": 0.0, "steps": 4, "head_lr": 1e-2, "detector": spec, "out": f"{name}_run"}
        assert command(["train", recipe(**changes)]) == 0
    return roadanomaly.load(f"{name}_run")


def recipe(**changes: Any) -> str:
    """Write the recipe with some keys changed; return its path."""
    config = yaml.safe_load((HERE / "recipe.yaml").read_text()) | changes
    path = Path(f"{config['out']}.yaml")
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(path)


def store_other(spec: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Return `model.json` and the layout of the weights of another network, and its scores."""
    segmenter = roadanomaly.segmenter(**spec)
    detector = "rba" if "masks" in segmenter.answers else "max_logit"
    folder = roadanomaly.Model(segmenter, roadanomaly.detector(detector)).save("other")
    state = load_file(folder / "weights.safetensors")
    assert not any(one.any() for one in state.values() if not one.is_floating_point())
    layout = [(key, str(one.dtype).split(".")[1], list(one.shape)) for key, one in state.items()]
    save_file(filled(layout), folder / "weights.safetensors")
    description = json.loads((folder / "model.json").read_text())
    return {"model.json": description, "layout": layout}, sampled(roadanomaly.load(folder), 1)


def store_runs(target: Path) -> None:
    """Store weights after 20 steps, and a run that was stopped, with the weights of its end."""
    assert command(["train", recipe()]) == 0
    weights = {"trained": sample_of("run")}
    words = {"out": "stopped", "steps": 6, "average": 0.5}
    stop_run(recipe(**words))
    folder = target / "stopped"
    folder.mkdir()
    for name in ("config.yaml", "metrics.csv", "validation.csv"):
        if Path("stopped", name).exists():
            shutil.copy(f"stopped/{name}", folder)
    record = json.loads(Path("stopped/record.json").read_text())
    kept = {key: value for key, value in record.items() if key not in ("command", "machine")}
    (folder / "record.json").write_text(json.dumps(kept, indent=1) + "\n")
    pack(folder / "last.pt.xz", Path("stopped/checkpoints/last.pt").read_bytes())
    assert command(["train", "stopped/config.yaml", "--resume"]) == 0
    weights["resumed"] = sample_of("stopped")
    pack(target / "weights.json.xz", json.dumps(weights).encode())


def stop_run(config: str) -> None:
    """Begin a run, and ask it to stop after some steps, as Ctrl-C does."""
    from roadanomaly.cli.train import read_config

    class Stopped(Trainer):
        def update(self, step: int, batches: Any) -> dict[str, float]:
            self.stop = step == STOPPED_AFTER
            return super().update(step, batches)

    try:
        Stopped(read_config([config])[0]).run()
    except Interrupted:
        return
    raise AssertionError("the run did not stop")


def sample_of(run: str) -> dict[str, dict[str, list]]:
    """Return some weights of a run's model, by key: their places and values."""
    state = roadanomaly.load(run).networks.state_dict()
    keys = sorted(key for key, value in state.items() if value.is_floating_point())
    total = sum(state[key].numel() for key in keys)
    rng = np.random.default_rng(0)
    sample = {}
    for key in keys:
        size = state[key].numel()
        count = min(size, 1 + SAMPLE * size // total)
        places = sorted(rng.choice(size, count, replace=False).tolist())
        sample[key] = {"places": places, "values": state[key].flatten()[places].tolist()}
    return sample


if __name__ == "__main__":
    main()
