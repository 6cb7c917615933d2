"""The tables of worlds: mean ranks that are counted by hand, and what is written."""

import csv
import io

import pytest

from roadanomaly.evaluation.worlds.result import WorldResult
from roadanomaly.report.tables.formats import to_csv
from roadanomaly.report.tables.worlds import (
    Scored,
    full_table,
    mean_ranks,
    summary_table,
    worlds_markdown,
    worlds_text,
)

NAN = float("nan")


def strange(ap, fpr95, false):
    return WorldResult("strange", 4, 7, True, ap, fpr95, 0.2, 1.5, 0.5, false, 0.25, 0.01, 12.0)


def plain(false):
    return WorldResult("plain", 5, 0, False, NAN, NAN, NAN, 1.5, NAN, false, 0.5, 0.02, 12.0)


@pytest.fixture
def rows():
    numbers = {"a": (0.9, 0.3, 2.0), "b": (0.5, 0.1, 2.0), "c": (0.7, 0.2, NAN)}
    return [
        Scored(name, {"strange": strange(ap, fpr95, 1.0), "plain": plain(false)})
        for name, (ap, fpr95, false) in numbers.items()
    ]


def test_mean_ranks_counted_by_hand(rows):
    # AP: a 1, c 2, b 3; FPR95: b 1, c 2, a 3; false a frame: a and b share 1 and 2, c is last
    assert mean_ranks(rows, "ap").tolist() == [1.25, 2.25, 2.5]
    assert mean_ranks(rows, "fpr95").tolist() == [2.25, 1.25, 2.5]


def test_the_summary_shows_what_is_ranked_by(rows):
    table = summary_table(rows)
    assert [column.key for column in table.columns] == [
        "model", "mean_rank", "mean_rank_fpr95", "strange.ap", "plain.false_a_frame",
    ]  # fmt: skip
    assert table.texts()[0] == ["a", "1.25", "2.25", "90.00", "2.00"]
    assert table.texts()[2][-1] == "–"
    assert {(0, 1), (1, 2), (0, 3)} <= table.best


def test_a_terminal_and_markdown_show_each_world(rows):
    for text in (worlds_text(rows, ["mind this"]), worlds_markdown(rows, ["mind this"])):
        assert "strange: 4 frames, 7 objects" in text
        assert "plain: 5 ordinary frames" in text
        assert "mind this" in text
    part = worlds_text(rows).split("plain: 5")[1]
    assert "AP" not in part  # an ordinary world has none


def test_csv_holds_every_number_as_a_fraction(rows):
    held = list(csv.DictReader(io.StringIO(to_csv(full_table(rows)))))
    assert held[1]["strange.fpr95"] == "0.1"
    assert held[1]["plain.false_a_frame"] == "2.0"
    assert held[2]["plain.false_a_frame"] == ""
    assert "plain.ap" not in held[0]
