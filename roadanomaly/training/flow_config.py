"""Everything that decides the training of a flow on its own, flat and typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from roadanomaly.training.run_config import Part, RunConfig


@dataclass(frozen=True, kw_only=True)
class FlowConfig(RunConfig):
    """Maximum likelihood of crops. `lr`, `clip` and `schedule` are those of the flow's Adamax.

    Args:
        flow: name out of the catalogue of flows, and its options.
        val_crops: crops of `val_data` on which bits per dimension are measured, always the same.
    """

    task: ClassVar[str] = "flow"

    flow: Part
    crop: tuple[int, int] = (64, 64)
    scale: tuple[float, float] = (0.75, 2.5)
    jitter: float = 0.0
    degrade: float = 0.0
    batch_size: int = 32
    lr: float = 1e-3
    clip: float = 50.0
    warmup: int = 50
    average: float = 0.999
    val_crops: int = 256

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read.

        Raises:
            OptionError: names the key, the value and what is allowed.
        """
        super().__post_init__()
        self._require("val_crops", self.val_crops >= 1, "at least 1")
