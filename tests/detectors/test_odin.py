"""ODIN's step, against a finite difference and in both directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

import roadanomaly
from roadanomaly.detectors.confidence.odin import STEPPED
from roadanomaly.errors import KindError, OptionError
from roadanomaly.model import Model
from tests.contracts import toy


def doubtful(seed=0):
    """Colours that are pure nowhere, so that every pixel has a slope."""
    generator = torch.Generator().manual_seed(seed)
    return 0.2 + 0.6 * torch.rand(2, 3, toy.HEIGHT, toy.WIDTH, generator=generator)


def model(**options):
    return Model(toy.ToySegmenter(), roadanomaly.detector("odin", **options))


def log_confidence(segmenter, image, temperature):
    """`sum ln max_k softmax(s / T)_k` in double precision, by SciPy."""
    with torch.inference_mode():
        logits = segmenter(image).image_logits().double().numpy()
    return special.log_softmax(logits / temperature, 1).max(1).sum((1, 2))


def stepped_image(odin, image, monkeypatch):
    """Return the image that the second pass sees."""
    seen = []
    forward = odin.segmenter.forward

    def watched(entering, *further):
        seen.append(entering.detach().clone())
        return forward(entering, *further)

    monkeypatch.setattr(odin.segmenter, "forward", watched)
    odin.score(image)
    assert torch.equal(seen[0], image)
    assert len(seen) == 2
    return seen[1]


@pytest.mark.parametrize("sign", ["paper", "smiyc"])
def test_the_step_follows_the_finite_difference(sign, monkeypatch):
    """`paper` goes up `ln S`; `smiyc` goes down the confidence of its second softmax."""
    image, temperature, small = doubtful(), 2.0, 1e-3
    odin = model(temperature=temperature, epsilon=0.25, sign=sign)
    segmenter = toy.ToySegmenter().eval()
    step = (stepped_image(odin, image, monkeypatch) - image).numpy() / 0.25
    assert set(np.unique(step.round(5))) <= {-1.0, 0.0, 1.0}

    def height(one):
        with torch.inference_mode():
            logits = segmenter(one).image_logits().double().numpy() / temperature
        inner = special.softmax(logits, 1) if sign == "smiyc" else logits
        return special.log_softmax(inner, 1).max(1).sum()

    rng = np.random.default_rng(0)
    for _ in range(20):
        place = tuple(int(rng.integers(size)) for size in image.shape)
        up, down = image.clone(), image.clone()
        up[place] += small
        down[place] -= small
        slope = (height(up) - height(down)) / (2 * small)
        wanted = np.sign(slope) if sign == "paper" else -np.sign(slope)
        if abs(slope) > 1e-3:
            assert step[place] == pytest.approx(wanted, abs=1e-4)


def test_the_papers_step_raises_the_winning_probability_and_the_benchmarks_lowers_it():
    image, segmenter = doubtful(), toy.ToySegmenter().eval()
    before = log_confidence(segmenter, image, 3.0)
    after = {}
    for sign in ("paper", "smiyc"):
        odin = model(epsilon=1e-3, sign=sign)
        segmentation = odin.head.look(odin.segmenter, image)
        logits = segmentation.features[STEPPED].double().numpy() / 3.0
        after[sign] = special.log_softmax(logits, 1).max(1).sum((1, 2))
    assert (after["paper"] > before).all()
    assert (after["smiyc"] < before).all()


def test_without_a_step_it_is_max_softmax():
    image = doubtful()
    msp = Model(toy.ToySegmenter(), roadanomaly.detector("msp", temperature=3.0))
    torch.testing.assert_close(model(epsilon=0.0).score(image)[0], msp.score(image)[0])


def test_the_segmentation_is_of_the_image_itself_and_carries_no_gradient():
    image, odin = doubtful(), model(epsilon=0.3)
    score, segmentation = odin.score(image)
    with torch.inference_mode():
        assert torch.equal(segmentation.classes(), odin.segmenter(image).classes())
    assert not score.requires_grad
    assert not segmentation.logits.requires_grad
    assert all(one.grad is None for one in odin.segmenter.parameters())
    gained = odin.detector.explain(segmentation, image)["confidence gained by the step"]
    assert gained.mean() > 0


def test_a_segmenter_trains_under_it():
    odin = model()
    odin.detector.train()
    segmentation = odin.detector.look(odin.segmenter, doubtful())
    assert segmentation.logits.requires_grad


def test_a_network_without_gradients_is_refused():
    segmenter = toy.ToySegmenter()
    segmenter.trainable = False
    with pytest.raises(KindError, match="gradient"):
        Model(segmenter, roadanomaly.detector("odin"))


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", 0.0), ("epsilon", -1.0), ("sign", "papper")]
)
def test_options_that_mean_nothing_are_refused(option, value):
    with pytest.raises(OptionError, match=option):
        roadanomaly.detector("odin", **{option: value})
