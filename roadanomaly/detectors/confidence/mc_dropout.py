"""MC dropout: a network asked several times with its dropout on, and how far it disagrees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from roadanomaly.catalogue import called
from roadanomaly.detectors.base import Detector
from roadanomaly.detectors.confidence.disagreement import (
    Disagreement,
    Measure,
    explained,
    measured,
    require_measure,
)
from roadanomaly.errors import KindError, OptionError, nearest
from roadanomaly.segmenters.base import Segmenter
from roadanomaly.segmenters.last_layer import last_map
from roadanomaly.types import Segmentation

Place = Literal["network", "classifier"]
PLACES: tuple[str, ...] = ("network", "classifier")


class MCDropout(Detector):
    """Predictive entropy, mutual information or variance over passes with dropout.

    Args:
        passes: `T`, at least 2.
        score_by: `entropy` of the mean distribution; `mutual_information`, what of it is
            disagreement; `variance` of the class probabilities, summed over the classes.
        at: `network` turns on the dropout layers that the network was built with, and does not
            find dropout that it computes by a function instead of a layer; `classifier` adds
            dropout to the map that the last layer reads, of any network whose last layer can be
            asked alone, and then asks that layer alone again. None can be added at other maps.
        rate: of the dropout that `classifier` adds, above 0 and below 1.

    Source: Gal and Ghahramani, 2016, equation 6, for the mean over passes; Gal, Islam and
    Ghahramani, 2017, section 3, for `H(mean_t p_t)` and the mutual information `H(mean_t p_t) -
    mean_t H(p_t)`. Differs from the usual `network.train()`: all but the dropout stays in inference
    mode, BatchNorm too, which would else take the statistics of the image that it judges. Dropout
    means little in a network that was not trained with it; a segmenter that is trained under this
    detector with `at: classifier` learns with it.

    Draws come from torch's generator, image by image, so that they do not depend on the batch.
    """

    kind = "posthoc"
    asks = ("passes",)
    paper = "Gal and Ghahramani, Dropout as a Bayesian Approximation, ICML 2016"

    def __init__(
        self,
        passes: int = 50,
        score_by: Measure = "entropy",
        at: Place = "network",
        rate: float = 0.5,
    ) -> None:
        super().__init__()
        if passes < 2:
            msg = f"mc_dropout: `passes` is {passes}, and it takes two to disagree."
            raise OptionError(msg)
        require_measure("mc_dropout", score_by)
        if at not in PLACES:
            msg = f"mc_dropout: `at` {at!r} is unknown; {nearest(at, PLACES)}"
            raise OptionError(msg)
        if not 0 < rate < 1:
            msg = f"mc_dropout: `rate` must lie above 0 and below 1, not {rate}."
            raise OptionError(msg)
        self.passes = passes
        self.score_by = score_by
        self.at = at
        self.rate = rate
        self.dropped = ""

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {
            "passes": self.passes,
            "score_by": self.score_by,
            "at": self.at,
            "rate": self.rate,
        }

    def check_kind(self, segmenter: Segmenter) -> None:
        """Refuse a network without dropout, too, unless it is to be added.

        Raises:
            KindError: says what is wanted and what there is.
            FeatureError: dropout is to be added, and the last layer cannot be asked alone.
        """
        super().check_kind(segmenter)
        if self.at == "network" and not any(_dropouts(segmenter)):
            msg = (
                f"mc_dropout turns on the dropout of a network, and `{called(segmenter)}` has "
                "no dropout layer with a rate above 0: take one that was trained with dropout, or "
                "add some with `at: classifier`."
            )
            raise KindError(msg)
        if self.at == "classifier":
            last_map(segmenter)

    def attach(self, segmenter: Segmenter) -> None:
        """Take the name of the map that dropout is added to."""
        self.dropped = segmenter.classified if self.at == "classifier" else ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The map that dropout is added to, if any is."""
        return (self.dropped,) if self.dropped else ()

    def look(self, segmenter: Segmenter, image: Tensor) -> Segmentation:
        """Return the mean distribution of the passes, with what `score` reads beside it.

        While the segmenter is trained, one pass with dropout.
        """
        if self.training:
            found = segmenter(image, self.needs)
            return self._dropped(segmenter, found) if self.dropped else found
        size = (image.shape[-2], image.shape[-1])
        single = [
            Disagreement.of(self._answers(segmenter, one)).as_segmentation(size)
            for one in image.split(1)
        ]
        logits = torch.cat([one.logits for one in single])
        features = {
            name: torch.cat([one.features[name] for one in single]) for name in single[0].features
        }
        return replace(single[0], logits=logits, features=features)

    def _answers(self, segmenter: Segmenter, image: Tensor) -> Iterator[Segmentation]:
        """Yield what each pass says of one image."""
        if self.dropped:
            found = segmenter(image, self.needs)
            for _ in range(self.passes):
                yield self._dropped(segmenter, found)
            return
        for _ in range(self.passes):
            with _dropping(segmenter):
                found = segmenter(image)
            yield found

    def _dropped(self, segmenter: Segmenter, found: Segmentation) -> Segmentation:
        """Return what the last layer says of its map after dropout."""
        feature = functional.dropout(found.features[self.dropped], self.rate, training=True)
        return replace(found, logits=segmenter.classify(feature))

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the measure that `score_by` names, `(B, H, W)`."""
        return measured(segmentation, self.score_by)

    def explain(self, segmentation: Segmentation, image: Tensor) -> dict[str, Tensor]:
        """Return entropies of the mean and of the passes, and the mutual information."""
        return explained(segmentation)


def _dropouts(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the dropout layers that drop anything."""
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            yield module


@contextmanager
def _dropping(network: nn.Module) -> Iterator[None]:
    """Turn the dropout layers on, and put each back into the mode that it was in."""
    before = [(one, one.training) for one in _dropouts(network)]
    for one, _ in before:
        one.training = True
    try:
        yield
    finally:
        for one, mode in before:
            one.training = mode
