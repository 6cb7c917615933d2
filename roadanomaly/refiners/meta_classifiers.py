"""Meta-classifiers: how likely a segment is a false alarm, by a regression or by boosted trees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from roadanomaly.extras import require
from roadanomaly.logistic import regress

TREES, DEPTH = 100, 3
"""How many trees are boosted, and how often each asks at most."""

INNER = 2**DEPTH - 1
"""Questions of a whole tree; its leaves are one more."""

NEVER = float(np.finfo(np.float32).max)
"""A threshold that no number is above: a branch that ended early goes left to its end."""


class MetaClassifier(nn.Module, ABC):
    """Learns from rows of numbers which segments are false; its buffers are saved with the model.

    Args:
        width: F, how many numbers describe a segment.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @staticmethod
    def prepare() -> None:
        """Find what `fit` imports, before frames are read for it.

        Raises:
            MissingExtra: it is not installed.
        """

    @abstractmethod
    def fit(self, rows: np.ndarray, true: np.ndarray) -> None:
        """Learn from segments, true and false ones counting alike.

        Args:
            rows: `(N, F)` float.
            true: `(N,)` bool, of both kinds.
        """

    @abstractmethod
    def falsity(self, rows: np.ndarray) -> np.ndarray:
        """Return the probability of each segment to be false, `(N,)` float in 0..1."""


class LogisticClassifier(MetaClassifier):
    """Logistic regression on the standardised numbers."""

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.register_buffer("weight", torch.zeros(width))
        self.register_buffer("bias", torch.zeros(()))

    def fit(self, rows: np.ndarray, true: np.ndarray) -> None:
        """See `MetaClassifier.fit`."""
        device = self.mean.device
        self.mean = torch.from_numpy(rows.mean(0)).float().to(device)
        spread = torch.from_numpy(rows.std(0)).float().to(device)
        self.deviation = torch.where(spread > 0, spread, torch.ones_like(spread))
        x = self._standard(rows)
        mask = torch.from_numpy(true).to(device)
        self.weight, self.bias = regress(x[~mask], x[mask], 0.5 / len(x))

    @torch.no_grad()
    def falsity(self, rows: np.ndarray) -> np.ndarray:
        """See `MetaClassifier.falsity`."""
        logit = self._standard(rows) @ self.weight + self.bias
        return torch.sigmoid(-logit).cpu().numpy()

    def _standard(self, rows: np.ndarray) -> Tensor:
        return (torch.from_numpy(rows).float().to(self.mean.device) - self.mean) / self.deviation


class BoostingClassifier(MetaClassifier):
    """Gradient boosting: 100 trees of depth 3, each on half of the segments and 16 numbers a split.

    scikit-learn fits them; they are kept as whole binary trees and asked without it.
    """

    feature: Tensor
    threshold: Tensor
    value: Tensor

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.register_buffer("feature", torch.zeros(TREES, INNER, dtype=torch.long))
        self.register_buffer("threshold", torch.full((TREES, INNER), NEVER))
        self.register_buffer("value", torch.zeros(TREES, INNER + 1))

    @staticmethod
    def prepare() -> None:
        """See `MetaClassifier.prepare`."""
        require("sklearn", "meta_classification with `by: boosting`")

    def fit(self, rows: np.ndarray, true: np.ndarray) -> None:
        """See `MetaClassifier.fit`."""
        from sklearn.ensemble import GradientBoostingClassifier

        boosted = GradientBoostingClassifier(
            n_estimators=TREES,
            max_depth=DEPTH,
            subsample=0.5,
            max_features=min(16, self.width),
            min_samples_leaf=min(10, max(1, len(rows) // 20)),
            init="zero",
            random_state=0,
        )
        balance = np.where(true, 0.5 / true.mean(), 0.5 / (~true).mean())
        boosted.fit(rows, ~true, sample_weight=balance)
        device = self.threshold.device
        for number, (one,) in enumerate(boosted.estimators_):
            feature, threshold, value = whole_tree(one.tree_)
            self.feature[number] = torch.from_numpy(feature).to(device)
            self.threshold[number] = torch.from_numpy(threshold).to(device)
            self.value[number] = torch.from_numpy(value * boosted.learning_rate).to(device)

    def falsity(self, rows: np.ndarray) -> np.ndarray:
        """See `MetaClassifier.falsity`."""
        feature, threshold, value = (
            one.cpu().numpy() for one in (self.feature, self.threshold, self.value)
        )
        x = rows.astype(np.float32)
        segment, tree = np.arange(len(x))[:, None], np.arange(TREES)
        place = np.zeros((len(x), TREES), int)
        for _ in range(DEPTH):
            right = x[segment, feature[tree, place]] > threshold[tree, place]
            place = 2 * place + 1 + right
        logit = value[tree, place - INNER].sum(1, dtype=np.float64)
        return 1 / (1 + np.exp(-logit))


def whole_tree(tree: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a tree of scikit-learn as one without early ends.

    Returns:
        `(7,)` numbers of the columns that are asked, `(7,)` float32 thresholds (above goes right;
        the questions behind question k are 2k + 1 and 2k + 2), and `(8,)` values of the leaves.
    """
    feature, threshold = np.zeros(INNER, int), np.full(INNER, NEVER, np.float32)
    value = np.zeros(INNER + 1)

    def fill(node: int, place: int) -> None:
        ends = tree.children_left[node] < 0
        if place >= INNER:
            value[place - INNER] = tree.value[node].item()
            return
        if not ends:
            feature[place] = tree.feature[node]
            threshold[place] = _not_above(tree.threshold[node])
        fill(node if ends else tree.children_left[node], 2 * place + 1)
        fill(node if ends else tree.children_right[node], 2 * place + 2)

    fill(0, 0)
    return feature, threshold, value


def _not_above(threshold: float) -> np.float32:
    """Return the largest float32 that is not above a threshold: float32 numbers compare alike."""
    near = np.float32(threshold)
    return near if near <= threshold else np.nextafter(near, np.float32(-np.inf))
