"""Networks of mmsegmentation 1.x from their config files as segmenters."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import DataError, OptionError, UnknownName, nearest
from roadanomaly.files import expanded
from roadanomaly.segmenters.mmcv_ops import stand_in_for_compiled_operations
from roadanomaly.segmenters.probed import Answered, ProbedSegmenter, by_stride, input_of
from roadanomaly.segmenters.weights import load_network

stand_in_for_compiled_operations()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of mmcv-lite, about operations that it lacks
    import mmseg
    import mmseg.models
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    from mmseg.registry import MODELS

Triple = tuple[float, float, float]

PACKAGED = Path(mmseg.__file__).parent / ".mim" / "configs"
DEFAULT = "pidnet-s_2xb6-120k_1024x1024-cityscapes"
DIVISOR = 32
NOT_NEEDED = ("auxiliary_head", "data_preprocessor", "init_cfg", "pretrained", "train_cfg")
"""Parts of a model's config that serve its own training or are done here."""


class MmsegSegmenter(ProbedSegmenter):
    """A network of mmsegmentation 1.x, from a config file and a checkpoint.

    Features are the backbone's stages, `encoder4`, `encoder8`, ... by stride, and `decoder`, what
    the last layer of the decode head reads, where it has one of the usual kind. Whole images go
    in, where some configs slide a window. Auxiliary heads, which serve that library's training
    alone, are left out. Normalisation and channel order are the config's own. A config file is
    Python and is run by mmengine: give only files that you trust; checkpoints run no code.

    Args:
        config: path of a config file, the name of one that comes with mmsegmentation, or the
            `model` of one as a dictionary.
        weights: a checkpoint: its path, or its name under a weights folder.
        classes: names of the known classes, in the order of the logits.
        divisor: both sides of an input are padded to multiples of it.
        mean: of RGB in 0..1; None takes the config file's own, else ImageNet's.
        std: likewise.
        bgr: feed blue, green, red; None takes the config file's own.

    Raises:
        UnknownName: no such config.
        OptionError: a config that cannot be read or built.
        MissingExtra: the network calls an operation that only the compiled mmcv has.
        DataError: weights that are missing, unreadable or do not fit.
    """

    default_feature = "decoder"

    def __init__(
        self,
        config: str | dict[str, Any] = DEFAULT,
        weights: str | None = None,
        classes: tuple[str, ...] = CITYSCAPES,
        divisor: int = DIVISOR,
        mean: Triple | None = None,
        std: Triple | None = None,
        bgr: bool | None = None,
    ) -> None:
        model, known = _read(config)
        mean, std = mean or known[0], std or known[1]
        bgr = known[2] if bgr is None else bgr
        model = _plain(model, len(classes))
        network = _build(model)
        super().__init__(
            classes,
            mean=mean,
            std=std,
            divisor=divisor,
            align_corners=bool(network.align_corners),
        )
        self.network = network
        self.bgr = bgr
        self._options = {
            "config": json.loads(json.dumps(model)),
            "divisor": divisor,
            "mean": tuple(mean),
            "std": tuple(std),
            "bgr": bgr,
        }
        self.features = self.probe()
        if "decoder" not in self.features:
            self.default_feature = list(self.features)[-1]
        self.classified = "decoder" if self._ends_in_classifier() else ""
        if weights is not None:
            load_network(self, weights, NOT_NEEDED)

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this network, weights aside."""
        return {**self._options, "classes": self.classes}

    def all_maps(self, image: Tensor) -> Answered:
        """Compute logits at the decode head's stride, and all features."""
        if self.bgr:
            image = image.flip(1)
        heads = self._heads
        with _as_in_inference(self.network.backbone, *heads):
            stages = self.network.extract_feat(image)
            with input_of(self._classifier or nn.Identity()) as seen:
                logits = heads[0].forward(stages)
                for head in heads[1:]:
                    logits = head.forward(stages, logits)
        every = stages if isinstance(stages, (list, tuple)) else [stages]
        found = by_stride(image, every)
        if seen:
            found["decoder"] = seen[-1]
        return logits, found

    def classify(self, feature: Tensor) -> Tensor:
        """Compute logits from `decoder`, by the last layer of the decode head.

        Raises:
            FeatureError: the head does more after that layer, or has none of the usual kind.
        """
        if not self.classified:
            return super().classify(feature)
        assert self._classifier is not None
        return self._classifier(feature)

    @property
    def _heads(self) -> list[Any]:
        heads = self.network.decode_head
        return list(heads) if isinstance(heads, nn.ModuleList) else [heads]

    @property
    def _classifier(self) -> nn.Module | None:
        return getattr(self._heads[-1], "conv_seg", None)

    @torch.no_grad()
    def _ends_in_classifier(self) -> bool:
        """Tell whether the last layer's answer is the network's, by trying it on noise."""
        if self._classifier is None:
            return False
        training = self.training
        self.eval()
        generator = torch.Generator().manual_seed(0)
        logits, found = self.all_maps(
            torch.rand(1, 3, self.probe_side, self.probe_side, generator=generator)
        )
        self.train(training)
        if "decoder" not in found or not isinstance(logits, Tensor):
            return False
        alone = self._classifier(found["decoder"])
        return alone.shape == logits.shape and torch.equal(alone, logits)


@contextmanager
def _as_in_inference(*modules: nn.Module) -> Iterator[None]:
    """Let backbone and heads return what they return in inference: no auxiliary outputs.

    Their own flag alone is changed, so BatchNorm and dropout inside keep their mode.
    """
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), False)
Known = tuple[Triple, Triple, bool]


def _read(config: str | dict[str, Any]) -> tuple[dict[str, Any], Known]:
    """Return the `model` of a config, and its mean, standard deviation and channel order."""
    if isinstance(config, dict):
        _require_names(config)
        return dict(config), IMAGENET
    path = _find(config)
    try:
        found = Config.fromfile(str(path))
        model = found.model.to_dict()
        prepared = found.get("data_preprocessor") or model.get("data_preprocessor") or {}
    except Exception as error:  # a config is a program; anything can happen in it
        msg = (
            f"the config {path} cannot be read as one of mmsegmentation 1.x "
            f"({type(error).__name__}: {error}). Configs of 0.x must be brought to 1.x first."
        )
        raise OptionError(msg) from error
    return model, _normalisation(prepared)


def _require_names(config: Any) -> None:
    """Refuse parts of a dictionary that mmengine would import from anywhere: `package.function`.

    Raises:
        OptionError: names the part.
    """
    if isinstance(config, dict):
        kind = config.get("type")
        if not isinstance(kind, (str, type(None))) or "." in (kind or "") or "_scope_" in config:
            msg = (
                f"the part {kind!r} of this mmseg config lies outside mmsegmentation, and a "
                "dictionary runs no code from elsewhere. Give the config file that it comes from, "
                "with the weights: --segmenter.config FILE --segmenter.weights FILE."
            )
            raise OptionError(msg)
        config = list(config.values())
    for one in config if isinstance(config, (list, tuple)) else ():
        _require_names(one)


def _find(config: str) -> Path:
    path = expanded(config)
    if path.suffix == ".py":
        if path.is_file():
            return path
        msg = f"there is no config file {path}; check the path, or give the name of a packaged one."
        raise DataError(msg)
    packaged = {one.stem: one for one in PACKAGED.rglob("*.py") if "_base_" not in one.parts}
    if config not in packaged:
        hint = nearest(config, packaged)
        hint = hint if hint.startswith("did you") else f"they are listed in {PACKAGED}."
        msg = f"mmsegmentation comes with no config {config!r}; {hint}"
        raise UnknownName(msg)
    return packaged[config]


def _normalisation(prepared: dict[str, Any]) -> Known:
    mean, std = prepared.get("mean"), prepared.get("std")
    if mean is None or std is None:
        return IMAGENET
    order = 1 if prepared.get("bgr_to_rgb") else -1
    red, green, blue = [value / 255 for value in mean][::order]
    spread = [value / 255 for value in std][::order]
    return (red, green, blue), (spread[0], spread[1], spread[2]), order < 0


def _plain(model: dict[str, Any], classes: int) -> dict[str, Any]:
    """Return the model's config without what is not needed, for so many classes."""
    plain = _without(model)
    heads = plain.get("decode_head")
    for head in heads if isinstance(heads, list) else [heads]:
        if not isinstance(head, dict):
            msg = "the segmenter `mmseg` needs a model with a `backbone` and a `decode_head`."
            raise OptionError(msg)
        head["num_classes"] = classes
        head.pop("out_channels", None)
        head["loss_decode"] = {"type": "CrossEntropyLoss"}
        head.pop("sampler", None)
    plain.setdefault("test_cfg", {"mode": "whole"})
    return plain


def _without(part: Any) -> Any:
    """Drop what is not needed at every depth, and make synchronised BatchNorm plain."""
    if isinstance(part, dict):
        return {key: _without(value) for key, value in part.items() if key not in NOT_NEEDED}
    if isinstance(part, (list, tuple)):
        return [_without(value) for value in part]
    return "BN" if part == "SyncBN" else part


def _build(model: dict[str, Any]) -> Any:
    try:
        with DefaultScope.overwrite_default_scope("mmseg"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about losses that are not used
            return MODELS.build(Config({"model": json.loads(json.dumps(model))}).model)
    except (KeyError, TypeError, ValueError, AssertionError, ImportError) as error:
        reason = str(error).strip("'\"").split(". ")[0]
        msg = (
            f"mmsegmentation cannot build this model ({type(error).__name__}: {reason}). "
            "Its networks that rest on mmdetection, such as Mask2Former, are had from the "
            "segmenter `transformers`."
        )
        raise OptionError(msg) from error
