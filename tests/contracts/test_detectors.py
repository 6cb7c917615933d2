"""What every detector of the catalogue keeps, whatever it computes."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

import roadanomaly
from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.detectors.explanation import explanation
from roadanomaly.errors import DataError, NotFitted
from roadanomaly.fitting import fit
from roadanomaly.model import Model
from roadanomaly.types import IGNORE, VOID, Batch
from tests.contracts import toy
from tests.contracts.built import (
    DRAWING,
    ENCODER,
    NEEDED,
    build_detector,
    detector_options,
    kind_of,
)
from tests.contracts.cover import firsts_fast
from tests.contracts.tiny import CLASSES, network, network_for

LEARNING = ("train", "finetune")

KINDS = {name: kind_of(name) for name in DETECTORS}

every = pytest.mark.parametrize("name", DETECTORS)
each = pytest.mark.parametrize("name", firsts_fast(DETECTORS))
sizes = pytest.mark.parametrize("size", [(37, 53)])
those_that_prepare = pytest.mark.parametrize("name", [n for n in KINDS if KINDS[n] != "posthoc"])
those_that_learn = pytest.mark.parametrize(
    "name", firsts_fast(n for n in KINDS if KINDS[n] in LEARNING)
)


def images(*size, count=2, seed=0):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def labelled(image: torch.Tensor) -> Batch:
    generator = torch.Generator().manual_seed(1)
    rows, columns = image.shape[-2:]
    label = torch.randint(0, len(CLASSES), (len(image), rows, columns), generator=generator)
    label[:, :4], label[:, 4:8], label[:, 8:12] = roadanomaly.NEGATIVE, IGNORE, VOID
    return Batch(image, label.to(torch.uint8), tuple(str(i) for i in range(len(image))))


def backward(terms: dict[str, torch.Tensor]) -> None:
    """Go back through the sum; of a detector that teaches the segmenter's loss there is none."""
    if terms:
        sum(terms.values()).backward()


def prepare(model: Model, height: int = 128, width: int = 192) -> Model:
    """Fit or train for one step on noise, so that scores exist.

    Args:
        model: that is prepared, in place.
        height: of the noise; coarse maps have few pixels an image.
        width: of the noise.
    """
    detector, batch = model.detector, labelled(images(height, width))
    frames = toy.Frames(*[batch] * 16)
    toy.walk(model, frames, held_out=False)
    if detector.kind in LEARNING:
        segmentation = detector.look(model.segmenter, batch.image)
        detector.train()
        backward(detector.loss(segmentation, batch))
    toy.walk(model, frames, held_out=True)
    return model.eval()


@cache
def prepared_once(name: str) -> Model:
    model = Model(network(network_for(name)), build_detector(name, len(CLASSES)))
    return prepare(model, 64, 96)


@pytest.fixture
def model(name):
    model = prepared_once(name)
    for parameter in model.networks.parameters():
        parameter.grad = None
    return copy.deepcopy(model)


OFF = {"diffusion_density": 1e-3, "fusion": 0.1, "knn": 1e-3}
"""How far last digits carry: the unit of these is the spread of inlier scores, tiny on noise."""


@each
@sizes
def test_frames_score_at_their_size_and_alone_as_together(model, name, size):
    batch = images(*size, count=2)
    torch.manual_seed(0)
    together, segmentation = model.score(batch)
    assert together.shape == segmentation.classes().shape == (2, *size)
    assert together.dtype == torch.float32
    assert torch.isfinite(together).all()
    torch.manual_seed(0)
    alone = torch.cat([model.score(image[None])[0] for image in batch])
    off = OFF.get(name, 1e-4)
    torch.testing.assert_close(alone, together, rtol=off, atol=off)


def both_scores(model: Model) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a model says of an image that is padded, and what its detector says."""
    image = images(37, 53)
    found, segmentation = model.score(image)
    with model.head.inference():
        return found, model.detector.score(segmentation, image)


ON_A_GRID = [name for name in DETECTORS if DETECTORS.get(name).native is not Detector.native]


@pytest.mark.parametrize("name", firsts_fast(ON_A_GRID))
def test_a_model_scores_as_its_detector_does(model):
    found, expected = both_scores(model)
    assert found.shape[-2:] == (37, 53)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in ON_A_GRID if "encoder" in DETECTORS.options(n)])
def test_a_model_scores_as_its_detector_does_on_an_encoders_grid(name):
    """The segmenter's own grid ends on the corners, the encoder's half a cell inside."""
    segmenter = network("espnetv2")
    assert segmenter.align_corners
    options = {**detector_options(name, len(CLASSES)), "encoder": ENCODER}
    model = prepare(Model(segmenter, DETECTORS.build(name, options)), 64, 96)
    torch.testing.assert_close(*both_scores(model), rtol=1e-5, atol=1e-6)


LEVEL = re.compile(r"(?<=^cost of ).*|(?<=^1 - cosine, ).*")
"""The name of a level in a title."""
TABLE = Path(__file__).parents[2] / "docs" / "generative.md"
ROW = re.compile(r"^\| (`[a-z_`, ]+`) \| ([^|]+) \|$", re.M)


@cache
def documented_panels() -> dict[str, set[str]]:
    """Return what the page of the generative models says that each of them shows, by its name."""
    table = TABLE.read_text().split("## What they show", 1)[1].split("\n## ", 1)[0]
    return {
        name: set(titles.split("; ")) - {"nothing beside the score"}
        for names, titles in ROW.findall(table)
        for name in re.findall(r"[a-z_]+", names)
    }


@pytest.mark.slow
@every
def test_what_it_shows_is_finite_of_the_images_size_and_as_documented(model, name):
    image = images(37, 53, count=1)
    segmentation = model.score(image)[1]
    found = explanation(model.detector, segmentation, image)
    assert (found is not None) == model.detector.explains
    maps = found.maps if found else {}
    with torch.inference_mode("gradients" not in model.detector.asks):
        raw = model.detector.explain(segmentation, image)
    assert maps.keys() == raw.keys()
    for title, panel in maps.items():
        assert panel.shape[:2] == (37, 53), title
        assert raw[title].isfinite().all(), title
    if name in documented_panels():
        assert {LEVEL.sub("a level", title) for title in maps} == documented_panels()[name]


def test_the_page_of_generative_models_says_what_all_of_them_show():
    rooms = ("density", "pixels", "reconstruction")
    places = {name: DETECTORS.get(name).__module__.split(".")[-2] for name in DETECTORS}
    assert documented_panels().keys() == {n for n, room in places.items() if room in rooms}


@each
def test_saved_and_loaded_it_gives_equal_scores(model, tmp_path):
    image = images(37, 53)
    torch.manual_seed(0)
    expected, _ = model.score(image)
    model.save(tmp_path / "model")
    again = roadanomaly.load(tmp_path / "model")
    torch.manual_seed(0)
    assert torch.equal(again.score(image)[0], expected)
    assert again.detector.options() == model.detector.options()


@each
def test_all_that_it_learned_is_in_its_state(model, name):
    """A fresh detector with the state of another gives its scores: nothing hides elsewhere."""
    image = images(64, 96)
    fresh = DETECTORS.build(name, model.detector.options())
    fresh.attach(model.segmenter)
    fresh.load_state_dict(model.detector.state_dict(), strict=True)
    segmentation = model.head.look(model.segmenter, image)
    with torch.inference_mode():
        expected = model.detector.score(segmentation, image)
        assert torch.equal(fresh.eval().score(segmentation, image), expected)
    tensors = [*fresh.parameters(), *fresh.buffers()]
    hidden = [key for key, value in vars(fresh).items() if isinstance(value, torch.Tensor)]
    assert not hidden
    assert all(tensor.device == model.device for tensor in tensors)


@each
def test_it_moves_as_a_whole(model):
    """Every tensor follows `.to`, told by a device that holds no data."""
    moved = model.detector.to("meta")
    assert {t.device.type for t in [*moved.parameters(), *moved.buffers()]} <= {"meta"}


@every
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_scores_of_the_cpu(model):
    image = images(64, 96)
    expected, _ = model.score(image)
    found, _ = model.to("cuda").score(image.cuda())
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-2, atol=1e-2)


@every
def test_options_are_plain_and_rebuild_it(name):
    detector = build_detector(name)
    options = json.loads(json.dumps(detector.options()))
    assert set(options) == set(DETECTORS.options(name))
    assert DETECTORS.build(name, options).options() == detector.options()
    assert detector.kind in ("posthoc", "fit", *LEARNING)
    assert detector.supervision in ("none", "negatives", "void")
    assert detector.paper


@pytest.mark.parametrize("name", [n for n in KINDS if n not in DRAWING])
def test_its_name_alone_builds_it(name):
    """Other tests make its options small; with the defaults it works on a network too."""
    needed = detector_options(name) if name in NEEDED else {}
    detector, segmenter = DETECTORS.build(name, needed), toy.segmenter_for(name)
    detector.eval().attach(segmenter)
    batch = toy.planted(toy.inliers(1, 0), 0.2)
    segmentation = detector.look(segmenter, batch.image)
    if detector.fit_passes:
        with torch.no_grad():
            detector.update(segmentation, batch, detector.fit_passes[0].name)
    if detector.kind == "fit":
        return
    if detector.kind in LEARNING:
        assert all(torch.isfinite(term) for term in detector.loss(segmentation, batch).values())
    else:
        assert torch.isfinite(detector.score(segmentation, batch.image)).all()


@those_that_prepare
def test_unprepared_it_says_so(name):
    detector = build_detector(name, len(toy.CLASSES))
    segmenter = toy.segmenter_for(name)
    detector.attach(segmenter)
    image = images(16, 16)
    verb = "fit" if detector.kind == "fit" else "train"
    with pytest.raises(NotFitted, match=f"roadanomaly {verb}"):
        detector.score(detector.look(segmenter, image), image)


@each
@pytest.mark.parametrize(
    "value", [0.0, *(pytest.param(x, marks=pytest.mark.slow) for x in (0.5, 1.0))]
)
def test_a_constant_image_has_finite_scores(model, value):
    score, _ = model.score(torch.full((1, 3, 32, 32), value))
    assert torch.isfinite(score).all()


def _large(segmentation, scale):
    masks = segmentation.masks
    return masks and replace(masks, classes=masks.classes * scale, masks=masks.masks * scale)


@each
@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)]
)
def test_large_and_coarse_logits_have_finite_scores(model, dtype):
    image = images(32, 32)
    segmentation = model.head.look(model.segmenter, image)
    features = {key: value.to(dtype) for key, value in segmentation.features.items()}
    for scale in (1e4, -1e4):
        logits = torch.zeros_like(segmentation.logits)
        logits[:, :1], logits[:, 1:2] = scale, -scale  # none where no segmenter was asked
        masks = _large(segmentation, scale)
        large = replace(segmentation, logits=logits.to(dtype), features=features, masks=masks)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            score = model.detector.score(large, image)
        assert score.dtype == torch.float32, scale
        assert torch.isfinite(score).all(), scale


@pytest.mark.slow
@every
def test_a_planted_outlier_scores_higher(name):
    """Prepared on three colours, a patch that is none of them scores above its surroundings."""
    segmenter = toy.segmenter_for(name)
    detector = toy.prepared(name, segmenter)
    batch = toy.planted(toy.inliers(4, 7), shade=0.25)
    torch.manual_seed(0)
    segmentation = detector.look(segmenter, batch.image)
    with torch.inference_mode():
        score = detector.score(segmentation, batch.image)
    inside = torch.zeros_like(batch.label, dtype=torch.bool)
    inside[:, 8:12, 12:18] = True
    assert score[inside].min() > score[batch.known].median()
    assert score[inside].mean() > score[batch.known].quantile(0.95)


@those_that_learn
def test_the_loss_is_named_finite_and_reaches_what_learns(name):
    """Finite scalars with finite gradients, with negatives, without, and on void alone."""
    detector = build_detector(name, len(toy.CLASSES))
    segmenter = toy.segmenter_for(name)
    detector.attach(segmenter)
    inliers = toy.inliers(2, 0)
    void = replace(inliers, label=torch.full_like(inliers.label, IGNORE))
    learning = [*detector.parameters()]
    learning += segmenter.parameters() if kind_of(name) == "finetune" else ()
    planted = toy.planted(inliers, 0.2)
    planted.image[:, 0] *= 0.9  # of pure grey the toy network is as unsure as can be
    if detector.supervision == "void":
        planted.label[planted.negative] = VOID
    for batch in (planted, inliers, void):
        before = batch.image.clone(), batch.label.clone()
        detector.zero_grad()
        segmenter.zero_grad()
        terms = detector.loss(detector.look(segmenter, batch.image), batch)
        backward(terms)
        for term in terms.values():
            assert term.shape == ()
            assert torch.isfinite(term)
        for parameter in detector.parameters():
            assert parameter.grad is None or torch.isfinite(parameter.grad).all()
        if batch is planted and terms:
            assert any(one.grad is not None and one.grad.any() for one in learning)
        assert torch.equal(before[0], batch.image)
        assert torch.equal(before[1], batch.label)


FITTED = {name: detector_options(name, len(toy.CLASSES)) for name in KINDS if KINDS[name] == "fit"}
FITTED["maskomaly"] = {"choose": [1, 1]}


@pytest.mark.parametrize("name", FITTED)
def test_fitted_anew_it_is_as_if_for_the_first_time(name):
    """After a fit on frames of another light, and one broken off, nothing of them stays."""
    bright = [toy.planted(toy.inliers(4, seed), 0.3) for seed in range(3)]
    dim = [replace(batch, image=0.6 * batch.image) for batch in bright]
    anew, first = (
        Model(toy.segmenter_for(name), DETECTORS.build(name, FITTED[name])) for _ in range(2)
    )
    anew.detector.load_state_dict(first.detector.state_dict())
    fit(anew, toy.Frames(*dim), 0.25)
    with pytest.raises(DataError, match="broken"):
        fit(anew, toy.Interrupted(*dim), 0.25)
    assert not anew.detector.ready
    scores = []
    for model in (anew, first):
        torch.manual_seed(1)
        fit(model, toy.Frames(*bright), 0.25)
        scores.append(model.score(bright[0].image)[0])
    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-4)


@every
def test_only_its_own_kind_of_preparation_exists(name):
    detector = build_detector(name, len(toy.CLASSES))
    segmenter = toy.segmenter_for(name)
    detector.attach(segmenter)
    batch = toy.inliers(1, 0)
    segmentation = detector.look(segmenter, batch.image)
    assert detector.fit_passes or detector.kind != "fit"
    if not detector.fit_passes:
        with pytest.raises(TypeError, match="nothing to fit"):
            detector.update(segmentation, batch, "fit")
        with pytest.raises(TypeError, match="nothing to fit"):
            detector.finish("fit")
    if detector.kind not in LEARNING:
        with pytest.raises(TypeError, match="no loss"):
            detector.loss(segmentation, batch)
