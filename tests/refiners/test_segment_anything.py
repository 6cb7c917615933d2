"""Segments by a tiny random SAM: those of transformers' own generator, their means by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import roadanomaly
from roadanomaly.errors import DataError, MissingExtra, OptionError, UserError
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from roadanomaly.runtimes.export import write_onnx
from tests.contracts import toy

transformers = pytest.importorskip("transformers")
segment_anything = pytest.importorskip("roadanomaly.refiners.segment_anything")
SegmentAnything = segment_anything.SegmentAnything

SIDE = 64
VISION = {
    "hidden_size": 16,
    "output_channels": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 16,
    "mlp_dim": 16,
    "window_size": 2,
    "global_attn_indexes": [0],
    "num_pos_feats": 8,
}
PROMPT = {"hidden_size": 16, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
DECODER = {
    "hidden_size": 16,
    "mlp_dim": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "iou_head_hidden_dim": 16,
    "iou_head_depth": 2,
}
OPTIONS = {"points": 4, "sure": 0.2, "stable": 0.2, "largest": 1.0}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A SAM whose random weights are large enough for masks with edges."""
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    config = transformers.SamConfig(
        vision_config=VISION, prompt_encoder_config=PROMPT, mask_decoder_config=DECODER
    )
    network = transformers.SamModel(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 3 / parameter[0].numel() ** 0.5)
            elif name.endswith("weight"):
                parameter.fill_(1)
        network.mask_decoder.iou_prediction_head.proj_out.bias.fill_(1)
    network.save_pretrained(folder)
    transformers.SamImageProcessor(
        size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}
    ).save_pretrained(folder)
    return folder


def picture(height, width):
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


def model_with(saved, **options):
    refiner = REFINERS.build("segments", {"by": "sam", "model": str(saved), **OPTIONS, **options})
    return Model(toy.ToySegmenter(), roadanomaly.detector("energy"), refiners=[refiner])


def of_the_pipeline(saved, image, overlap):
    """Return the masks of transformers' own generator, `(H, W)` bool each."""
    generator = transformers.pipeline(
        "mask-generation",
        model=transformers.SamModel.from_pretrained(saved),
        image_processor=transformers.SamImageProcessor.from_pretrained(saved),
        device="cpu",
    )
    found = generator(
        Image.fromarray(image),
        points_per_crop=OPTIONS["points"],
        pred_iou_thresh=OPTIONS["sure"],
        stability_score_thresh=OPTIONS["stable"],
        crops_nms_thresh=overlap,
    )
    return [np.asarray(one, bool) for one in found["masks"]]


@pytest.mark.parametrize(("overlap", "least"), [(segment_anything.OVERLAP, 2), (0.999, 6)])
def test_means_are_numpys_over_the_masks_of_transformers_own_generator(
    overlap, least, saved, monkeypatch
):
    monkeypatch.setattr(segment_anything, "OVERLAP", overlap)
    image = picture(48, SIDE)
    masks = sorted(of_the_pipeline(saved, image, overlap), key=lambda mask: -mask.sum())
    labels = np.zeros(image.shape[:2], int)
    for number, mask in enumerate(masks, 1):
        labels[mask] = number
    assert len(np.unique(labels)) >= least
    assert (labels == 0).any()
    plain = Model(toy.ToySegmenter(), roadanomaly.detector("energy"))(image).score
    expected = plain.copy()
    for number in range(1, len(masks) + 1):
        inside = labels == number
        expected[inside] = plain[inside].mean(dtype=np.float64) if inside.any() else 0
    found = model_with(saved)(image).score
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(24, 32), (96, 128), (40, 24)])
def test_images_are_resized_and_padded_as_by_transformers_own_processor(size, saved):
    """Which rounds to grey levels after resizing, so values differ by one level at most."""
    image = picture(*size)
    processor = transformers.SamImageProcessor.from_pretrained(saved)
    expected = processor(Image.fromarray(image), return_tensors="pt")
    network = SegmentAnything(str(saved), 2, 0.5, 0.5)
    shown = segment_anything._longest(size, SIDE)
    found = network._entering(torch.from_numpy(image).permute(2, 0, 1) / 255, shown)
    assert list(shown) == expected["reshaped_input_sizes"][0].tolist()
    level = 1.01 / 255 / network.std.min()
    torch.testing.assert_close(found, expected["pixel_values"], rtol=0, atol=float(level))


def test_masks_of_a_small_image_are_those_of_transformers_own_generator(saved):
    image = picture(24, 32)
    covered = np.any(of_the_pipeline(saved, image, segment_anything.OVERLAP), axis=0)
    entering = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    found = SegmentAnything(str(saved), 4, OPTIONS["sure"], OPTIONS["stable"])(entering)[0]
    assert covered.any()
    assert ((found.numpy() >= 0) == covered).mean() > 0.99


def test_its_weights_are_not_saved_and_its_place_is(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    model, image = model_with(saved), picture(24, 32)
    assert not any("sam" in name for name in model.networks.state_dict())
    model.save(tmp_path / "model")
    again = roadanomaly.load(tmp_path / "model")
    assert again.head.refiners[0].options()["model"] == str(saved)
    assert (again(image).score == model(image).score).all()


def test_where_no_mask_is_stable_scores_stay(saved):
    image = picture(24, 32)
    plain = Model(toy.ToySegmenter(), roadanomaly.detector("energy"))(image).score
    assert (model_with(saved, stable=0.999)(image).score == plain).all()


def test_what_cannot_be_is_refused(saved, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="needs the option `model`"):
        REFINERS.build("segments", {"by": "sam"})
    with pytest.raises(OptionError, match="`points` must lie in 1"):
        REFINERS.build("segments", {"by": "sam", "model": "a", "points": 0})
    with pytest.raises(OptionError, match="`stable` must be at least 0"):
        REFINERS.build("segments", {"by": "sam", "model": "a", "stable": 1.0})
    with pytest.raises(DataError, match="cannot be loaded"):
        model_with(tmp_path)
    transformers.SegformerConfig().save_pretrained(tmp_path)
    with pytest.raises(OptionError, match="is a segformer"):
        model_with(tmp_path)
    with pytest.raises(UserError, match="the refiner `segments` computes what no graph can say"):
        write_onnx(model_with(saved), (24, 32), tmp_path / "a.onnx")

    refiner = REFINERS.build("segments", {"by": "sam", "model": str(saved)})

    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("roadanomaly.extras.importlib.import_module", absent)
    with pytest.raises(MissingExtra, match=r"roadanomaly\[transformers\]"):
        refiner.attach(toy.ToySegmenter())
