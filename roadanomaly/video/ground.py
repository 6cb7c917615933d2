"""Whether an object stands on the road, by the known classes around its foot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roadanomaly.data.ground import NAMES
from roadanomaly.errors import OptionError
from roadanomaly.types import Component

ANYWHERE = "anywhere"
WHERE = {
    ANYWHERE: (),
    "road": ("road",),
    "ground": NAMES,
}
"""Word to the names, in lower case, of the classes that an object must stand on; none means no such
rule."""

FOOT = 0.15
"""Height of the strip around an object's lower edge, as a share of its own."""

SMALLEST_FOOT = 4
ENOUGH = 0.3
"""Share of the strip, the object itself left out, that must be ground."""


def ground_classes(where: str, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of the classes that a word stands for.

    Raises:
        OptionError: an unknown word, or a network without such classes.
    """
    if where not in WHERE:
        msg = f"--where {where!r} is unknown; give {', '.join(WHERE)}."
        raise OptionError(msg)
    found = tuple(place for place, name in enumerate(classes) if name.lower() in WHERE[where])
    if WHERE[where] and not found:
        msg = f"--where {where}: this network knows no class {' or '.join(WHERE[where])}."
        raise OptionError(msg)
    return found


def stands_on(
    component: Component, mask: np.ndarray, classes: np.ndarray, ground: Sequence[int]
) -> bool:
    """Whether enough of what lies around a component's lower edge is ground.

    Args:
        component: whose foot is looked at.
        mask: `(H, W)` bool, anomalous pixels, which count for nothing.
        classes: `(H, W)` uint8, most likely known classes.
        ground: indices of the ground's classes.
    """
    x, y, width, height = component.box
    reach = max(SMALLEST_FOOT, round(FOOT * height))
    strip = np.s_[
        max(0, y + height - reach) : y + height + reach, max(0, x - reach) : x + width + reach
    ]
    around = classes[strip][~mask[strip]]
    return bool(around.size and np.isin(around, ground).mean() >= ENOUGH)
