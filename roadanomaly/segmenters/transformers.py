"""Networks of Hugging Face transformers as segmenters, from a folder, the hub or a config."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor, nn

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import UnknownName, nearest
from roadanomaly.segmenters.closed_set import labels_at
from roadanomaly.segmenters.matching import matching_loss
from roadanomaly.segmenters.probed import Answered, ProbedSegmenter
from roadanomaly.segmenters.transformers_blocks import inside, offered_inside
from roadanomaly.segmenters.transformers_families import FAMILIES, BackboneWithHead, Family
from roadanomaly.segmenters.transformers_files import (
    Triple,
    fresh_config,
    normalisation,
    own_names,
    read_config,
)
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights
from roadanomaly.types import Segmentation

Head = Literal["linear", "conv"]

DEFAULT = {"model_type": "segformer"}


class TransformersSegmenter(ProbedSegmenter):
    """A network of transformers: SegFormer, UPerNet, Mask2Former, EoMT, DINOv2, DINOv3.

    Mask2Former and EoMT answer masks. A DINO backbone, frozen unless told otherwise, gets a head
    of its own. Features are the encoder's stages, `encoder4`, `encoder8`, ... by stride, and
    `decoder`, what the classifier reads (of a mask network: what the masks are made from). On
    request a network of DINO, Swin, SegFormer or EoMT blocks also gives `block<N>`, the hidden
    state after block N (from 0, before any last normalisation), and `keys<N>`, the keys that its
    attention computes, all heads side by side and before a rotary embedding. EoMT takes images of
    one square size alone, so they are resized to it; the segmenter `sliding` slides a window, as
    its authors do. Code in a repository is never run.

    Args:
        model: folder that `save_pretrained` wrote, or a name on the hub. None builds `config`.
        config: of a network with fresh weights: `{model_type: segformer, depths: [...], ...}` as
            transformers takes it; what it leaves out has that library's default.
        classes: names of the known classes, in the order of the logits; None takes the model's
            own names, or Cityscapes' for a fresh network or a DINO backbone's fresh head.
        new_classifier: start the last layer anew where the model was made for other classes.
        head: on a DINO backbone: `linear`, BatchNorm and a 1x1 convolution; `conv`, a 3x3
            convolution, BatchNorm and ReLU before it.
        freeze: keep a DINO backbone's weights as they are.
        weights: a state dict of this segmenter: its path, or its name under a weights folder.
        mean: of RGB in 0..1; None takes the model's own, else ImageNet's.
        std: likewise.

    Raises:
        UnknownName: a kind of network that this adapter does not know.
        OptionError: a config that the network refuses.
        ClassesError: the model was made for other classes.
        DataError: a model that is missing, unreadable or does not fit.
    """

    default_feature = "decoder"

    def __init__(
        self,
        model: str | None = None,
        config: dict[str, Any] | None = None,
        classes: tuple[str, ...] | None = None,
        new_classifier: bool = False,
        head: Head = "linear",
        freeze: bool = True,
        weights: str | None = None,
        mean: Triple | None = None,
        std: Triple | None = None,
    ) -> None:
        settings = read_config(model) if model else _fresh(config or DEFAULT)
        family = _family(settings)
        named = model and not family.backbone
        names = tuple(classes or (own_names(settings) if named else CITYSCAPES))
        network = family.build(settings, model, len(names), new_classifier)
        known = normalisation(model)
        mean, std = mean or known[0], std or known[1]
        size = settings.image_size if family.fixed_size else None
        super().__init__(
            names,
            mean=mean,
            std=std,
            divisor=1 if size else family.divisor(settings),
            input_size=(size, size) if isinstance(size, int) else size,
        )
        self.answers = ("evidence", "masks") if family.masks else ("logits",)
        self.network = network
        self._family = family
        self._options = {"head": head, "freeze": freeze, "mean": tuple(mean), "std": tuple(std)}
        if family.backbone:
            self.network = BackboneWithHead(network, len(names), head, freeze)
        self.features = self.probe()
        self.on_request = offered_inside(family.blocks(self.network))
        self.classified = "decoder" if family.classifier else ""
        self.query_width = self.network.class_predictor.in_features if family.masks else 0
        if weights is not None:
            path = find_weights(weights)
            load_strictly(self, read_weights(path), path)

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        config = json.loads(self.network.config.to_json_string())
        return {"config": config, "classes": self.classes, **self._options}

    def all_maps(self, image: Tensor) -> Answered:
        """Compute logits or masks, and all features but those on request."""
        return self._family.read(self.network, image)

    def maps(self, image: Tensor, features: Collection[str]) -> Answered:
        """Compute logits or masks, and the named features."""
        names = [name for name in features if name in self.on_request]
        with inside(self._family.blocks(self.network), names, image) as taken:
            answer, found = self.all_maps(image)
        every = {**found, **taken}
        return answer, {name: every[name] for name in features}

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from `decoder`, by the last convolution.

        Raises:
            FeatureError: a mask network has no such layer.
        """
        if not self.classified:
            return super().classify(feature)
        return self.network.get_submodule(self._family.classifier)(feature)

    def loss(self, segmentation: Segmentation, label: Tensor) -> dict[str, Tensor]:
        """Return cross-entropy, or of a mask network the terms of its authors' matching loss."""
        masks = segmentation.masks
        if masks is None:
            return super().loss(segmentation, label)
        at_masks = labels_at(label, replace(segmentation, logits=masks.masks))
        return matching_loss(self.network.criterion, masks, at_masks)

    def settle(self) -> None:
        """Turn what EoMT branches on into plain numbers."""
        self._family.settle(self.network)

    def part(self, name: str) -> list[nn.Parameter]:
        """Return the parameters of a mask network's `heads` or whole `decoder`."""
        modules = self._family.parts.get(name)
        if not modules:
            return super().part(name)
        return [one for key in modules for one in self.network.get_submodule(key).parameters()]


def _family(settings: Any) -> Family:
    if settings.model_type not in FAMILIES:
        msg = (
            f"the segmenter `transformers` does not know networks of the type "
            f"{settings.model_type!r}; {nearest(settings.model_type, FAMILIES)}"
        )
        raise UnknownName(msg)
    return FAMILIES[settings.model_type]


def _fresh(config: dict[str, Any]) -> Any:
    given = dict(config)
    kind = given.pop("model_type", None)
    if kind not in FAMILIES:
        msg = (
            f"`config.model_type` of the segmenter `transformers` is {kind!r}; "
            f"{nearest(str(kind), FAMILIES)}"
        )
        raise UnknownName(msg)
    return fresh_config(kind, given)
