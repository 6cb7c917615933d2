"""Scores and losses beside anomalib's, on the same vectors, latents and images.

`make_anomalib.py` stored what anomalib 2.7.0 answered. Where a definition is the same, so is the
number; where ours is another on purpose, the test takes theirs from ours by the stated formula.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from roadanomaly.detectors.coreset import greedy_centres
from roadanomaly.detectors.density.fastflow import FastFlow
from roadanomaly.detectors.density.padim import Padim
from roadanomaly.detectors.density.patchcore import PatchCore
from roadanomaly.detectors.position import position_code
from roadanomaly.detectors.reconstruction.draem import Draem
from roadanomaly.detectors.reconstruction.ganomaly import Ganomaly
from roadanomaly.detectors.reconstruction.reverse import ReverseDistillation
from roadanomaly.detectors.reconstruction.similarity import dissimilarity, squared_error
from roadanomaly.flows.map_flow import MapFlow
from roadanomaly.flows.scale_flow import ScaleFlow
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Segmentation
from tests.references import anomalib_inputs as inputs

CLOSE = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    with np.load(Path(__file__).with_name("anomalib.npz")) as file:
        return {key: torch.from_numpy(value) for key, value in file.items()}


def of(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)


def groupless(vectors: Tensor) -> Tensor:
    return torch.zeros(vectors.shape[:-1], dtype=torch.int64)


def test_padim(theirs):
    """Theirs divides by N - 1 and adds 0.01001 to variances; ours by N, and shrinks by a share."""
    rows, queries = of(inputs.vectors(1, 300)), of(inputs.vectors(2, 40) * 1.5)
    count = len(rows)
    added = 0.01001 * (count - 1) / count
    share = added / (rows.double().var(0, correction=0).mean().item() + added)
    detector = Padim(shrinkage=share)
    detector.build(inputs.CHANNELS, 1)
    detector.add(rows, groupless(rows))
    detector.finish("fit")
    found = detector.cost(queries[None, None], groupless(queries[None, None]))
    scale = math.sqrt((1 - share) * (count - 1) / count)
    torch.testing.assert_close(found.flatten() * scale, theirs["padim"], **CLOSE)


def patchcore(reweight: int) -> PatchCore:
    detector = PatchCore(vectors=60, coreset=1.0, projection=0, reweight=reweight)
    detector.build(inputs.CHANNELS, 1)
    bank = of(inputs.vectors(3, 60))
    detector.add(bank, groupless(bank))
    detector.finish("fit")
    return detector


def test_patchcore(theirs):
    queries = of(inputs.vectors(4, 40) * 1.5)[None, None]
    plain = patchcore(0).cost(queries, groupless(queries)).flatten()
    torch.testing.assert_close(plain, theirs["patchcore"], **CLOSE)
    weighed = patchcore(9).cost(queries, groupless(queries)).flatten()
    at_largest = weighed[plain.argmax()][None]
    torch.testing.assert_close(at_largest, theirs["patchcore_largest_weighted"], **CLOSE)


def test_a_coreset_picks_the_same_vectors(theirs):
    torch.manual_seed(inputs.SEED)
    picked = greedy_centres(of(inputs.vectors(3, 60)), 15)
    assert picked.tolist() == theirs["patchcore_picked"].long().tolist()


def test_fastflow(theirs):
    """Theirs is minus a probability without its constant, ours the cost itself.

    A flow that has learned nothing only turns its input, which leaves the cost as it is.
    """
    grown = []
    for number, shape in enumerate(inputs.LEVELS):
        flow = MapFlow(shape[0]).eval()
        cost = flow.cost(of(inputs.drawn(5 + number, 1, *shape))) / shape[0]
        probability = -torch.exp(0.5 * math.log(2 * math.pi) - cost)[:, None]
        torch.testing.assert_close(probability, theirs[f"fastflow_{number}"], **CLOSE)
        size = inputs.LEVELS[0][1:]
        grown.append(torch.nn.functional.interpolate(probability, size, mode="bilinear"))
    torch.testing.assert_close(sum(grown) / 2, theirs["fastflow_joined"], **CLOSE)


def test_fastflow_joins_costs_and_not_probabilities():
    detector = FastFlow(dimensions=4)
    widths = {"fine": 6, "coarse": 3}
    detector.source.names, detector.source.channels = tuple(widths), tuple(widths.values())
    detector.densities = torch.nn.ModuleDict({key: torch.nn.Identity() for key in widths})
    joined = detector.aggregated(torch.tensor([[8.0, 9.0]]))
    torch.testing.assert_close(joined, torch.tensor([(8 / 4 + 9 / 3) / 2]))


def test_cflow_codes_a_place_in_the_same_waves(theirs):
    """Theirs starts with columns and takes turns between sine and cosine."""
    columns, rows = theirs["cflow_position"].chunk(2)
    sorted_alike = torch.cat([half[part::2] for half in (rows, columns) for part in (0, 1)])
    torch.testing.assert_close(position_code(torch.zeros(1, 1, 5, 7), 128)[0], sorted_alike)


def test_csflow(theirs):
    """Theirs leaves out the normal's constant, and its map is of the finest scale or a product."""
    latents = [
        of(inputs.drawn(7 + number, 2, 8, 16 >> number, 24 >> number)) for number in range(3)
    ]
    constant = 0.5 * math.log(2 * math.pi)
    finest = ScaleFlow(8, scales=1).eval().cost(latents[0])
    found = 2 * (finest / 8 - constant)
    torch.testing.assert_close(found[:, None], theirs["csflow_finest"], **CLOSE)
    flow = ScaleFlow(8).eval()
    encoded, log_det = flow.encode(latents)
    values = sum(one[0].numel() for one in encoded)
    energy = sum(0.5 * one.square().flatten(1).sum(1) for one in encoded)
    torch.testing.assert_close(log_det / values, torch.zeros(2), rtol=0, atol=1e-6)
    loss = (energy - of(inputs.drawn(10, 2))).mean() / values
    torch.testing.assert_close(loss, theirs["csflow_loss"], **CLOSE)


def test_draem(theirs):
    """The parts of the loss; theirs has twice the weight of ours on the similarity.

    Their focal loss is given the weight 1 for what was spoilt, and therefore 0 for all else, and
    its mean counts both classes' places: clean pixels teach nothing. Ours counts all alike.
    """
    image, repair = of(inputs.image(11)), of(inputs.image(12))
    torch.testing.assert_close(squared_error(image, repair).mean(), theirs["draem_l2"], **CLOSE)
    inside = dissimilarity(image, repair)[:, 5:-5, 5:-5]
    torch.testing.assert_close(inside.mean(), theirs["draem_ssim"], **CLOSE)
    share = of(inputs.mask()).float().mean()
    spoilt_alone = focal_loss(image, repair) * share / 2
    torch.testing.assert_close(spoilt_alone, theirs["draem_focal"], **CLOSE)


def focal_loss(image: Tensor, repair: Tensor) -> Tensor:
    """Return the mean over spoilt pixels."""
    detector = Draem(widths=[4], bottleneck=2, judge_widths=[4, 4])
    logits = of(inputs.drawn(13, 1, 2, 32, 48))
    detector.judge = lambda _: (repair, logits[:, 1] - logits[:, 0])
    label = torch.where(of(inputs.mask()), NEGATIVE, IGNORE).to(torch.uint8)
    batch = Batch(image, label, ("one",))
    return detector.loss(Segmentation.unasked(image), batch)["focal"]


def test_reverse_distillation(theirs):
    """The map of one level before it is smoothed; theirs then takes 33 taps, ours 25."""
    shape = inputs.LEVELS[0]
    student, teacher = (of(inputs.drawn(number, 1, *shape)) for number in (14, 15))
    detector = ReverseDistillation()
    detector.source.maps = lambda *_: {"level": teacher}
    detector.code, detector.levels = torch.nn.Identity(), [torch.nn.Identity()]
    detector.answers = [lambda _: student]
    image = torch.zeros(1, 3, *shape[1:])
    found = detector.differences(Segmentation.unasked(image), image)
    torch.testing.assert_close(found[0][:, None], theirs["reverse_distillation"], **CLOSE)


class Answer(torch.nn.Module):
    """A part of a network that always answers the same."""

    def __init__(self, answer: Tensor | list[Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, _: Tensor) -> Tensor | list[Tensor]:
        return self.answer


def ganomaly(codes: list[Tensor], rebuilt: Tensor) -> Ganomaly:
    detector = Ganomaly(widths=[4], bottleneck=10)
    detector.first, detector.second = (Answer(one) for one in codes)
    detector.decoder = Answer(rebuilt.logit(1e-6))
    return detector


def test_ganomaly(theirs):
    """Their score is the square of ours, and of a whole image."""
    codes = [of(inputs.drawn(number, 5, 10, 1, 1)) for number in (16, 17)]
    image, rebuilt = of(inputs.image(11)), of(inputs.image(12))
    detector = ganomaly(codes, rebuilt)
    distance = detector.rebuilt(image)[1]
    torch.testing.assert_close(distance.flatten(), theirs["ganomaly"], **CLOSE)
    score = detector.judge(image)[1]
    torch.testing.assert_close(score[:, 0, 0].square(), theirs["ganomaly"], **CLOSE)
    detector = ganomaly([torch.zeros(1, 10, 16, 24)] * 2, rebuilt)
    batch = Batch(image, torch.zeros(1, 32, 48, dtype=torch.uint8), ("one",))
    context = detector.loss(Segmentation.unasked(image), batch)["context"]
    torch.testing.assert_close(context / 50, theirs["ganomaly_context"], **CLOSE)
