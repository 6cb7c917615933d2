"""How patches are put into a crop: the options that all sources of patches share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from roadanomaly.catalogue import check_types
from roadanomaly.errors import OptionError, nearest
from roadanomaly.negatives.checks import check_choice, check_range

PLACES = ("anywhere", "ground")


@dataclass(frozen=True)
class Look:
    """How patches are put into a crop; the options that sources of patches share.

    Args:
        count: fewest and most negatives in a crop.
        side: least and greatest longest side in pixels of the crop, drawn log-uniformly.
        flip: share that is mirrored.
        rotate: degrees to either side, drawn uniformly.
        feather: least and greatest radius of the soft edge, in pixels.
        colour_match: least and greatest strength of `match_colour`.
        brightness: gain is drawn from `1 - brightness` to `1 + brightness`.
        probability: share of crops that get negatives at all.
        place: `"anywhere"`, or `"ground"`: the foot stands on a pixel of the ground, where there
            is any, and negatives further down tend to be bigger.
        ground: label values that count as ground.
        perspective: how much the size follows the foot's height on the ground: 0 not at all, 1 as
            far as that it decides alone.
        opacity: least and greatest factor on alpha, 0..1, drawn for each patch: below 1 the
            background shines through. The labels follow the product as they follow alpha: from 0.5
            a pixel is `NEGATIVE`, from 0.1 `IGNORE`, and below it keeps its class. `[1, 1]` draws
            nothing.
        shadow: least and greatest share, 0..1, by which a soft shadow darkens the ground in the
            middle of the foot, drawn for each patch; the labels stay. `[0, 0]` draws nothing.

    Raises:
        OptionError: a value out of range or an unknown place.
    """

    count: Sequence[int]
    side: Sequence[float]
    flip: float = 0
    rotate: float = 0
    feather: Sequence[float] = (0, 0)
    colour_match: Sequence[float] = (0, 0)
    brightness: float = 0
    probability: float = 1
    place: str = "anywhere"
    ground: Sequence[int] = ()
    perspective: float = 0.5
    opacity: Sequence[float] = (1, 1)
    shadow: Sequence[float] = (0, 0)

    def __post_init__(self) -> None:
        check_range("count", self.count, 0, 1000)
        check_range("side", self.side, 4, 100000)
        check_range("feather", self.feather, 0, 100)
        check_range("colour_match", self.colour_match, 0, 1)
        check_range("opacity", self.opacity, 0, 1)
        check_range("shadow", self.shadow, 0, 1)
        check_range("flip", (self.flip, self.flip), 0, 1)
        check_range("rotate", (self.rotate, self.rotate), 0, 180)
        check_range("brightness", (self.brightness, self.brightness), 0, 1)
        check_range("probability", (self.probability, self.probability), 0, 1)
        check_range("perspective", (self.perspective, self.perspective), 0, 1)
        check_choice("place", self.place, PLACES)

    def changed(self, options: Mapping[str, Any] | None) -> Look:
        """Return it with other values for some options, as a config gives them.

        Raises:
            OptionError: an unknown option, with the nearest known one; or a value of another type
                or out of range.
        """
        for name in options or ():
            if name not in NAMES:
                msg = f"`look` has no option `{name}`; {nearest(name, NAMES)}"
                raise OptionError(msg)
        if not options:
            return self
        check_types(Look, options, "`look` of a negative source")
        return replace(self, **options)


NAMES = tuple(field.name for field in fields(Look))

FLAT = tuple(name for name in NAMES if name not in ("opacity", "shadow"))
"""Options that version 0.1 took beside `look`'s place, among the source's own."""

OBJECTS = Look(
    count=(1, 3),
    side=(24, 330),
    flip=0.5,
    feather=(0, 2),
    colour_match=(0.0, 0.7),
    brightness=0.1,
    ground=(0, 1, 9),
)
"""How whole objects are put in; the ground is road, sidewalk and terrain of Cityscapes' ids."""


def gather(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a source's options with those of version 0.1 moved into `look`.

    One that is given in both places is taken from beside `look`, so that one key of a config can
    be changed from the command line, as `--negatives.side`.
    """
    flat = {name: value for name, value in options.items() if name in FLAT}
    if not flat:
        return dict(options)
    look = options.get("look") or {}
    rest = {name: value for name, value in options.items() if name not in FLAT}
    if not isinstance(look, Mapping):
        return rest
    return {**rest, "look": {**look, **flat}}
