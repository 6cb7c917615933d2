"""Free energy: low joint evidence for all known classes together."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from roadanomaly.detectors.base import Detector
from roadanomaly.errors import OptionError
from roadanomaly.types import Segmentation


class Energy(Detector):
    """Free energy of the logits, in nats, unbounded.

    Args:
        temperature: `T` of the formula; must be positive.

    Source: Liu et al., 2020, equation 4: `E = -T ln sum_k exp(s_k / T)`; a higher energy is
    stranger, so the sign is the paper's.
    """

    kind = "posthoc"
    paper = "Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020"

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            msg = f"energy: `temperature` must be positive, not {temperature}."
            raise OptionError(msg)
        self.temperature = temperature

    def options(self) -> dict[str, Any]:
        """Return the constructor options."""
        return {"temperature": self.temperature}

    def score(self, segmentation: Segmentation, image: Tensor) -> Tensor:
        """Return the free energy, `(B, H, W)`."""
        scaled = segmentation.image_logits().float() / self.temperature
        return -self.temperature * scaled.logsumexp(1)
