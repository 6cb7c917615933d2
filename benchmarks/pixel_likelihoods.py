"""What densities of pixels say of square crops: what is likely, what a ratio changes, p-values.

    python benchmarks/pixel_likelihoods.py runs/likelihood_ratio_camvid --out runs/likelihoods
    python benchmarks/pixel_likelihoods.py runs/glow_general --inliers streets --out runs/streets

The first argument is the run folder of a `likelihood` detector, with or without a general flow, or
of a flow. Inliers are crops of CamVid val or of the embedded streets, and crops of one colour, the
mean of an inlier one, stand beside them. With CamVid's, foreign are crops of BSDS500's held-out
part, and inlier crops over which a held-out COCO cut-out was pasted. Printed are AUROC of each
score; and of p-values, calibrated on half of CamVid val's frames, the Kolmogorov-Smirnov distance
to uniform and the share below 0.05, on crops of the other half and, with CamVid's, of KITTI and of
Brazil's roads.
Written are `figures.json`, `likelihoods.md`, `p_values.json`, `p_values.md` and pictures: bits
against complexity, histograms, the least and the most likely crops.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.stats import kstest, rankdata, spearmanr
from torch import Tensor

import roadanomaly
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.parts import place_of
from roadanomaly.data.subset import Picked
from roadanomaly.detectors.pixels.coder import coder_bits
from roadanomaly.detectors.pixels.likelihood import Likelihood
from roadanomaly.flows import ImageFlow
from roadanomaly.flows.store import load_flow
from roadanomaly.negatives import NEGATIVES
from roadanomaly.refiners.p_value import p_values
from roadanomaly.report.pictures import row
from roadanomaly.training.crops import held_out_crops
from roadanomaly.training.record import machine
from roadanomaly.types import NEGATIVE, Batch

AT_ONCE = 16
SCALE = (1.0, 2.0)
COLOURS = {"inliers": (60, 120, 40), "BSDS500": (40, 70, 200), "objects": (200, 110, 30)}
CONSTANT = (150, 40, 150)
OTHER_ROADS = {"KITTI": "kitti_semantic/training/image_2", "Brazil": "roads_brazil/images"}


def flows_of(run: str) -> tuple[ImageFlow, ImageFlow | None]:
    """Return the flow of a run and the general one, where the run has one."""
    if not (Path(run) / "model").exists() and (Path(run) / "flow").exists():
        return load_flow(run).eval(), None
    detector = roadanomaly.load(run).detector
    if not isinstance(detector, Likelihood):
        raise SystemExit(f"{run} holds the detector {type(detector).__name__}, not a likelihood.")
    return detector.eval().flow, detector.general


def inlier_frames(name: str) -> FrameSet:
    """Return frames that no flow has learned from."""
    options = {"split": "val"} if name == "camvid" else {"count": 24, "height": 240, "width": 320}
    return DATASETS.build(name, options if name == "camvid" else {"split": "val", **options})


def foreign_crops(inliers: Tensor, size: int) -> dict[str, Tensor]:
    """Return crops of other things, by kind; as many as inliers, or fewer objects."""
    options = {"images": "bsds500/images", "kind": "ordinary", "part": "held_out", "held_out": 0.4}
    textures = held_out_crops(DATASETS.build("folder", options), len(inliers), (size, size), SCALE)
    look = {"side": [size, 2 * size], "count": [1, 1], "probability": 1.0}
    source = NEGATIVES.build(
        "paste", {"root": "coco128seg", "part": "held_out", "min_area": 0.003, "look": look}
    )
    batch = Batch(
        inliers,
        torch.zeros(len(inliers), size, size, dtype=torch.uint8),
        tuple(map(str, range(len(inliers)))),
    )
    mixed = source.mix(batch, np.random.default_rng(0))
    covered = (mixed.label == NEGATIVE).float().mean((1, 2)) >= 0.5
    return {"BSDS500": textures, "objects": mixed.image[covered]}


@torch.no_grad()
def scores_of(crops: Tensor, flow: ImageFlow, general: ImageFlow | None) -> dict[str, np.ndarray]:
    """Return what each score says of crops, higher = more anomalous."""
    found: dict[str, list[Tensor]] = {}
    for part in crops.split(AT_ONCE):
        x = (part.float() + 0.5) / 256
        bits, last = both_bits(flow, x)
        coder = coder_bits(part.float() / 255)
        own = {"bits": bits, "last scale": last, "less PNG": bits - coder, "PNG": coder}
        if general is not None:
            others = both_bits(general, x)
            own["ratio"] = bits - others[0]
            own["ratio, last scale"] = last - others[1]
        for name, values in own.items():
            found.setdefault(name, []).append(values)
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


def both_bits(flow: ImageFlow, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bits per dimension of all levels and of the last one, of one pass."""
    levels = flow.level_log_probs(x)
    last = math.prod(flow.latent_shapes(*x.shape[-2:])[-1])
    parts = ((levels.sum(1), x[0].numel()), (levels[:, -1], last))
    bits = [8 - nats / (count * math.log(2)) for nats, count in parts]
    return bits[0].float(), bits[1].float()


def auroc(inliers: np.ndarray, foreign: np.ndarray) -> float:
    """Return the chance that a foreign crop scores above an inlier one; ties count half."""
    places = rankdata(np.concatenate([foreign, inliers]))[: len(foreign)]
    return float((places.sum() / len(foreign) - (len(foreign) + 1) / 2) / len(inliers))


def p_value_figures(
    frames: FrameSet,
    others: dict[str, str],
    count: int,
    size: int,
    flow: ImageFlow,
    general: ImageFlow | None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Return how p-values are distributed, calibrated on half of the frames.

    Args:
        frames: half of them calibrate, the other half is tested.
        others: folders of images of other roads that are tested, too, by name.
        count: of crops of each.
        size: of crops, in pixels.
        flow: of inliers.
        general: of images of all kinds, where there is a ratio.

    Returns:
        for each score and side, and each set of crops, the Kolmogorov-Smirnov distance to uniform
        and the share below 0.05.
    """
    half = [place_of(one) < 0.5 for one in frames.frame_ids()]
    seen, tested = (
        Picked(frames, [n for n, one in enumerate(half) if one == side]) for side in (True, False)
    )
    sets = {"other frames": tested} | {
        name: DATASETS.build("folder", {"images": images, "kind": "ordinary"})
        for name, images in others.items()
    }

    def scored(one: FrameSet) -> dict[str, np.ndarray]:
        return scores_of(held_out_crops(one, count, (size, size), SCALE), flow, general)

    rising = {name: torch.from_numpy(np.sort(values)) for name, values in scored(seen).items()}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind, crops in sets.items():
        for name, values in scored(crops).items():
            for sides in ("upper", "both"):
                p = p_values(rising[name], torch.from_numpy(values), sides).numpy()
                found.setdefault(f"{name}, {sides}", {})[kind] = {
                    "distance": float(kstest(p, "uniform").statistic),
                    "below 0.05": float((p < 0.05).mean()),
                }
    return found


def p_value_table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the figures as Markdown: distance, and the share below 0.05 in percent."""
    kinds = list(next(iter(found.values())))
    lines = ["| p-values of | " + " | ".join(kinds) + " |", "| --- " * (len(kinds) + 1) + "|"]
    for name, values in found.items():
        cells = (
            f"{one['distance']:.3f}; {100 * one['below 0.05']:.1f} %" for one in values.values()
        )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def scatter(groups: dict[str, dict[str, np.ndarray]], across: str, up: str) -> np.ndarray:
    """Draw one dot a crop."""
    high, wide, margin = 300, 420, 36
    picture = np.full((high, wide, 3), 255, np.uint8)
    x, y = (np.concatenate([one[name] for one in groups.values()]) for name in (across, up))
    bounds = [(float(v.min()), float(v.max() + 1e-6)) for v in (x, y)]
    place = [(wide - 2 * margin, margin), (-(high - 2 * margin), high - margin)]
    for group, values in groups.items():
        for one in zip(values[across], values[up], strict=True):
            at = [
                round(start + span * (v - low) / (top - low))
                for v, (low, top), (span, start) in zip(one, bounds, place, strict=True)
            ]
            cv2.circle(picture, at, 2, COLOURS.get(group, CONSTANT), -1, cv2.LINE_AA)
    labels = [
        (f"{across}: {bounds[0][0]:.1f} to {bounds[0][1]:.1f}", (margin, high - 10)),
        (f"{up}: {bounds[1][0]:.1f} to {bounds[1][1]:.1f}", (8, 16)),
    ]
    return _written(picture, labels, list(groups))


def histogram(groups: dict[str, dict[str, np.ndarray]], name: str) -> np.ndarray:
    """Draw the share of each kind's crops by their score."""
    high, wide, margin = 220, 420, 36
    picture = np.full((high, wide, 3), 255, np.uint8)
    every = np.concatenate([one[name] for one in groups.values()])
    edges = np.linspace(*np.quantile(every, [0.005, 0.995]), 41)
    for group, values in groups.items():
        counts = np.histogram(values[name], edges)[0] / len(values[name])
        x = margin + (wide - 2 * margin) * (np.arange(40) + 0.5) / 40
        y = high - margin - (high - 2 * margin) * np.minimum(counts / 0.25, 1)
        line = np.stack([x, y], 1).round().astype(np.int32)
        cv2.polylines(picture, [line], False, COLOURS.get(group, CONSTANT), 2, cv2.LINE_AA)
    labels = [(f"{name}: {edges[0]:.2f} to {edges[-1]:.2f}", (margin, high - 10))]
    return _written(picture, labels, list(groups))


def _written(picture: np.ndarray, labels: list, groups: list[str]) -> np.ndarray:
    font = cv2.FONT_HERSHEY_SIMPLEX
    for text, at in labels:
        cv2.putText(picture, text, at, font, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
    for number, group in enumerate(groups):
        colour = COLOURS.get(group, CONSTANT)
        cv2.putText(picture, group, (330, 16 + 14 * number), font, 0.4, colour, 1, cv2.LINE_AA)
    return picture


def ordered(crops: Tensor, values: np.ndarray, count: int = 8) -> np.ndarray:
    """Draw the crops with the least values above those with the most."""
    order = np.argsort(values, kind="stable")
    shown = [order[:count], order[-count:]]
    rows = [row([crops[n].permute(1, 2, 0).numpy() for n in some.tolist()]) for some in shown]
    return np.concatenate(rows)


def flat(inliers: Tensor) -> Tensor:
    """Return crops of one colour: the means of inlier crops."""
    means = inliers.float().mean((2, 3), keepdim=True).round().to(torch.uint8)
    return means.expand_as(inliers).contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run folder of a likelihood detector or of a flow")
    parser.add_argument("--out", required=True)
    parser.add_argument("--inliers", choices=("camvid", "streets"), default="camvid")
    parser.add_argument("--crops", type=int, default=500)
    parser.add_argument("--p-crops", type=int, default=2000, help="0: no p-values")
    parser.add_argument("--size", type=int, default=64, help="of crops, in pixels")
    parser.add_argument("--p-size", type=int, default=32, help="of those for p-values")
    given = parser.parse_args()
    flow, general = flows_of(given.run)
    frames = inlier_frames(given.inliers)
    inliers = held_out_crops(frames, given.crops, (given.size, given.size), SCALE)
    crops = {"inliers": inliers, "one colour": flat(inliers[: max(1, given.crops // 10)])}
    if given.inliers == "camvid":
        crops |= foreign_crops(inliers, given.size)
    scores = {kind: scores_of(some, flow, general) for kind, some in crops.items()}
    write(Path(given.out), given, crops, scores)
    if given.p_crops:
        others = OTHER_ROADS if given.inliers == "camvid" else {}
        found = p_value_figures(frames, others, given.p_crops, given.p_size, flow, general)
        (Path(given.out) / "p_values.json").write_text(json.dumps(found, indent=1) + "\n")
        table = p_value_table(found)
        (Path(given.out) / "p_values.md").write_text(table)
        print(table)


def write(out: Path, given: argparse.Namespace, crops: dict, scores: dict) -> None:
    """Write figures and pictures, and print the table."""
    out.mkdir(parents=True, exist_ok=True)
    own = scores["inliers"]
    table = ["| score | mean of inliers | " + " | ".join(k for k in crops if k != "inliers") + " |"]
    table.append("| --- " * (len(crops) + 1) + "|")
    figures: dict = {
        "machine": machine(),
        "run": given.run,
        "crops": {kind: len(some) for kind, some in crops.items()},
    }
    for name, values in own.items():
        areas = {k: auroc(values, one[name]) for k, one in scores.items() if k != "inliers"}
        figures[name] = {"mean": float(values.mean()), "auroc": areas}
        cells = " | ".join(f"{100 * area:.1f}" for area in areas.values())
        table.append(f"| {name} | {values.mean():.3f} | {cells} |")
    rank = float(spearmanr(own["bits"], own["PNG"]).statistic)
    figures["rank correlation of bits and PNG"] = rank
    table.append("")
    counts = ", ".join(f"{len(some)} of {kind}" for kind, some in crops.items())
    table.append(f"Crops: {counts}.")
    table.append(f"Rank correlation of bits and PNG over inliers: {rank:.3f}.")
    assert math.isfinite(rank)
    print("\n".join(table))
    (out / "likelihoods.md").write_text("\n".join(table) + "\n")
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    pictures = {
        "complexity.png": scatter(scores, "PNG", "bits"),
        "histograms.png": histogram(scores, "bits"),
        "likely.png": ordered(torch.cat(list(crops.values())[:2]), _joined(scores, "bits")),
        "less_png.png": ordered(crops["inliers"], own["less PNG"]),
    }
    if "ratio" in own:
        pictures["ratios.png"] = histogram(scores, "ratio")
    for name, picture in pictures.items():
        cv2.imwrite(str(out / name), np.ascontiguousarray(picture[..., ::-1]))


def _joined(scores: dict, name: str) -> np.ndarray:
    return np.concatenate([one[name] for one in list(scores.values())[:2]])


if __name__ == "__main__":
    main()
