"""The two published networks: every tensor name, and what they must compute for known weights."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.errors import DataError, UnknownName
from roadanomaly.published import HEAD_NAMES, PUBLISHED, Published
from roadanomaly.segmenters.published_weights import DATASET_HEAD

REFERENCE = json.loads(Path(__file__).with_name("published_reference.json").read_text())
TOLERANCE = 1e-4
"""Relative to the largest value."""

SMALL = {"ladder_densenet": {"blocks": [2, 2, 2, 2], "growth": 8}, "deeplab_wrn38": {"narrow": 16}}

networks = pytest.mark.parametrize("name", REFERENCE)


def filled(name: str, like: torch.Tensor) -> torch.Tensor:
    """Return the reference's weights for a tensor: a rule of its name and shape."""
    if not like.is_floating_point():
        return torch.zeros_like(like)
    seed = zlib.crc32(name.encode()) % 2**31
    n = np.random.RandomState(seed).standard_normal(tuple(like.shape))
    if name.endswith("running_var"):
        n = 1 + 0.2 * abs(n)
    elif name.endswith(("running_mean", "bias")):
        n = 0.1 * n
    else:
        n = n * np.sqrt(2 / np.prod(like.shape[1:])) if n.ndim > 1 else 1 + 0.1 * n
    return torch.from_numpy(n.astype(np.float32))


def published_state(model) -> dict[str, torch.Tensor]:
    """Return a model's state under the published names, the dataset head beside the network."""
    state = dict(model.segmenter.state_dict())
    layers = {own: known for known, own in HEAD_NAMES.items()}
    for name, value in model.detector.state_dict().items():
        if name != "ready":
            _, _, layer, rest = name.split(".")
            state[f"{DATASET_HEAD}{layers[layer]}.{rest}"] = value
    return state


def fresh(name: str, **options):
    segmenter = roadanomaly.segmenter(name, **options)
    return roadanomaly.Model(segmenter, roadanomaly.detector("densehybrid"))


@networks
def test_names_shapes_and_types_are_the_published_ones(name):
    with torch.device("meta"):
        model = fresh(name)
    lines = [
        f"{key}\t{'x'.join(map(str, value.shape))}\t{str(value.dtype).removeprefix('torch.')}"
        for key, value in published_state(model).items()
    ]
    assert len(lines) == REFERENCE[name]["tensors"]
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    assert digest == REFERENCE[name]["names_sha256"]
    assert sum(p.numel() for p in model.networks.parameters()) == REFERENCE[name]["parameters"]


@pytest.mark.slow
@networks
@torch.inference_mode()
def test_known_weights_give_the_published_outputs(name, tmp_path):
    """A file as the authors' code writes it becomes a model in one call, with their outputs."""
    state = {key: filled(key, value) for key, value in published_state(fresh(name)).items()}
    torch.save(state, tmp_path / "weights.pt")
    known = next(key for key, one in PUBLISHED.items() if one.segmenter == name)
    cityscapes = replace(PUBLISHED[known], classes=PUBLISHED["nvidia-wrn38-cityscapes"].classes)
    model = roadanomaly.load_published(cityscapes, tmp_path / "weights.pt")
    image = torch.from_numpy(np.random.RandomState(7).rand(1, 3, 128, 256).astype(np.float32))
    segmentation = model.segmenter(image, model.detector.needs)
    (feature,) = model.detector.needs
    dataset = model.detector.heads[feature](segmentation.features[feature])
    expected = REFERENCE[name]
    rows, columns = np.array(expected["points"]).T
    for found, key in (
        (segmentation.image_logits(), "logits"),
        (segmentation.to_image(dataset), "dataset_logits"),
    ):
        wanted = np.array(expected[key])
        at_points = found[0, :, rows, columns].T.numpy()
        np.testing.assert_allclose(at_points, wanted, rtol=0, atol=TOLERANCE * abs(wanted).max())
    logits = segmentation.image_logits()
    np.testing.assert_allclose(logits.abs().mean(), expected["mean_abs_logit"], rtol=TOLERANCE)
    means = np.array(expected["mean_logit_per_channel"])
    np.testing.assert_allclose(
        logits.mean((0, 2, 3)), means, rtol=0, atol=TOLERANCE * abs(means).max()
    )


def small(name: str) -> Published:
    return Published(
        segmenter=name,
        classes=("road", "car", "sky"),
        source="this test",
        licence="none",
        trained_on="nothing",
        detector="densehybrid",
        options=SMALL[name],
    )


@pytest.mark.slow
@networks
def test_an_old_container_loads_with_and_without_the_dataset_head(name, tmp_path):
    original = fresh(name, classes=("road", "car", "sky"), **SMALL[name])
    state = {f"module.{key}": value for key, value in published_state(original).items()}
    content = {"state_dict": state, "epoch": 3, "mean_iu": np.float64(0.8)}
    torch.save(content, tmp_path / "a.pth.tar", _use_new_zipfile_serialization=False)
    image = torch.rand(1, 3, 64, 96)
    model = roadanomaly.load_published(small(name), tmp_path / "a.pth.tar")
    original.detector.ready = True
    assert torch.equal(model.score(image)[0], original.score(image)[0])
    assert model.segmenter.learned_from == "negatives"
    for key in [one for one in state if DATASET_HEAD in one]:
        del state[key]
    torch.save(content, tmp_path / "b.pth.tar")
    for file in ("a.pth.tar", "b.pth.tar"):
        options = {"classes": ("road", "car", "sky"), **SMALL[name]}
        alone = roadanomaly.segmenter(name, weights=str(tmp_path / file), **options).eval()
        assert torch.equal(alone(image).logits, original.segmenter(image).logits)
    with pytest.raises(DataError, match=r"holds no dataset head \(logits_ood\.\*\)"):
        roadanomaly.load_published(small(name), tmp_path / "b.pth.tar")
    without = replace(small(name), detector="energy")
    model = roadanomaly.load_published(without, tmp_path / "b.pth.tar")
    assert torch.isfinite(model.score(image)[0]).all()


@networks
def test_a_file_that_does_not_fit_is_refused(name, tmp_path):
    state = published_state(fresh(name, classes=("road", "car", "sky"), **SMALL[name]))
    state["logits_ood.extra.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "extra.pt")
    with pytest.raises(DataError, match=r"unknown: extra\.weight"):
        roadanomaly.load_published(small(name), tmp_path / "extra.pt")
    with pytest.raises(DataError, match=f"SHA-256 is [0-9a-f]{{64}} instead of {'0' * 64}"):
        roadanomaly.load_published(replace(small(name), sha256="0" * 64), tmp_path / "extra.pt")


def test_the_hash_of_the_right_file_passes(tmp_path):
    options = {"classes": ("a", "b"), **SMALL["ladder_densenet"]}
    state = published_state(fresh("ladder_densenet", **options))
    torch.save(state, tmp_path / "a.pt")
    digest = hashlib.sha256((tmp_path / "a.pt").read_bytes()).hexdigest()
    known = replace(small("ladder_densenet"), classes=("a", "b"), sha256=digest)
    model = roadanomaly.load_published(known, tmp_path / "a.pt")
    assert model.segmenter.classes == ("a", "b")


def test_an_unknown_checkpoint_names_the_nearest():
    with pytest.raises(UnknownName, match="did you mean `densehybrid-ldn121-smiyc`"):
        roadanomaly.load_published("densehybrid-ldn121-smyc", "x.pt")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_line_of_the_table_names_parts_that_exist(name):
    known = PUBLISHED[name]
    with torch.device("meta"):
        segmenter = roadanomaly.segmenter(known.segmenter, classes=known.classes, **known.options)
        roadanomaly.Model(segmenter, roadanomaly.detector(known.detector))
    assert known.source
    assert known.licence
    assert known.trained_on
