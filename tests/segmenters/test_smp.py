"""Networks of segmentation-models-pytorch: equal to the library's own, with true features."""

import pytest
import torch

from roadanomaly.errors import DataError, OptionError, UnknownName

smp = pytest.importorskip("segmentation_models_pytorch")
from roadanomaly.segmenters import SEGMENTERS  # noqa: E402
from roadanomaly.segmenters.smp import SmpSegmenter  # noqa: E402

CLASSES = ("road", "sky", "car")
PAIRS = [
    ("unet", "resnet18"),
    ("fpn", "mobilenet_v2"),
    ("deeplabv3plus", "resnet18"),
    ("segformer", "mit_b0"),
    ("unet", "tu-mobilenetv3_small_050"),
    ("pspnet", "resnet18"),
]
SEGMENTERS_TRIED = [
    pytest.param(pair, marks=[pytest.mark.slow] if place > 1 else [], id="-".join(pair))
    for place, pair in enumerate(PAIRS)
]


def images(*size, count=1):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=SEGMENTERS_TRIED)
def segmenter(request):
    torch.manual_seed(0)
    return SmpSegmenter(*request.param, classes=CLASSES).eval()


@torch.inference_mode()
def test_image_logits_are_the_library_s_own(segmenter):
    theirs = smp.create_model(
        segmenter.architecture, segmenter.encoder, encoder_weights=None, classes=len(CLASSES)
    ).eval()
    theirs.load_state_dict(segmenter.network.state_dict(), strict=True)
    image = images(64, 96, count=2)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = theirs((image - mean) / std)
    torch.testing.assert_close(segmenter(image).image_logits(), expected)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (32, 32)])
def test_a_picture_of_one_square_is_padded_where_a_channel_is_normalised_alone(size):
    narrow = {"decoder_segmentation_channels": 32}
    small = SmpSegmenter("fpn", "tu-mobilenetv3_small_050", CLASSES, decoder=narrow).eval()
    image = images(*size)
    rows = [min(place, size[0] - 1) for place in range(32)]
    columns = [min(place, size[1] - 1) for place in range(64)]
    expected = small(image[..., rows, :][..., columns]).image_logits()[..., : size[0], : size[1]]
    assert small(image).image_logits().equal(expected)
    assert expected.isfinite().all()


@torch.inference_mode()
def test_features_have_the_declared_shapes(segmenter):
    found = segmenter(images(64, 96, count=2), features=list(segmenter.features)).features
    assert list(found) == list(segmenter.features)
    for name, info in segmenter.features.items():
        assert found[name].shape == (2, info.channels, 64 // info.stride, 96 // info.stride)
        assert name in ("decoder", f"encoder{info.stride}")
    assert {"encoder4", "encoder8", "decoder"} <= set(found)


@torch.inference_mode()
def test_any_size_gives_logits_at_image_size(segmenter):
    segmentation = segmenter(images(37, 53))
    assert segmentation.image_logits().shape == (1, 3, 37, 53)
    assert segmentation.features == {}


def test_options_rebuild_an_equal_network(segmenter):
    rebuilt = SmpSegmenter(**segmenter.options()).eval()
    rebuilt.load_state_dict(segmenter.state_dict(), strict=True)
    with torch.inference_mode():
        assert torch.equal(segmenter(images(64, 64)).logits, rebuilt(images(64, 64)).logits)


def test_the_stages_are_those_that_the_library_documents():
    network = SmpSegmenter("unet", "resnet18", classes=CLASSES)
    assert {name: (info.channels, info.stride) for name, info in network.features.items()} == {
        "encoder2": (64, 2),
        "encoder4": (64, 4),
        "encoder8": (128, 8),
        "encoder16": (256, 16),
        "encoder32": (512, 32),
        "decoder": (16, 1),
    }
    assert network.training


@pytest.mark.slow
def test_weights_load_with_and_without_the_wrapper(tmp_path):
    network = SmpSegmenter("fpn", classes=CLASSES).eval()
    torch.save(network.state_dict(), tmp_path / "own.pth")
    torch.save({"state_dict": network.network.state_dict()}, tmp_path / "bare.pth")
    for name in ("own.pth", "bare.pth"):
        again = SmpSegmenter("fpn", classes=CLASSES, weights=str(tmp_path / name)).eval()
        with torch.inference_mode():
            assert torch.equal(again(images(32, 32)).logits, network(images(32, 32)).logits)
    with pytest.raises(DataError, match="do not fit"):
        SmpSegmenter("unet", classes=CLASSES, weights=str(tmp_path / "own.pth"))


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"architecture": "unett"}, "did you mean `unet`"),
        ({"encoder": "resnet19"}, "did you mean `resnet18`"),
        ({"encoder": "tu-resnet18x"}, "did you mean `resnet18`"),
        ({"encoder_weights": "imagnet"}, "did you mean `imagenet`"),
    ],
)
def test_unknown_names_hint_at_the_nearest(options, hint):
    with pytest.raises(UnknownName, match=hint):
        SmpSegmenter(**options)


def test_a_pair_that_does_not_fit_is_refused():
    with pytest.raises(OptionError, match="unetplusplus cannot use the encoder mit_b0"):
        SmpSegmenter("unetplusplus", "mit_b0")


def test_a_failed_download_says_so(monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(smp, "create_model", fail)
    with pytest.raises(DataError, match="resnet18 \\(imagenet\\) cannot be downloaded"):
        SmpSegmenter(encoder_weights="imagenet")


def test_the_decoder_can_be_made_narrower_and_is_rebuilt_as_it_was():
    narrow = {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32}
    segmenter = SmpSegmenter("fpn", decoder=narrow)
    assert segmenter.feature("decoder").channels == 32
    assert segmenter.options()["decoder"] == narrow
    rebuilt = SEGMENTERS.from_spec({"name": "smp", **segmenter.options()})
    rebuilt.load_state_dict(segmenter.state_dict())
    with pytest.raises(OptionError, match="did you mean `decoder_pyramid_channels`"):
        SmpSegmenter("fpn", decoder={"decoder_pyramid_chanels": 8})
