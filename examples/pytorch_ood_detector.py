"""Any model of roadanomaly as a detector in the manner of pytorch-ood.

    pip install roadanomaly pytorch-ood
    python examples/pytorch_ood_detector.py

The class has pytorch-ood's methods (`fit`, `predict`, ...) and its meaning of a score, higher for
what is further from the training data; so it goes where one of that library's detectors goes. It
works without the library, too. Run as a program it scores drawn streets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

import roadanomaly

try:
    from pytorch_ood.api import Detector
except ImportError:
    Detector = object


class RoadAnomaly(Detector):  # type: ignore[misc]
    """Pixel scores of a model.

    Args:
        model: of `roadanomaly.load`, or made of a segmenter and a detector.
    """

    def __init__(self, model: roadanomaly.Model) -> None:
        super().__init__()
        self.model = model

    def __call__(self, x: Tensor) -> Tensor:
        """Return what `predict` returns."""
        return self.predict(x)

    def fit(self, data_loader: Iterable[Any]) -> RoadAnomaly:
        """Nothing: what must learn is trained or fitted by roadanomaly's own commands."""
        return self

    def fit_features(self, x: Tensor, y: Tensor) -> RoadAnomaly:
        """Nothing, as `fit`."""
        return self

    def predict(self, x: Tensor) -> Tensor:
        """Score images.

        Args:
            x: `(B, 3, H, W)` float in 0..1; not normalised by a mean and deviation.

        Returns:
            `(B, H, W)` float32, unbounded, on the model's device.
        """
        return self.model.score(x.to(self.model.device))[0]

    def predict_features(self, x: Tensor) -> Tensor:
        """Refuse: these detectors read images, and their features are a network's own.

        Raises:
            TypeError: always.
        """
        msg = f"roadanomaly scores images, not features {tuple(x.shape)}: give them to `predict`."
        raise TypeError(msg)


def ood_labels(truth: Tensor) -> Tensor:
    """Turn labels of 0 inlier and 1 anomaly into pytorch-ood's: below 0 is out of distribution."""
    return torch.where(truth == 1, -1, truth.long())


def main() -> None:
    """Score drawn streets, and print AP by our metric."""
    from roadanomaly.data.streets import Streets
    from roadanomaly.metrics.torch import SegmentMeIfYouCan

    detector = RoadAnomaly(roadanomaly.load())
    metric = SegmentMeIfYouCan(track="obstacle")
    for frame in Streets("test", count=4):
        truth = frame.truth
        assert truth is not None
        metric.update(detector(frame.image[None].float() / 255), truth[None])
    print({name: round(value.item(), 4) for name, value in metric.compute().items()})


if __name__ == "__main__":
    main()
