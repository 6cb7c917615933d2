"""A hook that scores mmsegmentation's validation as SegmentMeIfYouCan does.

In a config of mmsegmentation (`pip install "roadanomaly[mmseg]"`, this file on the Python path):

    custom_imports = dict(imports=["mmseg_hook"])
    custom_hooks = [dict(type="RoadAnomalyHook", anomaly=19, track="anomaly")]
    default_hooks = dict(
        checkpoint=dict(type="CheckpointHook", save_best="smiyc/ap", rule="greater")
    )

The validation set labels strange pixels as `anomaly`, a number that is no class of the network.
After each validation `smiyc/ap`, `smiyc/fpr95`, ... stand beside mIoU, in percent. The score is the
energy of the logits, or their negative maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from roadanomaly.metrics.torch import SegmentMeIfYouCan

try:
    from mmengine.hooks import Hook
    from mmengine.registry import HOOKS

    register = HOOKS.register_module()
except ImportError:
    Hook = object

    def register(hook: Any) -> Any:
        """Leave a class as it is, where there is no mmengine."""
        return hook


def energy(logits: Tensor) -> Tensor:
    """Return minus the log-sum-exp of class logits `(K, H, W)`, `(H, W)`; higher is stranger."""
    return -logits.float().logsumexp(0)


def max_logit(logits: Tensor) -> Tensor:
    """Return minus the largest of class logits `(K, H, W)`, `(H, W)`."""
    return -logits.float().amax(0)


SCORES = {"energy": energy, "max_logit": max_logit}


@register
class RoadAnomalyHook(Hook):  # type: ignore[misc]
    """Scores of a validation, from the logits that it computes anyway.

    Args:
        anomaly: number of the label of strange pixels.
        ignore: numbers of labels that do not count.
        track: `"anomaly"` or `"obstacle"`.
        score: `"energy"` or `"max_logit"`.
    """

    def __init__(
        self,
        anomaly: int,
        ignore: Sequence[int] = (255,),
        track: str = "anomaly",
        score: str = "energy",
    ) -> None:
        self.anomaly, self.ignore = anomaly, tuple(ignore)
        self.score = SCORES[score]
        self.metric = SegmentMeIfYouCan(track)  # type: ignore[arg-type]

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Take in the samples of a batch, whose logits have the size of their labels."""
        for sample in outputs or ():
            score = self.score(sample.seg_logits.data).cpu()
            truth = self.truth(sample.gt_sem_seg.data.squeeze(0)).cpu()
            self.metric.update(score[None], truth[None])

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Put the numbers beside those of the evaluator, and log them."""
        found = {f"smiyc/{name}": value.item() for name, value in self.metric.compute().items()}
        self.metric.reset()
        percent = {
            name: value if name.endswith("threshold") else 100 * value
            for name, value in found.items()
        }
        for name, value in percent.items():
            runner.message_hub.update_scalar(f"val/{name}", value)
        if metrics is not None:
            metrics.update(percent)
        runner.logger.info("  ".join(f"{name} {value:.2f}" for name, value in percent.items()))

    def truth(self, label: Tensor) -> Tensor:
        """Return `(H, W)` uint8 of 0 inlier, 1 anomaly, 255 ignore."""
        truth = (label == self.anomaly).to(torch.uint8)
        return truth.masked_fill(torch.isin(label, torch.tensor(self.ignore).to(label)), 255)
