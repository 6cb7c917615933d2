"""Any convolutional network of timm as a pyramid of features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import timm
from torch import Tensor

from roadanomaly.encoders.base import Encoder
from roadanomaly.errors import DataError, OptionError, UnknownName, nearest
from roadanomaly.segmenters.efficientnet_lite import ENCODER, MEAN, STD, load_packaged_weights
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights

PACKAGE = "efficientnet_lite0"
"""In place of weights to download: those of the extra `efficientnet`."""


class TimmEncoder(Encoder):
    """The stages of a timm network.

    Args:
        model: timm's name: `resnet18`, `tf_efficientnet_lite0`, ...
        stages: which of its stages, counted from 0; None takes all.
        weights: `imagenet`, timm's, which are downloaded; `efficientnet_lite0`, those of
            tf_efficientnet_lite0 out of an installed package (the extra `efficientnet`); a state
            dict of the network, its path or its name under a weights folder; or `none`.

    Raises:
        UnknownName: timm has no such network.
        OptionError: a network without stages, or stages that it lacks.
        DataError: weights that are missing, do not fit, or cannot be downloaded.
    """

    def __init__(
        self,
        model: str = ENCODER,
        stages: Sequence[int] | None = None,
        weights: str = PACKAGE,
    ) -> None:
        network = _create(model, stages, weights)
        mean, std = network.default_cfg["mean"], network.default_cfg["std"]
        if weights == PACKAGE:
            mean, std = MEAN, STD
        info = network.feature_info
        super().__init__(info.channels(), info.reduction(), mean, std, weights)
        self.model = model
        self.stages = None if stages is None else list(stages)
        self.network = network
        if weights == PACKAGE:
            load_packaged_weights(network)
        elif weights not in ("imagenet", "none"):
            path = find_weights(weights)
            load_strictly(network, _as_wrapped(read_weights(path), network.state_dict()), path)

    def maps(self, image: Tensor) -> list[Tensor]:
        """Compute the maps of the stages."""
        return list(self.network(image))

    def options(self) -> dict[str, Any]:
        """Return the constructor options that rebuild this encoder, weights aside."""
        return {"model": self.model, "stages": self.stages, "weights": "none"}


def _as_wrapped(state: Mapping[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """Return what a network's stages need of its whole state, under the names that they have.

    timm wraps a network to get its stages, and writes `stages.0` as `stages_0` or puts `model.`
    before it.
    """
    known = {_plain(name): value for name, value in state.items()}
    return {name: known[_plain(name)] for name in own if _plain(name) in known}


def _plain(name: str) -> str:
    return name.removeprefix("model.").replace(".", "_")


def _create(model: str, stages: Sequence[int] | None, weights: str) -> Any:
    if not timm.is_model(model):
        known = nearest(model, timm.list_models())
        hint = known if known.startswith("did you") else "`timm.list_models()` lists them."
        msg = f"timm has no network {model!r}; {hint}"
        raise UnknownName(msg)
    if weights == PACKAGE and model != ENCODER:
        msg = f"`weights: {PACKAGE}` belongs to `model: {ENCODER}`, not to {model}."
        raise OptionError(msg)
    chosen: dict[str, Any] = {} if stages is None else {"out_indices": tuple(stages)}
    try:
        return timm.create_model(
            model, features_only=True, pretrained=weights == "imagenet", **chosen
        )
    except OSError as error:
        msg = (
            f"the weights of {model} cannot be downloaded ({error}). Give a file with `weights`, "
            f"or `model: {ENCODER}` with `weights: {PACKAGE}`, which needs no connection."
        )
        raise DataError(msg) from error
    except (RuntimeError, AssertionError, IndexError, AttributeError, TypeError) as error:
        msg = f"{model} of timm offers no stages {stages or ''}: {error} Take another `model`."
        raise OptionError(msg) from error
