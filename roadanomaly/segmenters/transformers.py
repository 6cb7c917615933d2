"""Networks of Hugging Face transformers as segmenters, from a folder, the hub or a config."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import transformers
from torch import Tensor, nn

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import ClassesError, DataError, OptionError, UnknownName, nearest
from roadanomaly.segmenters.probed import Answered, ProbedSegmenter, by_stride, input_of
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights
from roadanomaly.types import Masks

Triple = tuple[float, float, float]
Head = Literal["linear", "conv"]

IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HIDDEN = 256
"""Width of the 3x3 convolution of the head `conv`."""

DEFAULT = {"model_type": "segformer"}


class TransformersSegmenter(ProbedSegmenter):
    """A network of transformers: SegFormer, UPerNet, Mask2Former, EoMT, DINOv2, DINOv3.

    Mask2Former and EoMT answer masks. A DINO backbone, frozen unless told otherwise, gets a head
    of its own. Features are the encoder's stages, `encoder4`, `encoder8`, ... by stride, and
    `decoder`, what the classifier reads (of a mask network: what the masks are made from). EoMT
    takes images of one square size alone, so they are resized to it, where its authors slide a
    window. Code in a repository is never run.

    Args:
        model: folder that `save_pretrained` wrote, or a name on the hub. None builds `config`.
        config: of a network with fresh weights: `{model_type: segformer, depths: [...], ...}` as
            transformers takes it; what it leaves out has that library's default.
        classes: names of the known classes, in the order of the logits; None takes the model's
            own names, or Cityscapes' for a fresh network.
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
        settings = _read_config(model) if model else _make_config(config or DEFAULT)
        family = FAMILIES[_kind(settings)]
        names = tuple(classes or (_own_names(settings) if model else CITYSCAPES))
        network = family.build(settings, model, len(names), new_classifier)
        known = _normalisation(model)
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
        self._read = family.read
        self._options = {"head": head, "freeze": freeze, "mean": tuple(mean), "std": tuple(std)}
        if family.backbone:
            self.network = BackboneWithHead(network, len(names), head, freeze)
        self.features = self.probe()
        if weights is not None:
            path = find_weights(weights)
            load_strictly(self, read_weights(path), path)

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        config = json.loads(self.network.config.to_json_string())
        return {"config": config, "classes": self.classes, **self._options}

    def all_maps(self, image: Tensor) -> Answered:
        """Compute logits or masks, and all features."""
        return self._read(self.network, image)


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
    with input_of(pixels.decoder) as seen:
        found = network(image, return_dict=True)
    answer = Masks(found.class_queries_logits, found.masks_queries_logits)
    decoder = found.pixel_decoder_last_hidden_state
    return answer, {**by_stride(image, seen[0]), "decoder": decoder}


def _read_eomt(network: Any, image: Tensor) -> Answered:
    with input_of(network.upscale_block) as seen:
        found = network(image)
    answer = Masks(found.class_queries_logits, found.masks_queries_logits)
    return answer, {"decoder": seen[-1]}


def _read_backbone(network: Any, image: Tensor) -> Answered:
    stages = network.backbone(image).feature_maps
    decoded = network.neck(stages[-1])
    return network.classifier(decoded), {**by_stride(image, stages), "decoder": decoded}


def _patch(config: Any) -> int:
    return int(config.patch_size)


def _thirty_two(config: Any) -> int:
    return 32


class Family:
    """How one kind of network is built and read.

    Args:
        auto: the class of transformers that builds it, by name.
        read: its answer and features for an image.
        masks: it answers masks.
        backbone: it has no classifier of its own.
        fixed_size: it takes images of one size.
        divisor: of an image's sides, from the config.
    """

    def __init__(
        self,
        auto: str,
        read: Callable[[Any, Tensor], Answered],
        *,
        masks: bool = False,
        backbone: bool = False,
        fixed_size: bool = False,
        divisor: Callable[[Any], int] = _thirty_two,
    ) -> None:
        self.auto = auto
        self.read = read
        self.masks = masks
        self.backbone = backbone
        self.fixed_size = fixed_size
        self.divisor = divisor

    def build(self, settings: Any, model: str | None, classes: int, new_classifier: bool) -> Any:
        """Make the network, fresh or with the model's weights."""
        auto = getattr(transformers, self.auto)
        if self.backbone:
            return _make(auto, settings) if model is None else _load(auto, model, settings, False)
        if model is not None and classes != settings.num_labels and not new_classifier:
            msg = (
                f"the model {model} knows {settings.num_labels} classes and {classes} were given: "
                "give as many, or `new_classifier: true` to start its last layer anew."
            )
            raise ClassesError(msg)
        if settings.num_labels != classes:
            settings.num_labels = classes
        return (
            _make(auto, settings) if model is None else _load(auto, model, settings, new_classifier)
        )


FAMILIES = {
    "dinov2": Family("AutoBackbone", _read_backbone, backbone=True, divisor=_patch),
    "dinov2_with_registers": Family("AutoBackbone", _read_backbone, backbone=True, divisor=_patch),
    "dinov3_convnext": Family("AutoBackbone", _read_backbone, backbone=True),
    "dinov3_vit": Family("AutoBackbone", _read_backbone, backbone=True, divisor=_patch),
    "eomt": Family("AutoModelForUniversalSegmentation", _read_eomt, masks=True, fixed_size=True),
    "mask2former": Family("AutoModelForUniversalSegmentation", _read_mask2former, masks=True),
    "segformer": Family("AutoModelForSemanticSegmentation", _read_segformer),
    "upernet": Family("AutoModelForSemanticSegmentation", _read_upernet),
}
"""`model_type` of transformers to how it is used here."""


def _kind(settings: Any) -> str:
    if settings.model_type not in FAMILIES:
        msg = (
            f"the segmenter `transformers` does not know networks of the type "
            f"{settings.model_type!r}; {nearest(settings.model_type, FAMILIES)}"
        )
        raise UnknownName(msg)
    return settings.model_type


def _make_config(config: dict[str, Any]) -> Any:
    given = dict(config)
    kind = given.pop("model_type", None)
    if kind not in FAMILIES:
        msg = (
            f"`config.model_type` of the segmenter `transformers` is {kind!r}; "
            f"{nearest(str(kind), FAMILIES)}"
        )
        raise UnknownName(msg)
    try:
        return transformers.AutoConfig.for_model(kind, **given)
    except Exception as error:  # its checks raise errors of many libraries
        msg = f"transformers refuses the config of {kind}: {_first_line(error)}"
        raise OptionError(msg) from error


def _make(auto: Any, settings: Any) -> Any:
    try:
        return auto.from_config(settings).float()
    except (ValueError, TypeError, RuntimeError, KeyError, ZeroDivisionError) as error:
        msg = f"transformers cannot build this {settings.model_type}: {_first_line(error)}"
        raise OptionError(msg) from error


def _read_config(model: str) -> Any:
    try:
        return transformers.AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise _unreachable(model, error) from error


def _load(auto: Any, model: str, settings: Any, new_classifier: bool) -> Any:
    try:
        network = auto.from_pretrained(
            model, config=settings, ignore_mismatched_sizes=new_classifier
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreachable(model, error) from error
    return network.float()


def _unreachable(model: str, error: Exception) -> DataError:
    msg = (
        f"the model {model!r} cannot be loaded ({_first_line(error)}). Give a folder that holds "
        "config.json and model.safetensors, or a name on the hub and a connection to it."
    )
    return DataError(msg)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _own_names(settings: Any) -> tuple[str, ...]:
    return tuple(settings.id2label[index] for index in range(settings.num_labels))


def _normalisation(model: str | None) -> tuple[Triple, Triple]:
    """Return mean and standard deviation out of the model's preprocessor file."""
    if model is None:
        return IMAGENET
    try:
        path = transformers.utils.cached_file(model, "preprocessor_config.json")
    except OSError:
        return IMAGENET
    known = json.loads(Path(path).read_text()) if path else {}
    if not known.get("do_normalize", True):
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    mean, std = known.get("image_mean", IMAGENET[0]), known.get("image_std", IMAGENET[1])
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
