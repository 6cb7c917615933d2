"""What the tables say parses back to the findings' own numbers, in every format."""

import csv
import io
import math
import re
import statistics
from dataclasses import replace

import pytest

from roadanomaly.errors import OptionError, UserError
from roadanomaly.report.table import format_table, format_thresholds, write_tables
from roadanomaly.report.tables.formats import to_csv, to_latex, to_markdown, write_table
from roadanomaly.report.tables.results import (
    METRICS,
    extra_tables,
    results_table,
    threshold_table,
    time_table,
)
from roadanomaly.report.tables.table import Column, Spread, Table, find_best
from tests.report.made import NAN, make_findings, make_frames, make_scores

KEYS = [metric.key for metric in METRICS]


@pytest.fixture(scope="module")
def findings():
    frames = make_frames(5)
    return [
        make_findings(frames, make_scores(frames, strength), detector=name, supervision=kind)
        for name, strength, kind in (("energy", 2.0, "none"), ("dense_hybrid", 4.0, "negatives"))
    ]


def wanted(found):
    return [found.official["ap"], found.exact["ap"], *(found.official[key] for key in KEYS[1:])]


def percents(cells):
    """Read percents, bold or not, as fractions; a dash is NaN."""
    plain = [re.sub(r"\*\*|\\textbf\{|\}", "", cell).strip() for cell in cells]
    return [NAN if cell in ("–", "--") else float(cell) / 100 for cell in plain]


def test_csv_holds_every_digit(findings):
    rows = list(csv.DictReader(io.StringIO(to_csv(results_table(findings)))))
    assert [row["detector"] for row in rows] == ["energy", "dense_hybrid"]
    for row, found in zip(rows, findings, strict=True):
        for key in KEYS:
            value = float(row[key] or NAN)
            assert value == found.official[key] or math.isnan(found.official[key])
        assert float(row["ap_exact"]) == found.exact["ap"]
        assert float(row["ms"]) == 12.0


def test_markdown_parses_back(findings):
    lines = to_markdown(results_table(findings)).splitlines()
    assert set(lines[1]) <= set("| -:")
    for line, found in zip(lines[2:4], findings, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == found.detector
        assert percents(cells[2:10]) == pytest.approx(wanted(found), abs=5.1e-5, nan_ok=True)


def test_latex_parses_back(findings):
    text = to_latex(results_table(findings))
    assert r"dense\_hybrid" in text
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    columns = re.search(r"begin\{tabular\}\{(\w+)\}", text)[1]
    for line, found in zip(body, findings, strict=True):
        cells = line.removesuffix(r" \\").split(" & ")
        assert len(cells) == len(columns)
        assert percents(cells[2:10]) == pytest.approx(wanted(found), abs=5.1e-5, nan_ok=True)


def test_the_better_row_is_bold_by_each_metrics_own_direction():
    columns = (Column("n", "n", "text"), Column("ap", "AP", "percent", "higher"),
               Column("fpr95", "FPR95", "percent", "lower"))  # fmt: skip
    rows = (("a", 0.5, 0.1), ("b", 0.6, 0.2), ("c", 0.9, 0.01), ("d", NAN, 0.3))
    best = find_best(columns, rows, ["x", "x", "y", "x"])
    assert best == {(1, 1), (0, 2)}
    text = to_markdown(Table(columns, rows, best))
    assert "| b | **60.00** | 20.00 |" in text
    assert "| a | 50.00 | **10.00** |" in text


def test_signs_of_a_format_in_a_name_break_no_table():
    table = Table((Column("n", "100 % & more", "text"),), (("a|b_{c}^$#~\\",),))
    markdown = to_markdown(table).splitlines()
    assert len(re.findall(r"(?<!\\)\|", markdown[2])) == 2
    latex = to_latex(table)
    assert r"100 \% \& more" in latex
    assert r"a|b\_\{c\}\textasciicircum{}\$\#\textasciitilde{}\textbackslash{}" in latex


def test_terminal_table_groups_sets_and_warns(findings):
    other = make_findings(
        make_frames(3), make_scores(make_frames(3), 3.0), set_name="laf", warnings=("saturated",),
        listed=1043, official={**findings[0].official, "ppv": NAN},
    )  # fmt: skip
    text = format_table([*findings, other])
    first, second = text.split("laf made")
    assert "roadanomaly made: 5 frames, anomaly track's component sizes, official, pooled" in first
    assert f"{100 * findings[1].official['ap']:.2f}" in first
    assert "did not learn from the same data (energy: inliers; dense_hybrid: inliers, neg" in first
    assert "3 of 1043 frames" in second
    assert "warning: energy: saturated" in second
    assert "–" in second
    assert "per image:" in second


def test_threshold_table_shows_stated_against_measured(findings):
    text = format_thresholds(findings)
    line = next(line for line in text.splitlines() if "false-positive rate" in line)
    assert line.split()[:2] == ["energy", "false-positive"]
    row = findings[0].thresholds[1]
    assert f" 5.00 {100 * row.fpr:14.2f}" in re.sub(r" +", " ", line) or re.search(
        rf"5\.00 +{100 * row.fpr:.2f}", line
    )
    assert threshold_table(findings).rows[0][0] == "roadanomaly"


def test_extra_numbers_know_percent_from_count(findings):
    table = extra_tables(findings[:1])["per image"]
    assert table.texts()[0] == ["roadanomaly", "energy", "37.50", "4"]


def test_what_is_the_same_of_all_detectors_is_said_once(findings):
    shared = [replace(found, extra={"closed set": {"miou": 0.5}}) for found in findings]
    assert extra_tables(shared)["closed set"].texts() == [["roadanomaly", "all", "50.00"]]
    shared[1] = replace(shared[1], extra={"closed set": {"miou": 0.25}})
    assert [row[1] for row in extra_tables(shared)["closed set"].texts()] == [
        found.detector for found in findings
    ]


def test_stored_maps_have_no_times(findings):
    frames = make_frames(3)
    stored = make_findings(frames, make_scores(frames, 3.0), ms=NAN)
    assert time_table([stored]).rows == ()
    assert "–" in format_table([stored])
    assert len(time_table(findings).rows) == 2


def test_an_evaluation_without_exact_numbers_has_a_table(findings):
    frames = make_frames(3)
    official = make_findings(frames, make_scores(frames, 3.0), exact={})
    assert math.isnan(results_table([official]).rows[0][3])


def test_an_exact_evaluation_shows_exact_numbers():
    frames = make_frames(3)
    found = make_findings(frames, make_scores(frames, 3.0), official={})
    assert results_table([found]).rows[0][2] == found.exact["ap"]
    assert "component sizes, exact, pooled" in format_table([found])


def test_long_groups_are_left_to_the_page():
    frames = make_frames(3)
    classes = {f"class{number}": 0.5 for number in range(19)}
    open_set = {"open_miou": 0.25, "threshold": -3.5, "odd_threshold": 0.5}
    found = make_findings(
        frames, make_scores(frames, 3.0), extra={"IoU": classes, "open set": open_set}
    )
    text = format_table([found])
    assert "class3" not in text
    assert "open mIoU" in text
    assert extra_tables([found])["open set"].texts()[0][2:] == ["25.00", "-3.5", "0.5"]


def test_files_are_written_by_their_ending(findings, tmp_path):
    for suffix, sign in ((".md", "| ---"), (".tex", r"\toprule"), (".csv", "set,detector,ap,")):
        write_tables(tmp_path / f"t{suffix}", findings)
        assert sign in (tmp_path / f"t{suffix}").read_text()
    with pytest.raises(OptionError, match=r"table\.xlsx ends in '\.xlsx'.*\.csv"):
        write_tables(tmp_path / "table.xlsx", findings)
    with pytest.raises(UserError, match="cannot be written"):
        write_table(tmp_path / "t.md" / "x.md", results_table(findings))


def test_a_spread_counts_as_its_mean_and_is_written_with_its_deviation():
    columns = (Column("name", "name", "text"), Column("ap", "AP", "percent", "higher"))
    values = [0.5, 0.7, 0.9]
    rows = (("three", Spread(values)), ("one", Spread([0.6])), ("none", Spread([])))
    table = Table(columns, rows, find_best(columns, rows, ["", "", ""]))
    assert table.best == {(0, 1)}
    shown = [line[1] for line in table.texts()]
    assert shown == [f"70.00 ± {100 * statistics.stdev(values):.2f}", "60.00", "–"]
    lines = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert [float(line["ap"] or "nan") for line in lines[:2]] == pytest.approx([0.7, 0.6])
    assert float(lines[0]["ap_deviation"]) == pytest.approx(statistics.stdev(values))
    assert (lines[1]["ap_deviation"], lines[2]["ap"], lines[2]["ap_deviation"]) == ("", "", "")
