"""FastFlow, CFLOW, CS-Flow and DifferNet: what their scores are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.calibration import calibrate
from roadanomaly.data.stack import stack
from roadanomaly.data.transforms import RandomCrop, RandomFlip
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.density.cflow import CODE
from roadanomaly.detectors.density.differnet import SLOPE
from roadanomaly.detectors.density.grouping import Grouping
from roadanomaly.detectors.position import position_code
from roadanomaly.errors import KindError, OptionError, UserError
from roadanomaly.fitting import split_for
from roadanomaly.model import Model
from roadanomaly.runtimes.export import write_onnx
from roadanomaly.types import Frame, Segmentation, is_inlier
from tests.contracts import toy
from tests.contracts.built import ENCODER, SMALL
from tests.contracts.tiny import network


def trained(name, steps=3, **options):
    torch.manual_seed(0)
    segmenter = toy.ToySegmenter()
    detector = DETECTORS.build(name, {**SMALL[name], **options})
    toy.prepare(Model(segmenter, detector), steps)
    return segmenter, detector.eval().requires_grad_(False)


def looked(name, steps=3, **options):
    segmenter, detector = trained(name, steps, **options)
    image = toy.planted(toy.inliers(1, 9), 0.3).image
    seen = detector.look(segmenter, image)
    return detector, seen, image


def test_fastflow_is_the_mean_over_channels_of_the_latents_normal_cost():
    detector, seen, image = looked("fastflow")
    layer = detector.densities["colour"]
    latents = layer.flow.transform(layer.whitened(seen.features["colour"]))[0]
    cost = -torch.distributions.Normal(0, 1).log_prob(latents).mean(1)
    torch.testing.assert_close(detector.score(seen, image), seen.to_image(cost))


def test_csflow_is_the_mean_over_scales():
    detector, seen, image = looked("csflow")
    layer = detector.densities["colour"]
    latents = layer.flow.transform(layer.whitened(seen.features["colour"]))[0]
    assert [one.shape[-2:] for one in latents] == [(10, 14), (5, 7), (3, 4)]
    costs = [
        -torch.distributions.Normal(0, 1).log_prob(one).sum(1, keepdim=True) for one in latents
    ]
    grown = [torch.nn.functional.interpolate(one, (10, 14), mode="bilinear")[:, 0] for one in costs]
    expected = seen.to_image(torch.stack(grown).mean(0))
    torch.testing.assert_close(detector.score(seen, image), expected)


def test_cflow_asks_the_density_of_each_class():
    """Told another class, the same features have another score."""
    detector, seen, image = looked("cflow", steps=20)
    score = detector.score(seen, image)
    told = Segmentation(seen.logits.roll(1, 1), seen.size, seen.padded, features=seen.features)
    assert not torch.allclose(detector.score(told, image), score)


@pytest.mark.parametrize("name", ["cflow", "embedding_density"])
def test_costs_are_standardised_on_inliers_of_held_out_frames(name):
    """With so many vectors a frame that all its inlier pixels are drawn, each with its cell."""
    every = {"per_frame": toy.HEIGHT * toy.WIDTH}
    segmenter, detector = trained(name, steps=20, **every)
    frames = split_for(detector, toy.Frames(*(toy.inliers(4, seed) for seed in range(3))), 0.25)
    assert len(frames.held_out) > 1
    batch = stack([frames.held_out[number] for number in range(len(frames.held_out))])
    image = batch.image.float() / 255
    seen = segmenter(image, detector.needs)
    costs = detector.densities["colour"].cost(detector.layers(seen, image)["colour"])
    rows = costs.repeat_interleave(2, 1).repeat_interleave(2, 2)[is_inlier(batch.label)]
    standard = detector.standard(rows[:, None])
    assert standard.mean().item() == pytest.approx(0, abs=1e-3)
    assert standard.std().item() == pytest.approx(1, abs=1e-2)
    assert rows.std() > 0.1


def test_the_code_of_a_position_is_its_own_and_follows_rows_and_columns():
    code = position_code(torch.zeros(1, 1, 6, 9), CODE)
    assert code.shape == (1, CODE, 6, 9)
    flat = code[0].flatten(1).T
    assert torch.cdist(flat, flat).fill_diagonal_(1).min() > 1e-3
    half = CODE // 2
    assert (code[0, :half] == code[0, :half, :, :1]).all()
    assert (code[0, half:] == code[0, half:, :1]).all()


def pixels(frame):
    """Return a segmentation and a map of stride 1 of a frame or of a crop, as a step has them."""
    batch = stack([frame])
    size = (frame.image.shape[-2], frame.image.shape[-1])
    seen = Segmentation(torch.zeros(1, 3, *size), size, size, places=batch.places)
    return seen, torch.zeros(1, 1, *size)


@pytest.mark.parametrize("condition", ["rows", "position"])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_cflow_tells_a_crop_its_place_in_the_frame(condition, flip):
    """A crop of a frame, or of the mirrored one, is given what these are given there."""
    detector = DETECTORS.build("cflow", {**SMALL["cflow"], "condition": condition, "bands": 5})
    detector.attach(toy.ToySegmenter())
    mirror, drawn = RandomFlip(flip), np.random.default_rng
    y, x = torch.meshgrid(torch.arange(60), torch.arange(90), indexing="ij")
    frame = Frame("f", torch.stack([x, y, 0 * x]).to(torch.uint8))
    given = detector._condition(*pixels(mirror(frame, drawn(0))))
    for seed in range(5):
        crop = mirror(RandomCrop(23, 31)(frame, drawn(seed)), drawn(0))
        left, top = (int(one) for one in crop.image[:2, 0, 0])
        left = 89 - left if flip else left
        part = given[:, :, top : top + 23, left : left + 31]
        torch.testing.assert_close(detector._condition(*pixels(crop)), part, atol=1e-3, rtol=0)


def test_bands_of_rows_are_of_equal_height_and_the_lower_one_has_the_edge():
    """Against whole numbers, for frames whose maps cover padding below them too."""
    for tall, padded, height in ((720, 736, 92), (60, 60, 60), (33, 64, 2), (1080, 1088, 34)):
        for bands in (1, 3, 8, 64):
            seen = Segmentation(torch.zeros(1, 3, height, 1), (tall, 8), (padded, 8))
            found = Grouping("cflow", "rows", bands).of(
                seen, torch.zeros(1, 1, height, 1), aligned=False
            )
            middles = [(2 * row + 1) * padded * bands for row in range(height)]
            exact = [min(one // (2 * height * tall), bands - 1) for one in middles]
            assert found[0, :, 0].tolist() == exact


@pytest.mark.parametrize("condition", ["none", "rows", "position"])
def test_cflow_takes_other_conditions(condition):
    detector, seen, image = looked("cflow", condition=condition, bands=3)
    assert detector.context == {"none": 0, "rows": 3, "position": CODE}[condition]
    assert torch.isfinite(detector.score(seen, image)).all()


def test_differnets_gradient_is_that_of_the_pooled_likelihoods():
    """Against central differences, and where nothing is read the gradient is 0."""
    segmenter, detector = trained("differnet", blur=1)
    image = toy.planted(toy.inliers(1, 9), 0.3).image
    slope = detector.look(segmenter, image).features[SLOPE]
    assert slope.shape == (1, 1, toy.HEIGHT, toy.WIDTH)

    def cost(x):
        seen = segmenter(x, detector.needs)
        return detector.densities["pooled"].cost(detector.layers(seen, x)["pooled"]).sum()

    for row, column in ((3, 4), (10, 15)):
        total = 0.0
        for colour in range(3):
            step = torch.zeros_like(image)
            step[0, colour, row, column] = 1e-2
            with torch.no_grad():
                total += abs((cost(image + step) - cost(image - step)).item()) / 2e-2
        assert slope[0, 0, row, column].item() == pytest.approx(total, rel=0.05)


def test_differnet_is_no_graph(tmp_path):
    segmenter, detector = trained("differnet")
    model = Model(segmenter, DETECTORS.build("differnet", detector.options()))
    model.detector.load_state_dict(detector.state_dict())
    model.calibration = calibrate([np.arange(100.0)], 0.05, "numbers")
    with pytest.raises(UserError, match="gradients"):
        write_onnx(model, (32, 32), tmp_path / "graph.onnx")


def test_differnet_takes_an_encoders_gradient_where_the_segmenter_gives_none():
    segmenter = network("onnx")
    with pytest.raises(KindError, match="encoder"):
        Model(segmenter, DETECTORS.build("differnet"))
    Model(segmenter, DETECTORS.build("differnet", {"encoder": ENCODER}))


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("fastflow", {"dimensions": 1}, "2..64"),
        ("csflow", {"scales": 0}, "scales"),
        ("cflow", {"condition": "place"}, "position"),
        ("differnet", {"window": 1}, "window"),
        ("differnet", {"blur": 2}, "odd"),
    ],
)
def test_values_that_cannot_work_are_refused(name, options, match):
    with pytest.raises(OptionError, match=match):
        DETECTORS.build(name, options)


@pytest.mark.parametrize("name", ["differnet", "reverse_distillation"])
def test_trained_detectors_join_maps_as_they_did_when_they_were_trained(name):
    """Half a cell inside on every network, also on one that aligns corners."""
    segmenter = network("espnetv2")
    detector = DETECTORS.build(name, {"features": list(segmenter.features)[:2]}).eval()
    detector.attach(segmenter)
    sizes = [(9, 13), (5, 7)]
    source = detector.source
    named = {
        key: torch.rand(1, width, *size)
        for key, width, size in zip(source.names, source.channels, sizes, strict=True)
    }
    found = []
    for aligned in (False, True):
        logits = torch.zeros(1, 3, 9, 13)
        seen = Segmentation(logits, (72, 104), (72, 104), aligned, named)
        answer = getattr(detector, "layers" if name == "differnet" else "differences")
        given = answer(seen, torch.zeros(1, 3, 72, 104))
        found.append(list(given.values()) if isinstance(given, dict) else given)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
