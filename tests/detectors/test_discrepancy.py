"""The shared parts: sizes, tiles, correlation, and the network's published layout."""

import pytest
import torch
from torch import nn

from roadanomaly.detectors.resynthesis.network import DiscrepancyNetwork
from roadanomaly.detectors.resynthesis.parts import Pyramid, correlation
from roadanomaly.detectors.resynthesis.sizes import in_tiles, proportioned, resize_image

VGG = (64, 128, 256, 512), (1, 2, 4, 8)


@pytest.mark.parametrize(
    ("size", "image", "stride", "expected"),
    [
        ((256, 512), (1024, 2048), 32, (256, 512)),  # SynBoost's
        ((512, 1024), (1024, 2048), 16, (512, 1024)),  # Lis'
        ((192, 256), (360, 480), 32, (192, 256)),
        ((192, 256), (720, 1280), 2, (166, 296)),
        ((192, 256), (10, 4000), 32, (64, 4448)),
    ],
)
def test_other_images_get_as_many_pixels_in_their_own_proportions(size, image, stride, expected):
    assert proportioned(size, image, stride, 2 * stride) == expected


def test_resizing_averages_what_a_pixel_covers():
    image = torch.zeros(1, 1, 8, 8)
    image[..., ::2] = 1  # stripes that plain bilinear interpolation would keep or drop
    assert (resize_image(image, (2, 2)) - 0.5).abs().max() < 0.15
    assert resize_image(image, (8, 8)) is image
    assert resize_image(torch.zeros(2, 0, 8, 8), (4, 6)).shape == (2, 0, 4, 6)


@pytest.mark.parametrize("size", [(96, 160), (72, 104)])
def test_tiles_give_what_the_whole_gives(size):
    """The margin of 16 is more than the three layers of this network can see."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(5, 4, 3, stride=2, padding=1),
        nn.SELU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
        nn.SELU(),
        nn.Upsample(scale_factor=2),
    )
    image, extra = torch.rand(2, 3, *size), torch.rand(2, 2, *size)
    seen = []

    def compute(a, b):
        seen.append(a.shape[-2:])
        return network(torch.cat([a, b], 1))

    with torch.inference_mode():
        whole = in_tiles(compute, [image, extra], 0, 16)
        tiled = in_tiles(compute, [image, extra], 32, 16)
    torch.testing.assert_close(tiled, whole)
    assert len(seen) > 4
    assert max(max(one) for one in seen[1:]) <= 64


def test_correlation_is_the_inner_product_at_each_pixel():
    one, other = torch.rand(2, 8, 3, 5), torch.rand(2, 8, 3, 5)
    found = correlation(one, other)
    for row in range(3):
        for column in range(5):
            product = one[1, :, row, column] @ other[1, :, row, column]
            assert found[1, 0, row, column].item() == pytest.approx(product.item() / 8, rel=1e-5)


def test_published_widths():
    """Of Lis et al.: labels 32 to 256 after a 7x7; decoder 256, 256, 128, 64; two logits."""
    network = DiscrepancyNetwork(*VGG, 19)
    labels = list(network.labels.levels)
    assert [one.out_channels for one in labels] == [32, 64, 128, 256]
    assert [one.kernel_size[0] for one in labels] == [7, 3, 3, 3]
    assert [one.stride[0] for one in labels] == [1, 2, 2, 2]
    assert [block.second.out_channels for block in network.blocks] == [64, 128, 256, 256]
    assert [one.out_channels for one in network.grow] == [128, 256, 256]
    first = network.blocks[0].first
    assert first.in_channels == 64 + 1 + 128  # fused, correlation, from below
    assert network.classify.out_channels == 2


@pytest.mark.parametrize("modulated", [False, True])
def test_every_part_is_used(modulated):
    """A gradient reaches each parameter, and each input moves the output."""
    torch.manual_seed(0)
    network = DiscrepancyNetwork(
        (4, 6),
        (2, 4),
        3,
        width=4,
        label_width=4,
        priors=2 * modulated,
        modulated=modulated,
        hidden=4,
    ).train()
    maps = [torch.rand(2, 4, 16, 24), torch.rand(2, 6, 8, 12)]
    again = [torch.rand_like(one) for one in maps]
    layout = torch.zeros(2, 3, 32, 48)
    layout[:, 0] = 1
    priors = torch.rand(2, 2, 32, 48) if modulated else None
    logits = network(maps, again, layout, priors)
    assert logits.shape == (2, 2, 16, 24)
    logits.square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
    network.eval()
    other = torch.zeros_like(layout)
    other[:, 1] = 1
    with torch.no_grad():
        base = network(maps, again, layout, priors)
        changed = [network(again, again, layout, priors), network(maps, maps, layout, priors)]
        changed.append(network(maps, again, other, priors))
        if modulated:
            changed.append(network(maps, again, layout, priors / 2))
    assert all((one - base).abs().max() > 1e-4 for one in changed)


def test_priors_of_one_bias_multiply():
    """With a prior encoder that answers a constant 2 at each level, fused features double."""
    torch.manual_seed(0)
    plain = DiscrepancyNetwork((4,), (2,), 3, width=4, label_width=4, priors=1)
    for level in plain.priors.levels:
        nn.init.zeros_(level.weight)
        level.bias.data.fill_(2 / 1.0507009873554805)  # SELU scales what is positive
    maps, layout = [torch.rand(1, 4, 8, 8)], torch.rand(1, 3, 16, 16)
    found = plain(maps, maps, layout, torch.rand(1, 1, 16, 16))
    plain.priors = None
    for parameter in plain.fuse.parameters():
        parameter.data *= 2
    torch.testing.assert_close(found, plain(maps, maps, layout, None))


def test_the_pyramid_has_the_strides_that_it_is_told():
    maps = Pyramid(3, (4, 8, 8), (2, 4, 8))(torch.rand(1, 3, 64, 96))
    assert [tuple(one.shape[1:]) for one in maps] == [(4, 32, 48), (8, 16, 24), (8, 8, 12)]
