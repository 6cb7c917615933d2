"""Maps from inside transformers against what their library computes by itself."""

from __future__ import annotations

import pytest
import torch
from transformers.models.swin.modeling_swin import window_reverse

import roadanomaly
from roadanomaly.errors import FeatureError
from roadanomaly.model import Model
from tests.contracts.tiny import CLASSES, STAGES, SWIN, network

LAST = 1
"""Number of the last block of the small DINO networks."""


def images(*size):
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


def normalised(segmenter, image):
    return (image - segmenter.mean) / segmenter.std


def as_map(tokens, rows, columns):
    cells = tokens[:, -rows * columns :]
    return cells.reshape(len(tokens), rows, columns, -1).permute(0, 3, 1, 2)


def hooks(network):
    """Hooks of ours; the library leaves its own on a network whose hidden states were asked."""
    return sum(
        not one.__qualname__.startswith("install_output_capuring_hook")
        for module in network.modules()
        for one in module._forward_hooks.values()
    )


@pytest.mark.parametrize(
    ("kind", "patch", "layers"),
    [
        ("dinov2", 14, "encoder.layer"),
        ("dinov2_with_registers", 14, "encoder.layer"),
        ("dinov3_vit", 8, "model.layer"),
    ],
)
@torch.inference_mode()
def test_states_and_keys_of_dino_are_the_librarys(kind, patch, layers):
    segmenter = network(f"transformers {kind}")
    image = images(4 * patch, 6 * patch)
    backbone = segmenter.network.backbone
    hidden = backbone(normalised(segmenter, image), output_hidden_states=True).hidden_states
    found = segmenter(image, ["block0", f"block{LAST}", "keys0", f"keys{LAST}"]).features
    assert list(found) == ["block0", "block1", "keys0", "keys1"]
    for number, layer in enumerate(backbone.get_submodule(layers)):
        keys = layer.attention.k_proj(layer.norm1(hidden[number]))
        torch.testing.assert_close(found[f"block{number}"], as_map(hidden[number + 1], 4, 6))
        torch.testing.assert_close(found[f"keys{number}"], as_map(keys, 4, 6))


@torch.inference_mode()
def test_states_and_keys_of_swin_are_those_of_its_windows():
    config = {"model_type": "upernet", "hidden_size": 16, "use_auxiliary_head": False}
    swin = {**SWIN, "depths": [2, 2, 1, 1], "out_features": STAGES}
    segmenter = roadanomaly.segmenter(
        "transformers", config={**config, "backbone_config": swin}, classes=CLASSES
    ).eval()
    image = images(96, 160)
    backbone, windows = segmenter.network.backbone, {}
    blocks = [block for stage in backbone.swin.encoder.layers for block in stage.blocks]
    for number, block in enumerate(blocks):
        block.attention.k_proj.register_forward_hook(
            lambda _, inputs, output, number=number: windows.__setitem__(number, output)
        )
    hidden = backbone(normalised(segmenter, image), output_hidden_states=True).hidden_states
    grouped = dict(windows)
    found = segmenter(image, list(segmenter.on_request)).features
    assert len(blocks) == 6
    for number, block in enumerate(blocks):
        rows, columns = found[f"keys{number}"].shape[-2:]
        tall, wide = (-(-side // block.window_size) * block.window_size for side in (rows, columns))
        keys = window_reverse(grouped[number], block.window_size, tall, wide)
        keys = keys.roll((block.shift_size, block.shift_size), (1, 2))[:, :rows, :columns]
        torch.testing.assert_close(found[f"keys{number}"], keys.permute(0, 3, 1, 2))
    assert any(block.shift_size for block in blocks)
    for stage, last in enumerate((1, 3, 4, 5)):
        torch.testing.assert_close(found[f"block{last}"], hidden[stage + 1])


@torch.inference_mode()
def test_states_and_keys_of_segformer_are_the_librarys():
    segmenter, image = network("transformers segformer"), images(64, 96)
    encoder = segmenter.network.segformer
    found = segmenter(image, ["block0", "keys0"]).features
    stage = encoder.stages[0]
    tokens, rows, columns = stage.patch_embeddings(normalised(segmenter, image))
    block = stage.blocks[0]
    reduced = block.attention.sequence_reduction(block.layernorm_before(tokens), rows, columns)
    torch.testing.assert_close(found["block0"], as_map(block(tokens, rows, columns), 16, 24))
    torch.testing.assert_close(found["keys0"], as_map(block.attention.k_proj(reduced), 2, 3))


@torch.inference_mode()
def test_tokens_of_queries_are_dropped_from_eomt_s_last_blocks():
    segmenter, image = network("transformers eomt"), images(64, 64)
    hidden = segmenter.network(
        normalised(segmenter, image), output_hidden_states=True
    ).hidden_states
    found = segmenter(image, ["block0", "block2"]).features
    assert hidden[3].shape[1] == hidden[1].shape[1] + 7
    torch.testing.assert_close(found["block0"], as_map(hidden[1], 4, 4))
    torch.testing.assert_close(found["block2"], as_map(hidden[3], 4, 4))


def test_only_what_was_asked_for_is_taken_and_no_hook_is_left(monkeypatch):
    segmenter, image = network("transformers dinov2"), images(56, 56)
    seen = []
    layers = segmenter.network.backbone.encoder.layer
    original = type(layers[0]).forward

    def watched(layer, *inputs, **options):
        seen.append(hooks(segmenter))
        return original(layer, *inputs, **options)

    monkeypatch.setattr(type(layers[0]), "forward", watched)
    segmenter(image)
    assert set(seen) == {0}
    seen.clear()
    segmenter(image, ["keys1", "decoder"])
    assert set(seen) == {1}
    assert hooks(segmenter) == 0

    def broken(layer, *inputs, **options):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(type(layers[0]), "forward", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        segmenter(image, ["block0"])
    assert hooks(segmenter) == 0


def test_a_name_that_does_not_exist_brings_the_nearest():
    segmenter = network("transformers dinov2")
    with pytest.raises(FeatureError, match="did you mean `keys1`"):
        segmenter(images(56, 56), ["keys2"])
    with pytest.raises(FeatureError, match="did you mean `block1`"):
        segmenter.feature("block11")


def test_a_detector_fits_on_a_block_and_the_model_keeps_it(tmp_path):
    detector = roadanomaly.detector("mahalanobis", feature="block0")
    model = Model(network("transformers dinov2"), detector)
    assert detector.needs == ("block0",)
    model.save(tmp_path / "model")
    assert roadanomaly.load(tmp_path / "model").detector.needs == ("block0",)
