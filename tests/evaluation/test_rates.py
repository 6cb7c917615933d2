"""Rates that a calibration cannot tell: no conformal row of the model's own, else refused first."""

from __future__ import annotations

import numpy as np
import pytest

from roadanomaly.calibration import calibrate
from roadanomaly.cli.evaluate import _parser
from roadanomaly.cli.evaluation_jobs import tasks_of, with_calibrations
from roadanomaly.cli.parsing import parse
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.folder import EvaluationFolder
from roadanomaly.evaluation.team import Team
from tests.evaluation.scenes import Drawn, Scenes, job

STREETS = ("--on", "streets", "--data.count", "1", "--data.height", "64", "--data.width", "96")


def source_of(pixels, rate):
    """Return drawn scores whose calibration knows few inlier pixels."""
    source = Drawn(size=20)
    drawn = np.random.default_rng(0).normal(size=pixels)
    source.calibrations = {"drawn": calibrate([drawn], rate, "a few pixels")}
    return source


def pixels_of(source, frames):
    pairs = [(source.score(one).scores["drawn"], one.truth.numpy()) for one in frames]
    return [np.concatenate([pair[place].ravel() for pair in pairs]) for place in (0, 1)]


@pytest.mark.parametrize("asked", [1e-9, 1 / 200])
def test_the_smallest_rate_of_a_model_s_own_is_scored_without_a_conformal_row(asked):
    source = source_of(200, asked)
    (found,) = evaluate(job(source))
    assert [row.way for row in found.thresholds] == ["best F1", "false-positive rate"]
    row = found.thresholds[1]
    scores, truth = pixels_of(source, Scenes())
    assert row.stated == pytest.approx(1 / 200)
    assert row.fpr == pytest.approx((scores[truth == 0] > row.threshold).mean())
    (said,) = (text for text in found.warnings if "conformal" in text)
    assert said.startswith("no conformal threshold of a few pixels: a conformal p-value of 0.005 ")


def test_a_rate_that_can_be_told_keeps_its_conformal_row():
    (found,) = evaluate(job(source_of(200, 0.05)))
    ways = [row.way for row in found.thresholds]
    assert ways == ["best F1", "false-positive rate", "conformal"]
    assert not any("conformal" in text for text in found.warnings)


@pytest.mark.parametrize("rate", [1 / 200, 1e-5])
def test_a_rate_that_is_asked_for_is_refused_before_anything_is_scored(rate):
    source = source_of(200, 0.05)
    with pytest.raises(OptionError, match="rates of drawn, calibrated on a few pixels: a "):
        evaluate(job(source, rates=(0.1, rate)))
    assert source.scored == []


def test_the_command_refuses_it_before_it_scores_the_first_set():
    given = parse(_parser(), [*STREETS, "--rates", "0.005"])
    with pytest.raises(OptionError, match="rates of drawn"):
        tasks_of(given, [Drawn(), source_of(200, 0.05)])


def test_a_validation_set_that_is_too_small_is_told_before_the_others_are_scored(tmp_path):
    words = [*STREETS, "--rates", "0.1,1e-5", "--validate_on", "streets"]
    words += ["--validation.count", "1", "--validation.height", "64", "--validation.width", "96"]
    source = Drawn()
    tasks, validation = tasks_of(parse(_parser(), words), [source])
    with pytest.raises(OptionError, match="rates of drawn, calibrated on "):
        with_calibrations(tasks, validation, EvaluationFolder(tmp_path), Team())
    assert len(source.scored) == 1
