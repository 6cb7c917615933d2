import json
import statistics

import pytest

from roadanomaly.errors import UserError
from roadanomaly.evaluation.evaluate import Evaluation, Row
from roadanomaly.report.evaluation_table import format_spread, format_table, write_results

NAN = float("nan")


def evaluation(ap=0.5, ap_exact=0.5, name="energy"):
    row = Row(name, "none", ap, ap_exact, 0.25, 0.9, 0.6, 0.3, NAN, 0.1, 12.0)
    return Evaluation(
        {"name": "streets", "split": "test"}, "anomaly", 3, (row,), 0.625, {"road": 1}
    )


def test_table_is_in_percent_and_marks_the_undefined():
    text = format_table(evaluation())
    assert "50.00" in text
    assert "–" in text
    assert "mIoU 62.50 %" in text
    assert "warning" not in text


def test_a_gap_between_official_and_exact_is_a_warning():
    assert "+0.40 points" in format_table(evaluation(0.504, 0.5))


def test_spread_is_the_sample_standard_deviation():
    values = [0.61, 0.66, 0.64]
    text = format_spread([evaluation(value) for value in values])
    wanted = f"{100 * statistics.mean(values):.2f} ± {100 * statistics.stdev(values):.2f}"
    assert f"AP ↑ {wanted}" in text
    assert format_spread([evaluation()]) == ""


def test_results_are_valid_json_without_nan(tmp_path):
    write_results(tmp_path / "new", evaluation())
    found = json.loads((tmp_path / "new" / "results.json").read_text(), parse_constant=pytest.fail)
    assert found["rows"][0]["ppv"] is None
    with pytest.raises(UserError, match="cannot be written"):
        write_results(tmp_path / "new" / "results.csv", evaluation())
