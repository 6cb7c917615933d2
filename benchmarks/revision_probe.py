"""What `revisions.py` asks of one version of the package: numbers, or times on demand.

It runs in the version that `PYTHONPATH` names, and uses what all versions have: the commands, the
catalogues' names, `roadanomaly.load`. What has moved is in `PLACES`.

    values FILE     write scores, metrics and trained weights, as arrays by name, into an `.npz`
    speed           answer each line `inference` or `training` with the seconds of one turn, by the
                    clock and of the processor
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
import torch
import yaml

import roadanomaly

PLACES = {
    "DATASETS": ("roadanomaly.data",),
    "main": ("roadanomaly.cli.main",),
    "read_config": ("roadanomaly.cli.train",),
    "score_frames": ("roadanomaly.metrics",),
    "Trainer": ("roadanomaly.training.loop",),
}
"""Names that are not public, and the modules that hold them in one version or another."""

REFERENCES = Path(tiny_models.__file__).parent
STREETS = {"name": "streets", "height": 48, "width": 64, "count": 6}
STEPS = 4
ESPNET = {"name": "espnetv2", "scale": 0.5}
LARGER = {
    "train_data": {"name": "streets", "height": 256, "width": 512, "count": 8},
    "crop": [128, 256],
    "batch_size": 4,
    "detector": {"name": "densehybrid"},
    "start": None,
}
"""The recipe at a size whose steps can be timed."""


def find(name: str) -> Any:
    """Return what is called so in this version."""
    for module in PLACES[name]:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"{name} is in none of {PLACES[name]}: add where it is to PLACES.")


def command(*words: str) -> None:
    """Run a command line of the package."""
    code = find("main")(list(words))
    if code:
        raise SystemExit(f"roadanomaly {' '.join(words)} ended with {code}")


def recipe(out: str, **changes: Any) -> str:
    """Write the paste recipe with some keys changed; return its path."""
    config = yaml.safe_load((REFERENCES / "recipe.yaml").read_text()) | changes | {"out": out}
    cutouts = str(REFERENCES / "cutouts")
    for key in ("negatives", "val_negatives"):
        if config[key]["name"] == "paste":
            config[key]["root"] = cutouts
    path = Path(f"{out}.yaml")
    path.write_text(yaml.safe_dump({k: v for k, v in config.items() if v is not None}))
    return str(path)


def save_starts() -> None:
    """Save the two small networks, from a seed, as models that detectors start from."""
    for name, spec in tiny_models.SEGMENTERS.items():
        torch.manual_seed(1)
        segmenter = roadanomaly.segmenter(**spec)
        with torch.no_grad():
            for parameter in segmenter.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            if name == "plain":  # as fresh as it is, all its answers are alike
                segmenter.network.decode_head.classifier.weight.mul_(30)
        detector = roadanomaly.detector("rba" if name == "masks" else "max_logit")
        roadanomaly.Model(segmenter, detector).save(name)


def prepared(name: str) -> roadanomaly.Model:
    """Build, fit or train a detector on the small network that it reads."""
    kind = roadanomaly.DETECTORS.get(name)
    start = "plain" if "logits" in kind.accepts else "masks"
    spec = {"name": name, **tiny_models.DETECTORS[name]}
    if kind.kind == "posthoc":
        return roadanomaly.Model(roadanomaly.load(start).segmenter, roadanomaly.detector(**spec))
    if kind.kind == "fit":
        options = ["--detector", json.dumps(spec), "--data", json.dumps(STREETS)]
        command("fit", "--run", start, *options, "--device", "cpu", "--out", name)
    else:
        negatives = tiny_models.NEGATIVES.get(name)
        changes = {"negatives": negatives} if negatives else {}
        command("train", recipe(name, start=start, detector=spec, steps=STEPS, **changes))
    return roadanomaly.load(name)


def values() -> dict[str, np.ndarray]:
    """Return all numbers by their names, `kind/of what/which`."""
    save_starts()
    found = dict(metric_values())
    frames = [frame.image for frame in find("DATASETS").build("streets", three_frames())]
    for name in tiny_models.DETECTORS:
        found |= model_values(name, prepared(name), frames)
    command("train", recipe("recipe", start="plain"))
    return found | model_values("recipe", roadanomaly.load("recipe"), frames)


def three_frames() -> dict[str, Any]:
    return {"split": "test", "count": 3, "height": 48, "width": 64}


def model_values(
    name: str, model: roadanomaly.Model, frames: list[torch.Tensor]
) -> dict[str, np.ndarray]:
    """Return a model's scores of the frames, and all its weights that are floats."""
    found = {f"scores/{name}/{i}": model(frame).score for i, frame in enumerate(frames)}
    for key, value in model.networks.state_dict().items():
        if value.is_floating_point():
            found[f"weights/{name}/{key}"] = value.numpy()
    return found


def metric_values() -> Iterator[tuple[str, np.ndarray]]:
    """Yield all metrics of made frames, in both modes and tracks and three types of scores."""
    rng = np.random.default_rng(0)
    frames = []
    for index in range(4):
        label = np.zeros((96, 128), np.uint8)
        for _ in range(5):
            top, left = rng.integers(0, 70), rng.integers(0, 100)
            label[top : top + rng.integers(3, 26), left : left + rng.integers(3, 26)] = 1
        label[:4], label[:, -index - 1 :] = 255, 255
        score = rng.normal(size=label.shape) + 1.5 * (label == 1)
        frames.append((np.round(score, 2) if index % 2 else score, label))
    for track in ("anomaly", "obstacle"):
        for mode in ("official", "exact"):
            for kind in ("float16", "float32", "float64"):
                typed = [(score.astype(kind), label) for score, label in frames]
                for key, value in find("score_frames")(typed, track, mode).items():
                    yield f"metrics/{track}, {mode}, {kind}/{key}", np.asarray(value)


def turns() -> dict[str, Callable[[], None]]:
    """Return what can be timed, ready to go."""
    command("train", recipe("timed", **LARGER, segmenter=ESPNET, steps=1, lr=0.0))
    model = roadanomaly.load("timed")
    image = torch.rand(3, 256, 512, generator=torch.Generator().manual_seed(0))
    config, _ = find("read_config")([recipe("longer", **LARGER, segmenter=ESPNET, steps=100_000)])
    trainer = find("Trainer")(config)
    trainer.module.train()
    batches, step = trainer.batches(), iter(range(1, 100_000))
    return {
        "inference": lambda: model(image),
        "training": lambda: trainer.update(next(step), batches),
    }


def answer() -> None:
    """Answer each line of standard input with the seconds that its turn took."""
    out = sys.stdout
    with redirect_stdout(sys.stderr):
        ready = turns()
        print(" ".join(ready), file=out, flush=True)
        for line in sys.stdin:
            began, used = time.perf_counter(), time.process_time()
            ready[line.strip()]()
            took = time.perf_counter() - began, time.process_time() - used
            print(*took, file=out, flush=True)


def main() -> None:
    folder = Path(sys.argv[1])
    assert folder in Path(roadanomaly.__file__).parents, f"{roadanomaly.__file__} is not {folder}"
    if sys.argv[2] == "speed":
        answer()
    else:
        np.savez(sys.argv[3], **values())


if __name__ == "__main__":
    main()
