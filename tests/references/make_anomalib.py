"""Stores what anomalib answers to `anomalib_inputs`, for `test_anomalib.py` to compare with.

    pip install anomalib==2.7.0
    python tests/references/make_anomalib.py

anomalib is no dependency of the project, and stays out of its tests: they read `anomalib.npz`.
"""

from __future__ import annotations

from pathlib import Path

import anomalib_inputs as inputs
import numpy as np
import torch
from anomalib.models.components.sampling import KCenterGreedy
from anomalib.models.components.stats import MultiVariateGaussian
from anomalib.models.image.cflow.utils import positional_encoding_2d
from anomalib.models.image.csflow.anomaly_map import AnomalyMapGenerator as CsFlowMap
from anomalib.models.image.csflow.anomaly_map import AnomalyMapMode
from anomalib.models.image.csflow.loss import CsFlowLoss
from anomalib.models.image.draem.loss import DraemLoss
from anomalib.models.image.fastflow.anomaly_map import AnomalyMapGenerator as FastFlowMap
from anomalib.models.image.ganomaly.loss import GeneratorLoss
from anomalib.models.image.padim.anomaly_map import AnomalyMapGenerator as PadimMap
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerator as CosineMap
from kornia.losses import SSIMLoss
from torch import Tensor

TARGET = Path(__file__).with_name("anomalib.npz")
SIZE = (32, 48)


def main() -> None:
    torch.set_num_threads(1)
    parts = (padim, patchcore, fastflow, cflow, csflow, draem, reverse_distillation, ganomaly)
    found = {key: value for part in parts for key, value in part().items()}
    arrays = {key: np.asarray(value, np.float32) for key, value in found.items()}
    np.savez_compressed(TARGET, **arrays)
    for key, value in arrays.items():
        print(f"{key:32s} {value.shape!s:16s} mean {value.mean():.6g}")


def of(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)


def padim() -> dict[str, Tensor]:
    """A Gaussian at the one place of 1x1 maps, so that all vectors share it."""
    statistics = MultiVariateGaussian().fit(of(inputs.vectors(1, 300))[:, :, None, None])
    queries = of(inputs.vectors(2, 40) * 1.5)[:, :, None, None]
    return {"padim": PadimMap.compute_distance(queries, statistics).flatten()}


def patchcore() -> dict[str, Tensor]:
    model = PatchcoreModel.__new__(PatchcoreModel)
    torch.nn.Module.__init__(model)
    model.num_neighbors = 9
    model.memory_bank = of(inputs.vectors(3, 60))
    queries = of(inputs.vectors(4, 40) * 1.5)
    distances, numbers = model.nearest_neighbors(queries, 1)
    whole = model.compute_anomaly_score(distances[None], numbers[None], queries)
    torch.manual_seed(inputs.SEED)
    # three axes: vectors are not projected before the selection
    picked = KCenterGreedy(model.memory_bank[..., None], 0.25).select_coreset_idxs()
    return {
        "patchcore": distances,
        "patchcore_largest_weighted": whole,
        "patchcore_picked": torch.tensor(picked),
    }


def fastflow() -> dict[str, Tensor]:
    levels = enumerate(inputs.LEVELS)
    latents = [of(inputs.drawn(5 + number, 1, *shape)) for number, shape in levels]
    each = {f"fastflow_{i}": FastFlowMap(tuple(z.shape[2:]))([z]) for i, z in enumerate(latents)}
    return {**each, "fastflow_joined": FastFlowMap(SIZE)(latents)}


def cflow() -> dict[str, Tensor]:
    return {"cflow_position": positional_encoding_2d(128, 5, 7)}


def csflow() -> dict[str, Tensor]:
    latents = [
        of(inputs.drawn(7 + number, 2, 8, 16 >> number, 24 >> number)) for number in range(3)
    ]
    finest = CsFlowMap((3, 16, 24), AnomalyMapMode.MAX)(latents)
    log_det = of(inputs.drawn(10, 2))
    return {"csflow_finest": finest, "csflow_loss": CsFlowLoss()(latents, log_det)}


def draem() -> dict[str, Tensor]:
    loss = DraemLoss()
    image, repair = of(inputs.image(11)), of(inputs.image(12))
    logits = of(inputs.drawn(13, 1, 2, *SIZE))
    return {
        "draem_l2": loss.l2_loss(repair, image),
        "draem_ssim": SSIMLoss(loss.ssim_loss.window_size, padding="valid")(repair, image),
        "draem_focal": loss.focal_loss(logits, of(inputs.mask()).long()),
    }


def reverse_distillation() -> dict[str, Tensor]:
    shape = inputs.LEVELS[0]
    student, teacher = (of(inputs.drawn(number, 1, *shape)) for number in (14, 15))
    # so small a deviation takes one tap: the map as it is before it is smoothed
    draw = CosineMap(SIZE, sigma=0.1, mode=AnomalyMapGenerationMode.ADD)
    return {"reverse_distillation": draw([student], [teacher])}


def ganomaly() -> dict[str, Tensor]:
    one, other = (of(inputs.drawn(number, 5, 10, 1, 1)) for number in (16, 17))
    loss = GeneratorLoss()
    return {
        "ganomaly": (one - other).pow(2).mean(1).flatten(),
        "ganomaly_context": loss.loss_con(of(inputs.image(11)), of(inputs.image(12))),
    }


if __name__ == "__main__":
    main()
