"""Which threshold `export submission` cuts objects at, from the words of its command line."""

from __future__ import annotations

import numpy as np
import pytest

from roadanomaly.calibration import calibrate
from roadanomaly.cli.export_submission import _parser, _threshold
from roadanomaly.cli.parsing import parse
from roadanomaly.errors import OptionError

CALIBRATION = calibrate([np.linspace(0, 10, 10_001)], 0.05, "a ramp").with_sensitivities(
    {"low": 9.5, "high": 7.0}
)


def threshold(*words, calibration=CALIBRATION):
    return _threshold(parse(_parser(), words), calibration)


def test_a_sensitivity_is_the_threshold_of_that_name():
    assert threshold("--sensitivity", "low") == pytest.approx(9.5, abs=0.01)
    assert threshold("--sensitivity", "high") == pytest.approx(7.0, abs=0.01)
    assert threshold() == CALIBRATION.threshold


def test_a_sensitivity_that_the_model_does_not_carry_is_refused():
    with pytest.raises(OptionError, match="no sensitivity 'normal': it carries low, high"):
        threshold("--sensitivity", "normal")


def test_a_sensitivity_needs_a_model_with_a_calibration():
    with pytest.raises(OptionError, match="--sensitivity needs a calibrated model"):
        threshold("--sensitivity", "low", calibration=None)


def test_a_sensitivity_beside_a_threshold_is_refused():
    with pytest.raises(OptionError, match="--threshold and --sensitivity both set the threshold"):
        threshold("--sensitivity", "low", "--threshold", "3")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sensitivity", "lowest"), "--sensitivity is lowest; it takes low, normal, high."),
        (
            ("--sensitivity", "low", "--false_alarms", "0.1"),
            "--sensitivity and --false_alarms both set the threshold",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_read(words, told, command, tmp_path):
    given = ("--for", "oodis", "--root", tmp_path / "absent", "--out", tmp_path / "out")
    code, out, err = command("export", "submission", *given, *words)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err
