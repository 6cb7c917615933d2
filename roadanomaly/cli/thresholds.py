"""Where a command's threshold lies: `--sensitivity`, or a rate and the way it is kept."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from roadanomaly.calibration import SENSITIVITIES, Calibration
from roadanomaly.errors import NotCalibrated, OptionError


def add_thresholds(parser: ArgumentParser, *, ways: bool = False) -> None:
    """Add the options.

    Args:
        parser: of a command that draws masks or finds objects.
        ways: whether the threshold may be set otherwise than by a false-positive rate.
    """
    parser.add_argument(
        "--sensitivity",
        type=str,
        default=None,
        help=f"{', '.join(SENSITIVITIES)}: a threshold that the model's maker chose",
    )
    parser.add_argument(
        "--false_alarms",
        type=float,
        default=None,
        help="share of inlier pixels that may exceed the threshold; default: as saved",
    )
    if ways:
        parser.add_argument(
            "--threshold_by",
            type=str,
            default=None,
            help="rate, conformal or f1; default: as saved",
        )


def check_thresholds(given: Namespace) -> None:
    """Refuse a sensitivity that no model has, or one beside a rate, before any work is done.

    Raises:
        OptionError: says which.
    """
    if given.sensitivity is None:
        return
    if given.sensitivity not in SENSITIVITIES:
        msg = f"--sensitivity is {given.sensitivity}; it takes {', '.join(SENSITIVITIES)}."
        raise OptionError(msg)
    for name in ("false_alarms", "threshold_by"):
        if given.get(name) is not None:
            msg = f"--sensitivity and --{name} both set the threshold; give one of them."
            raise OptionError(msg)


def with_threshold(calibration: Calibration | None, given: Namespace) -> Calibration | None:
    """Return a model's calibration with its threshold where the command line wants it.

    Raises:
        NotCalibrated: a threshold is asked of a model without one.
        OptionError: it cannot be set so.
    """
    rate, way = given.false_alarms, given.get("threshold_by")
    if calibration is None:
        if (given.sensitivity, rate, way) != (None, None, None):
            msg = (
                "this model has no threshold that could be set: calibrate it with `roadanomaly "
                "fit`, or leave out --sensitivity, --false_alarms and --threshold_by."
            )
            raise NotCalibrated(msg)
        return None
    if given.sensitivity is not None:
        return calibration.at_sensitivity(given.sensitivity)
    return calibration.at(rate, way)
