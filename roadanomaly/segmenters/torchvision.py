"""Segmentation networks of torchvision as segmenters: DeepLabV3, FCN and LR-ASPP."""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import Tensor
from torch.nn import functional

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import DataError, OptionError, nearest
from roadanomaly.segmenters.probed import Answered, ProbedSegmenter, by_stride
from roadanomaly.segmenters.weights import load_network

ARCHITECTURES = torchvision.models.list_models(module=torchvision.models.segmentation)
DIVISOR = 32
JOINED = "joined"


class TorchvisionSegmenter(ProbedSegmenter):
    """A segmentation network of torchvision: DeepLabV3, FCN or LR-ASPP.

    Its features are the backbone's stages, `encoder2`, `encoder4`, ... by stride (the deepest of
    each stride), and `decoder`, what the last layer reads. LR-ASPP's last layers read two maps; on
    request it gives them side by side as `joined`. The auxiliary head, which serves training
    alone, is left out.

    Args:
        architecture: as torchvision calls it: `deeplabv3_resnet50`, `fcn_resnet101`,
            `lraspp_mobilenet_v3_large`, ...
        classes: names of the known classes, in the order of the logits.
        encoder_weights: pretrained backbone to download, as torchvision calls it: `DEFAULT`,
            `IMAGENET1K_V1`, ...; None takes none.
        weights: a state dict of this network, or of torchvision's own: its path, or its name under
            a weights folder.

    Raises:
        OptionError: no such architecture or pretrained backbone.
        DataError: weights that are missing, unreadable, do not fit, or cannot be downloaded.
    """

    default_feature = "decoder"
    classified = "decoder"

    def __init__(
        self,
        architecture: str = "deeplabv3_mobilenet_v3_large",
        classes: tuple[str, ...] = CITYSCAPES,
        encoder_weights: str | None = None,
        weights: str | None = None,
    ) -> None:
        if architecture not in ARCHITECTURES:
            hint = nearest(architecture, ARCHITECTURES)
            msg = f"torchvision has no segmentation network {architecture!r}; {hint}"
            raise OptionError(msg)
        super().__init__(classes, divisor=DIVISOR)
        self.architecture = architecture
        self.network: Any = _build(architecture, len(classes), encoder_weights)
        self.features = self.probe()
        if JOINED in self.features:
            self.on_request = {JOINED: self.features.pop(JOINED)}
            self.classified = JOINED
        if weights is not None:
            load_network(self, weights, ("aux_classifier.",))

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        return {"architecture": self.architecture, "classes": self.classes}

    def all_maps(self, image: Tensor) -> Answered:
        """Compute logits at the classifier's stride, and all features."""
        stages: dict[str, Tensor] = {}
        x = image
        for name, layer in self.network.backbone.items():
            x = layer(x)
            stages[name] = x
        named = {out: stages[name] for name, out in self.network.backbone.return_layers.items()}
        found = by_stride(image, stages.values())
        classifier = self.network.classifier
        if "low" in named:
            low, decoded = named["low"], _enlarged(classifier, named["low"], named["high"])
            joined = torch.cat([low, decoded], 1)
            return _lr_aspp(classifier, low, decoded), {**found, "decoder": decoded, JOINED: joined}
        decoded = named["out"]
        for layer in list(classifier)[:-1]:
            decoded = layer(decoded)
        return classifier[-1](decoded), {**found, "decoder": decoded}

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from `decoder`, or from `joined` of LR-ASPP."""
        classifier = self.network.classifier
        if self.classified != JOINED:
            return classifier[-1](feature)
        low = classifier.low_classifier.in_channels
        return _lr_aspp(classifier, feature[:, :low], feature[:, low:])


def _enlarged(head: Any, low: Tensor, high: Tensor) -> Tensor:
    """Return an LR-ASPP head's gated deep map at the low stride."""
    gated = head.cbr(high) * head.scale(high)
    return functional.interpolate(gated, size=low.shape[-2:], mode="bilinear")


def _lr_aspp(head: Any, low: Tensor, decoded: Tensor) -> Tensor:
    return head.low_classifier(low) + head.high_classifier(decoded)


def _build(architecture: str, classes: int, encoder_weights: str | None) -> Any:
    extra = {} if architecture.startswith("lraspp") else {"aux_loss": False}
    try:
        return torchvision.models.get_model(
            architecture,
            weights=None,
            weights_backbone=encoder_weights,
            num_classes=classes,
            **extra,
        )
    except (KeyError, ValueError) as error:
        msg = (
            f"the backbone of {architecture} has no pretrained weights {encoder_weights!r}; "
            "`DEFAULT` takes the best that torchvision has."
        )
        raise OptionError(msg) from error
    except (OSError, RuntimeError) as error:
        msg = (
            f"the pretrained backbone of {architecture} cannot be downloaded ({error}). Check the "
            "connection, or leave `encoder_weights` out and load a local file with `weights`."
        )
        raise DataError(msg) from error
