"""Components as `Detections` of the library supervision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from roadanomaly.exchange.regions import number_regions
from roadanomaly.extras import require
from roadanomaly.types import Component


def detections(mask: np.ndarray, components: Sequence[Component]) -> Any:
    """Return a `supervision.Detections`, a row a component, in their order.

    `xyxy` are the boxes, `mask` their pixels, `class_id` is 0, `confidence` the mean score, which
    is unbounded; `data` holds `class_name`, `area` and `max_score`.

    Args:
        mask: `(H, W)` bool, of `find_components`.
        components: of the same call.

    Raises:
        MissingExtra: supervision is not installed.
    """
    supervision = require("supervision", "`to_supervision`")
    count = len(components)
    numbers = number_regions(mask, components)
    boxes = np.array([one.box for one in components], np.float32).reshape(count, 4)
    boxes[:, 2:] += boxes[:, :2]
    return supervision.Detections(
        xyxy=boxes,
        mask=numbers[None] == np.arange(1, count + 1)[:, None, None],
        confidence=np.array([one.mean_score for one in components], np.float32),
        class_id=np.zeros(count, int),
        data={
            "class_name": np.full(count, "anomaly"),
            "area": np.array([one.area for one in components], int),
            "max_score": np.array([one.max_score for one in components], np.float32),
        },
    )
