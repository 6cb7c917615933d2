"""What held-out crops cost in bits per dimension: a flow, PNG, and a histogram of each channel.

    python benchmarks/flow_density.py runs/glow_camvid

All three see the same crops: those on which the run was validated. The histogram is that of each
channel's grey levels in as many crops of the training set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

from roadanomaly.data import DATASETS
from roadanomaly.flows.store import load_flow
from roadanomaly.report.flow_pictures import bits_of
from roadanomaly.training.crops import held_out_crops
from roadanomaly.training.record import machine


def png_bits(crops: torch.Tensor) -> np.ndarray:
    """Bits per dimension of each crop as a PNG at compression 9, its 57 bytes of frame left out."""
    sizes = []
    for crop in crops:
        pixels = crop.permute(1, 2, 0).numpy()[..., ::-1]
        _, code = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        sizes.append(8 * (len(code) - 57) / crop.numel())
    return np.array(sizes)


def histogram_bits(crops: torch.Tensor, training: torch.Tensor) -> np.ndarray:
    """Bits per dimension of each crop under independent grey levels of each channel."""
    bits = torch.zeros(len(crops))
    for channel in range(crops.shape[1]):
        counts = torch.bincount(training[:, channel].flatten().long(), minlength=256) + 1.0
        cost = -(counts / counts.sum()).log2()
        bits += cost[crops[:, channel].long()].mean((1, 2)) / crops.shape[1]
    return bits.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="run folder of `roadanomaly flow train`")
    parser.add_argument("--crops", type=int, default=None, help="default: as many as the run's")
    given = parser.parse_args()
    config = yaml.safe_load((Path(given.run) / "config.yaml").read_text())
    count = given.crops or config["val_crops"]

    def cut(data):
        return held_out_crops(
            DATASETS.from_spec(data), count, tuple(config["crop"]), tuple(config["scale"])
        )

    crops, training = cut(config["val_data"]), cut(config["train_data"])
    costs = {
        "flow": bits_of(load_flow(given.run), crops),
        "PNG": png_bits(crops),
        "histograms": histogram_bits(crops, training),
    }
    print(f"machine     {machine()}")
    print(f"crops       {count} of {tuple(crops.shape[1:])} from {config['val_data']}")
    for name, bits in costs.items():
        error = bits.std() / len(bits) ** 0.5
        print(f"{name:<11} {bits.mean():.3f} bits/dim (standard error {error:.3f})")


if __name__ == "__main__":
    main()
