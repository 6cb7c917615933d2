"""Measure what `atta` changes on ordinary and on degraded frames: AP without it and with it.

    python benchmarks/adaptation.py runs/densehybrid_espnetv2_camvid

Streets (drawn, their test) are shown as they are, in fog, at night and in snow; CamVid val, with
cut-outs that training never showed, as it is, blurred, and underexposed. The training domain's
statistics are of CamVid train. Needs `camvid/` and `coco128seg/` below ROADANOMALY_DATA.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch

import roadanomaly as ra
from roadanomaly.data import DATASETS
from roadanomaly.data.subset import Subset
from roadanomaly.detectors.hybrid.atta import SHIFT, Atta
from roadanomaly.fitting import fit
from roadanomaly.metrics import PixelExact
from roadanomaly.model import Model
from roadanomaly.negatives import NEGATIVES
from roadanomaly.training.validation import Validator
from roadanomaly.types import Frame

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
CUT_OUTS = {
    "name": "paste",
    "root": "coco128seg",
    "part": "held_out",
    "min_area": 0.003,
    "look": {"side": [24, 300]},
}


def fog(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Veil the picture in grey, most where the road ends: at a third of its height."""
    rows = np.linspace(0, 1, len(image), dtype=np.float32)
    far = np.clip(1 - np.abs(rows - 0.4) / 0.7, 0, 1)[:, None, None]
    veil = 0.35 + 0.5 * far
    return (1 - veil) * image + veil * np.float32(0.78)


def night(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take a sixth of the light, bluish, with the noise of a long amplification."""
    dark = image**1.3 * np.float32([0.13, 0.15, 0.19])
    return dark + rng.normal(0, 0.015, image.shape).astype(np.float32)


def snow(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let white flakes fall in front of a paler picture."""
    flakes = (rng.random(image.shape[:2]) > 0.985).astype(np.float32)
    flakes = np.clip(3 * cv2.GaussianBlur(flakes, (0, 0), 1.2), 0, 1)[..., None]
    pale = 0.75 * image + np.float32(0.22)
    return (1 - flakes) * pale + flakes


def blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian of 2 pixels."""
    return cv2.GaussianBlur(image, (0, 0), 2.0)


def gain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take two fifths of the light."""
    return image * np.float32(0.4)


def none(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leave the picture as it is."""
    return image


CHANGES: dict[str, tuple[Change, ...]] = {
    "streets": (none, fog, night, snow),
    "camvid": (none, blur, gain),
}


def frames_of(name: str, count: int) -> Iterator[Frame]:
    """Give the frames with anomalies of one of the two sets."""
    if name == "streets":
        yield from DATASETS.build("streets", {"split": "test", "count": count})
        return
    inliers = DATASETS.build("camvid", {"split": "val"})
    mixed = Validator(inliers, NEGATIVES.from_spec(CUT_OUTS), count)
    yield from (mixed.mixed(number) for number in range(count))


def changed(frame: Frame, change: Change, seed: int) -> torch.Tensor:
    """Return a frame's picture after a change, `(1, 3, H, W)` float in 0..1, in 256 greys."""
    image = frame.image.permute(1, 2, 0).numpy().astype(np.float32) / 255
    found = np.clip(change(image, np.random.default_rng(seed)), 0, 1)
    grey = np.round(255 * found) / 255
    return torch.from_numpy(np.ascontiguousarray(grey)).permute(2, 0, 1)[None].float()


def adapting(run: str, frames: int, threshold: float) -> Model:
    """Return the run's model adapted by atta, fitted on frames of CamVid train."""
    model = Model(ra.load(run).segmenter, Atta({"run": run}, threshold=threshold))
    fit(model, Subset(DATASETS.build("camvid", {"split": "train"}), frames))
    return model.eval()


def standard(chance: float, detector: Atta) -> float:
    """Return the standard deviations beyond the training domain that gave a chance of a shift."""
    chance = min(max(chance, 1e-30), 1 - 1e-7)
    return float(detector.threshold + np.log(chance / (1 - chance)) / detector.slope)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="folder of a trained model whose network has BatchNorm")
    parser.add_argument("--frames", type=int, default=8, help="of each set")
    parser.add_argument("--fit-frames", type=int, default=24, help="of CamVid train")
    parser.add_argument("--threshold", type=float, default=50.0, help="of the shift, as atta's")
    given = parser.parse_args()
    plain = ra.load(given.run)
    whole = adapting(given.run, given.fit_frames, given.threshold)
    norms_alone = copy.deepcopy(whole)
    norms_alone.detector.steps = 0
    parts = {"without": plain, "BatchNorm": norms_alone, "atta": whole}
    usual = whole.detector
    print(f"divergence of CamVid train: {float(usual.usual):.0f} ± {float(usual.deviation):.0f}")
    print("| set | change | deviations | chance of a shift | AP without | BatchNorm alone | atta |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, changes in CHANGES.items():
        frames = list(frames_of(name, given.frames))
        for change in changes:
            curves = {part: PixelExact() for part in parts}
            shifts = []
            for number, frame in enumerate(frames):
                image = changed(frame, change, number)
                for part, model in parts.items():
                    score, found = model.score(image)
                    curves[part].update(str(number), score[0].detach().numpy(), frame.truth.numpy())
                shifts.append(found.features[SHIFT].item())
            values = [f"{100 * curve.compute().ap:.1f}" for curve in curves.values()]
            off = [standard(one, usual) for one in shifts]
            row = [name, change.__name__, f"{np.mean(off):.1f}", f"{np.mean(shifts):.2f}", *values]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
