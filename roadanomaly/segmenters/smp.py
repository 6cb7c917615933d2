"""Any network of segmentation-models-pytorch as a segmenter."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import DataError, OptionError, UnknownName, nearest
from roadanomaly.late_compiler import late_compiler
from roadanomaly.segmenters.efficientnet_lite import MEAN, NETWORKS, STD, load_packaged_weights
from roadanomaly.segmenters.probed import ProbedSegmenter, by_stride
from roadanomaly.segmenters.trained_encoder import is_file_name, load_trained_encoder
from roadanomaly.segmenters.weights import load_network

with late_compiler():
    import segmentation_models_pytorch as smp
    import timm
    from segmentation_models_pytorch.encoders import encoders as smp_encoders

Triple = tuple[float, float, float]

IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of RGB in 0..1 that most encoders were trained with."""

PACKAGE = "package"
"""In place of pretrained weights to download: those of the extra `efficientnet`."""

TIMM = "tu-"
"""Before the name of an encoder that comes from timm."""


class SmpSegmenter(ProbedSegmenter):
    """A network of segmentation-models-pytorch: any architecture with any encoder.

    Its features are the encoder's stages, `encoder2`, `encoder4`, ... by stride (the deepest of
    each stride), and `decoder`, what the segmentation head reads. Logits are those before the
    head's upsampling.

    Args:
        architecture: as segmentation-models-pytorch calls it: `unet`, `fpn`, `segformer`, ...
        encoder: as segmentation-models-pytorch calls it: `resnet18`, `mit_b0`, ...; `tu-` before
            a timm name takes any timm encoder.
        classes: names of the known classes, in the order of the logits.
        encoder_weights: pretrained encoder to download: `imagenet`, ...; None takes none. For
            `tu-` encoders the name says which weights, and any value here means yes. `package`
            takes those of `tu-tf_efficientnet_lite0`, 1 or 2 out of an installed package, without
            a connection (the extra `efficientnet`). A file (`.safetensors`, `.pth`, `.pt`) gives
            the encoder of the network that it holds; state its `mean` and `std`.
        decoder: options of the architecture beside these, by segmentation-models-pytorch's names:
            `{decoder_pyramid_channels: 128}`; None takes its own.
        weights: a state dict of this network, or of the bare segmentation-models-pytorch one: its
            path, or its name under a weights folder.
        mean: of RGB in 0..1; None takes what the pretrained encoder expects, else ImageNet's.
        std: likewise.

    Raises:
        UnknownName: no such architecture, encoder, or pretrained encoder.
        OptionError: an encoder that this architecture cannot use, or has no such weights.
        MissingExtra: `package` without its package.
        DataError: weights that are missing, unreadable, do not fit, or cannot be downloaded.
    """

    default_feature = "decoder"
    classified = "decoder"

    def __init__(
        self,
        architecture: str = "unet",
        encoder: str = "resnet18",
        classes: tuple[str, ...] = CITYSCAPES,
        encoder_weights: str | None = None,
        decoder: Mapping[str, Any] | None = None,
        weights: str | None = None,
        mean: Triple | None = None,
        std: Triple | None = None,
    ) -> None:
        _check_names(architecture, encoder, encoder_weights)
        local = encoder_weights == PACKAGE or is_file_name(encoder_weights)
        downloaded = None if local else encoder_weights
        network = _create(architecture, encoder, downloaded, len(classes), decoder or {})
        if local and encoder_weights is not None:
            _load_encoder(network.encoder, encoder, encoder_weights)
        if mean is None or std is None:
            expected = _normalisation(encoder, encoder_weights)
            mean, std = mean or expected[0], std or expected[1]
        super().__init__(
            classes,
            mean=mean,
            std=std,
            divisor=int(network.encoder.output_stride),
            align_corners=True,
        )
        self.architecture = architecture
        self.encoder = encoder
        self.decoder = dict(decoder or {})
        self.network = network
        self._normalisation = {"mean": tuple(mean), "std": tuple(std)}
        self.least_cells = 2 if any(map(_is_by_channel, network.modules())) else 1
        try:
            self.features = self.probe()
        except RuntimeError as error:
            raise _unfit(architecture, encoder, error) from error
        if weights is not None:
            load_network(self, weights)

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        return {
            "architecture": self.architecture,
            "encoder": self.encoder,
            "classes": self.classes,
            **({"decoder": self.decoder} if self.decoder else {}),
            **self._normalisation,
        }

    def all_maps(self, image: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute logits before the head's upsampling, and all features."""
        stages, decoded = self._decode(image)
        return self.classify(decoded), {**by_stride(image, stages), "decoder": decoded}

    def _decode(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        encoded = self.network.encoder(image)
        if isinstance(encoded, tuple):  # the DPT encoders return prefix tokens beside their maps
            return list(encoded[0]), self.network.decoder(*encoded)
        return list(encoded), self.network.decoder(encoded)

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from `decoder`, by the segmentation head without its upsampling."""
        head = self.network.segmentation_head
        if isinstance(head, nn.Sequential):
            for layer in head:
                if not isinstance(layer, nn.Upsample):
                    feature = layer(feature)
            return feature
        return head.head(feature)


def _is_by_channel(layer: nn.Module) -> bool:
    """Whether a layer normalises each channel over its pixels alone."""
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups == layer.num_channels
    return isinstance(layer, nn.modules.instancenorm._InstanceNorm)


def _load_encoder(encoder: Any, name: str, weights: str) -> None:
    if weights == PACKAGE:
        load_packaged_weights(encoder.model, name.removeprefix(TIMM))
    else:
        load_trained_encoder(encoder, weights)


def _check_names(architecture: str, encoder: str, encoder_weights: str | None) -> None:
    architectures = smp.MODEL_ARCHITECTURES_MAPPING
    if architecture not in architectures:
        msg = (
            f"segmentation-models-pytorch has no architecture {architecture!r}; "
            f"{nearest(architecture, architectures)}"
        )
        raise UnknownName(msg)
    if encoder_weights == PACKAGE and encoder not in {f"{TIMM}{one}" for one in NETWORKS}:
        known = ", ".join(f"{TIMM}{one}" for one in NETWORKS)
        msg = f"`encoder_weights: {PACKAGE}` belongs to the encoders {known}, not to {encoder}."
        raise OptionError(msg)
    if encoder.startswith(TIMM):
        name = encoder.removeprefix(TIMM)
        if not timm.is_model(name):
            msg = f"timm has no encoder {name!r}; {_close(name, timm.list_models())}"
            raise UnknownName(msg)
        return
    if encoder not in smp_encoders:
        msg = (
            f"segmentation-models-pytorch has no encoder {encoder!r}; "
            f"{nearest(encoder, smp_encoders)} ({TIMM} before a timm name takes that.)"
        )
        raise UnknownName(msg)
    pretrained = smp_encoders[encoder]["pretrained_settings"]
    given = None if is_file_name(encoder_weights) else encoder_weights
    if given is not None and given not in pretrained:
        msg = (
            f"the encoder {encoder} has no pretrained weights {given!r}; "
            f"{nearest(given, pretrained)}"
        )
        raise UnknownName(msg)


def _close(name: str, known: list[str]) -> str:
    hint = nearest(name, known)
    return hint if hint.startswith("did you") else "`timm.list_models()` lists them."


def _create(
    architecture: str,
    encoder: str,
    encoder_weights: str | None,
    classes: int,
    decoder: Mapping[str, Any],
) -> Any:
    pretrained: Any = encoder_weights
    if encoder.startswith(TIMM) and encoder_weights is not None:
        pretrained = True
    extra = {"dynamic_img_size": True} if architecture == "dpt" else {}
    _check_decoder(architecture, decoder)
    try:
        with late_compiler():  # an encoder's shapes are learned from a copy without memory
            return smp.create_model(
                architecture,
                encoder,
                encoder_weights=pretrained,
                classes=classes,
                **extra,
                **decoder,
            )
    except OSError as error:
        msg = (
            f"the pretrained encoder {encoder} ({encoder_weights}) cannot be downloaded "
            f"({error}). Check the connection, or leave `encoder_weights` out and load a local "
            f"file with `weights`."
        )
        raise DataError(msg) from error
    except (ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        raise _unfit(architecture, encoder, error) from error


def _check_decoder(architecture: str, decoder: Mapping[str, Any]) -> None:
    """Refuse an option that the architecture lacks.

    Raises:
        OptionError: names it, and those that there are.
    """
    whole = inspect.signature(smp.MODEL_ARCHITECTURES_MAPPING[architecture]).parameters
    known = [name for name in whole if name.startswith("decoder_") or name == "upsampling"]
    for name in decoder:
        if name not in known:
            msg = f"`decoder` of {architecture} has no option `{name}`; {nearest(name, known)}"
            raise OptionError(msg)


def _unfit(architecture: str, encoder: str, error: Exception) -> OptionError:
    msg = (
        f"the architecture {architecture} cannot use the encoder {encoder}: {error}. Choose "
        f"another encoder, or another architecture out of "
        f"{', '.join(smp.MODEL_ARCHITECTURES_MAPPING)}."
    )
    return OptionError(msg)


def _normalisation(encoder: str, encoder_weights: str | None) -> tuple[Triple, Triple]:
    if encoder_weights is None or is_file_name(encoder_weights):
        return IMAGENET
    if encoder_weights == PACKAGE:
        return MEAN, STD
    found = smp.encoders.get_preprocessing_params(encoder, encoder_weights)
    mean, std = found["mean"], found["std"]
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
