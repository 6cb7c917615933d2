"""A network that starts from the encoder of one that was trained before."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

import roadanomaly
from roadanomaly.errors import DataError
from roadanomaly.models import ROOT

LITE = {
    "architecture": "fpn",
    "encoder": "tu-tf_efficientnet_lite0",
    "decoder": {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32},
}
SHIPPED = ROOT / "default" / "weights.safetensors"


def small(weights, **options):
    return roadanomaly.segmenter("smp", encoder="resnet18", encoder_weights=str(weights), **options)


def test_it_has_the_tensors_of_the_shipped_model_and_a_decoder_of_its_own():
    segmenter = roadanomaly.segmenter("smp", encoder_weights=str(SHIPPED), **LITE)
    stored, begin = load_file(SHIPPED), "segmenter.network.encoder."
    own = segmenter.network.encoder.state_dict()
    assert own.keys() == {name.removeprefix(begin) for name in stored if name.startswith(begin)}
    for name, tensor in own.items():
        torch.testing.assert_close(tensor, stored[begin + name].to(tensor.dtype), rtol=0, atol=0)
    assert "encoder_weights" not in segmenter.options()


@pytest.mark.slow
def test_a_file_of_the_library_itself_serves_too(tmp_path):
    other = roadanomaly.segmenter("smp", encoder="resnet18", architecture="unet").network
    torch.save(other.state_dict(), tmp_path / "unet.pth")
    taken = small(tmp_path / "unet.pth", architecture="fpn").network.encoder
    for name, tensor in other.encoder.state_dict().items():
        torch.testing.assert_close(taken.state_dict()[name], tensor, rtol=0, atol=0)


def test_mistakes_are_told(tmp_path):
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(DataError, match=r"bare.safetensors holds no encoder"):
        small(tmp_path / "bare.safetensors")
    with pytest.raises(DataError, match="do not fit"):
        small(SHIPPED)
    with pytest.raises(DataError, match=r"no weight file .*missing.pth"):
        small(tmp_path / "missing.pth")
