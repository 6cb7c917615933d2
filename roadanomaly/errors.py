"""Every mistake a user can make is one of these; the command line prints it and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what was given: says what was wrong, the value, what is allowed, what next."""


class UnknownName(UserError):
    """A name that no catalogue holds."""


class OptionError(UserError):
    """A part was given an option that it lacks, or a value outside its range."""


class DataError(UserError):
    """A data root, image or label that cannot be used."""


class ClassesError(DataError):
    """Weights or a network made for other classes than were named."""


class NotFitted(UserError):
    """A detector was asked for scores before it was fitted or trained."""


class NotCalibrated(UserError):
    """A mask was asked of a model that has no threshold yet."""


class FeatureError(UserError):
    """A detector needs a feature that the segmenter does not offer."""


class KindError(UserError):
    """A detector needs logits, evidence or masks, and the segmenter answers something else."""


class MissingExtra(UserError):
    """A part needs a package that is installed with an extra of this one."""


class TrainingDiverged(UserError):
    """A loss or a gradient became NaN or infinite."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known word, or lists all when none is close.

    >>> nearest("enrgy", ["energy", "entropy"])
    'did you mean `energy`?'
    >>> nearest("zebra", ["energy", "entropy"])
    'known: energy, entropy'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean `{close[0]}`?" if close else "known: " + ", ".join(names)
