"""Maps from inside a vision transformer: hidden states and attention keys of its blocks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from roadanomaly.segmenters.base import FeatureInfo
from roadanomaly.segmenters.probed import outputs_of

KEY_LAYERS = ("k_proj", "key")
"""What transformers calls the layer that computes an attention's keys."""


@dataclass(frozen=True)
class Block:
    """A transformer block.

    Args:
        layer: the block; it answers tokens `(B, L, C)`, those of the image last, row by row.
        stride: image pixels per token.
        key_stride: of the tokens that keys are computed of.
        grouped: where attention regroups tokens into windows, the layer whose tokens it takes.
    """

    layer: nn.Module
    stride: int
    key_stride: int
    grouped: nn.Module | None = None

    @property
    def keys(self) -> nn.Linear:
        """The layer that computes the keys of all heads."""
        named = self.layer.named_modules()
        return next(one for name, one in named if name.endswith(KEY_LAYERS))


def plain_blocks(layers: Iterable[nn.Module], stride: int) -> list[Block]:
    """Return the blocks of a vision transformer whose tokens all keep one stride."""
    return [Block(layer, stride, stride) for layer in layers]


def blocks_of_backbone(backbone: Any) -> list[Block]:
    """Return the blocks of a DINO or Swin backbone; none of a kind whose tokens are no map."""
    patch: Any = getattr(backbone.config, "patch_size", None)
    if hasattr(backbone, "swin"):
        stages = backbone.swin.encoder.layers
        return [
            Block(layer, patch << number, patch << number, layer.layernorm_before)
            for number, stage in enumerate(stages)
            for layer in stage.blocks
        ]
    for name in ("encoder.layer", "model.layer"):
        try:
            layers = backbone.get_submodule(name)
        except AttributeError:
            continue
        return plain_blocks(layers, patch)
    return []


def blocks_of_segformer(network: Any) -> list[Block]:
    """Return SegFormer's blocks; their keys are of fewer tokens, as its attention takes them."""
    blocks, stride = [], 1
    stages = network.segformer.stages
    for stage, step, reduced in zip(
        stages, network.config.strides, network.config.sr_ratios, strict=True
    ):
        stride *= step
        blocks += [Block(layer, stride, stride * reduced) for layer in stage.blocks]
    return blocks


def names_inside(blocks: Sequence[Block]) -> dict[str, tuple[Block, bool]]:
    """Name what blocks offer: `block0`, `block1`, ... and `keys0`, ...; whether it is keys."""
    states = {f"block{number}": (one, False) for number, one in enumerate(blocks)}
    return states | {f"keys{number}": (one, True) for number, one in enumerate(blocks)}


def offered_inside(blocks: Sequence[Block]) -> dict[str, FeatureInfo]:
    """Return what is known of each map that blocks offer."""
    return {
        name: FeatureInfo(block.keys.out_features, block.key_stride)
        if keys
        else FeatureInfo(block.keys.in_features, block.stride)
        for name, (block, keys) in names_inside(blocks).items()
    }


@contextmanager
def inside(
    blocks: Sequence[Block], names: Collection[str], image: Tensor
) -> Iterator[dict[str, Tensor]]:
    """Take the named maps, and no others, from what runs in the block of code.

    Args:
        blocks: of the network that runs there, once.
        names: as `names_inside` gives them.
        image: `(B, 3, H, W)`, what the network is given.

    Yields:
        a dictionary that holds the maps `(B, C, H / stride, W / stride)` after the block of code.
        Class, register and query tokens are dropped. Keys are those before a rotary embedding, the
        heads side by side.
    """
    offered = names_inside(blocks)
    taken = [offered[name] for name in names]
    found: dict[str, Tensor] = {}
    with outputs_of([_read_layer(*one) for one in taken]) as seen:
        yield found
    for name, (block, keys), answers in zip(names, taken, seen, strict=True):
        tokens = answers[-1]
        if keys and block.grouped is not None:
            tokens = block.keys(tokens)
        found[name] = _as_map(tokens, image, block.key_stride if keys else block.stride)


def _read_layer(block: Block, keys: bool) -> nn.Module:
    return (block.grouped or block.keys) if keys else block.layer


def _as_map(tokens: Tensor, image: Tensor, stride: int) -> Tensor:
    rows, columns = image.shape[-2] // stride, image.shape[-1] // stride
    cells = tokens[:, tokens.shape[1] - rows * columns :]
    return cells.transpose(1, 2).unflatten(2, (rows, columns))
