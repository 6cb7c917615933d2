"""The kinds of networks of transformers that are known here: how each is built and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from roadanomaly.errors import ClassesError
from roadanomaly.segmenters.probed import Answered, by_stride, input_of, outputs_of
from roadanomaly.segmenters.transformers_blocks import (
    Block,
    blocks_of_backbone,
    blocks_of_segformer,
    plain_blocks,
)
from roadanomaly.segmenters.transformers_files import load_network, make_network
from roadanomaly.types import Masks

HIDDEN = 256
"""Width of the 3x3 convolution of the head `conv`."""


class BackboneWithHead(nn.Module):
    """A backbone's last map, and a small head that turns it into logits.

    Args:
        backbone: of transformers; its stages are maps.
        classes: how many.
        head: `linear` or `conv`.
        freeze: take no gradients into the backbone.
    """

    def __init__(self, backbone: Any, classes: int, head: str, freeze: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = backbone.config
        self.freeze = freeze
        width = backbone.channels[-1]
        if head == "conv":
            self.neck: nn.Module = nn.Sequential(
                nn.Conv2d(width, HIDDEN, 3, padding=1, bias=False),
                nn.BatchNorm2d(HIDDEN),
                nn.ReLU(),
            )
            width = HIDDEN
        else:
            self.neck = nn.BatchNorm2d(width)
        self.classifier = nn.Conv2d(width, classes, 1)
        if freeze:
            backbone.requires_grad_(False)

    def train(self, mode: bool = True) -> BackboneWithHead:
        """Set the mode; a frozen backbone stays in inference mode."""
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        return self


def _read_segformer(network: Any, image: Tensor) -> Answered:
    stages = network.segformer(image, output_hidden_states=True, return_dict=True).hidden_states
    with input_of(network.decode_head.classifier) as seen:
        logits = network.decode_head(stages)
    return logits, {**by_stride(image, stages), "decoder": seen[0]}


def _read_upernet(network: Any, image: Tensor) -> Answered:
    stages = network.backbone.forward_with_filtered_kwargs(image).feature_maps
    with input_of(network.decode_head.classifier) as seen:
        logits = network.decode_head(stages)
    return logits, {**by_stride(image, stages), "decoder": seen[0]}


def _read_mask2former(network: Any, image: Tensor) -> Answered:
    pixels = network.model.pixel_level_module
    learning = torch.is_grad_enabled()
    with input_of(pixels.decoder) as seen, input_of(network.class_predictor) as queries:
        found = network(image, return_dict=True, output_auxiliary_logits=learning)
    earlier = zip(found.auxiliary_logits or (), queries[:-1], strict=True) if learning else ()
    layers = tuple(
        Masks(one["class_queries_logits"], one["masks_queries_logits"], queries=read)
        for one, read in earlier
    )
    answer = Masks(found.class_queries_logits, found.masks_queries_logits, layers, queries[-1])
    decoder = found.pixel_decoder_last_hidden_state
    return answer, {**by_stride(image, seen[0]), "decoder": decoder}


def _read_eomt(network: Any, image: Tensor) -> Answered:
    """Read EoMT; what its earlier layers answer is put together from their heads' outputs."""
    heads = (network.class_predictor, network.mask_head, network.upscale_block)
    with (
        input_of(network.upscale_block) as seen,
        input_of(network.class_predictor) as queries,
        outputs_of(heads) as answers,
    ):
        found = network(image)
    earlier = list(zip(*answers, queries, strict=True))[:-1] if torch.is_grad_enabled() else []
    layers = tuple(
        Masks(classes, torch.einsum("bqc,bchw->bqhw", masks, cells), queries=read)
        for classes, masks, cells, read in earlier
    )
    answer = Masks(found.class_queries_logits, found.masks_queries_logits, layers, queries[-1])
    return answer, {"decoder": seen[-1]}


def _read_backbone(network: Any, image: Tensor) -> Answered:
    stages = network.backbone(image).feature_maps
    decoded = network.neck(stages[-1])
    return network.classifier(decoded), {**by_stride(image, stages), "decoder": decoded}


def _patch(config: Any) -> int:
    return int(config.patch_size)


def _thirty_two(config: Any) -> int:
    return 32


def _no_blocks(network: Any) -> list[Block]:
    return []


def _stay(network: Any) -> None:
    """Leave a network as it is for a graph."""


def _settle_eomt(network: Any) -> None:
    """Make the chances of masked attention plain numbers: exporters cannot branch on a tensor."""
    chances = network.attn_mask_probs.tolist()
    del network.attn_mask_probs
    network.attn_mask_probs = chances


class Family:
    """How one kind of network is built and read.

    Args:
        auto: the class of transformers that builds it, by name.
        read: its answer and features for an image.
        classifier: name in the network of the layer that reads `decoder`; "" of a mask network.
        blocks: its transformer blocks, from the first to the last.
        backbone: it has no classifier of its own.
        fixed_size: it takes images of one size.
        divisor: of an image's sides, from the config.
        parts: of a mask network, by `Segmenter.part`'s names, its modules.
        settle: prepares a copy for a graph, as `Segmenter.settle`.
    """

    def __init__(
        self,
        auto: str,
        read: Callable[[Any, Tensor], Answered],
        classifier: str = "",
        blocks: Callable[[Any], list[Block]] = _no_blocks,
        *,
        backbone: bool = False,
        fixed_size: bool = False,
        divisor: Callable[[Any], int] = _thirty_two,
        parts: Mapping[str, tuple[str, ...]] | None = None,
        settle: Callable[[Any], None] = _stay,
    ) -> None:
        self.auto = auto
        self.read = read
        self.classifier = classifier
        self.blocks = blocks
        self.backbone = backbone
        self.fixed_size = fixed_size
        self.divisor = divisor
        self.parts = parts or {}
        self.settle = settle

    @property
    def masks(self) -> bool:
        """Whether it answers masks."""
        return not self.classifier

    def build(self, settings: Any, model: str | None, classes: int, new_classifier: bool) -> Any:
        """Make the network, fresh or with the model's weights."""
        auto = getattr(transformers, self.auto)
        if self.backbone:
            # a backbone's own class: AutoBackbone takes what the hub does not know for timm's
            return (
                make_network(auto, settings)
                if model is None
                else load_network(
                    transformers.MODEL_FOR_BACKBONE_MAPPING[type(settings)], model, settings, False
                )
            )
        if model is not None and classes != settings.num_labels and not new_classifier:
            msg = (
                f"the model {model} knows {settings.num_labels} classes and {classes} were given: "
                "give as many, or `new_classifier: true` to start its last layer anew."
            )
            raise ClassesError(msg)
        if settings.num_labels != classes:
            settings.num_labels = classes
        return (
            make_network(auto, settings)
            if model is None
            else load_network(auto, model, settings, new_classifier)
        )


def _vit(blocks: Callable[[Any], list[Block]], divisor: Callable[[Any], int]) -> Family:
    return Family(
        "AutoBackbone", _read_backbone, "classifier", blocks, backbone=True, divisor=divisor
    )


def _inside(network: Any) -> list[Block]:
    return blocks_of_backbone(network.backbone)


def _inside_mask2former(network: Any) -> list[Block]:
    return blocks_of_backbone(network.model.pixel_level_module.encoder)


def _inside_eomt(network: Any) -> list[Block]:
    return plain_blocks(network.layers, _patch(network.config))


SEMANTIC, UNIVERSAL = "AutoModelForSemanticSegmentation", "AutoModelForUniversalSegmentation"

PARTS_EOMT = {
    "heads": ("class_predictor", "mask_head"),
    "decoder": ("class_predictor", "mask_head", "upscale_block", "query"),
}
PARTS_MASK2FORMER = {
    "heads": ("class_predictor", "model.transformer_module.decoder.mask_predictor"),
    "decoder": ("class_predictor", "model.transformer_module"),
}

FAMILIES = {
    "dinov2": _vit(_inside, _patch),
    "dinov2_with_registers": _vit(_inside, _patch),
    "dinov3_convnext": _vit(_no_blocks, _thirty_two),
    "dinov3_vit": _vit(_inside, _patch),
    "eomt": Family(
        UNIVERSAL,
        _read_eomt,
        blocks=_inside_eomt,
        fixed_size=True,
        parts=PARTS_EOMT,
        settle=_settle_eomt,
    ),
    "mask2former": Family(
        UNIVERSAL, _read_mask2former, blocks=_inside_mask2former, parts=PARTS_MASK2FORMER
    ),
    "segformer": Family(SEMANTIC, _read_segformer, "decode_head.classifier", blocks_of_segformer),
    "upernet": Family(SEMANTIC, _read_upernet, "decode_head.classifier", _inside),
}
"""`model_type` of transformers to how it is used here."""
