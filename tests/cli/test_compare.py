"""`roadanomaly compare` prints, writes the page and tables, and refuses mistakes with code 2."""

import pytest

from roadanomaly.evaluation.findings import save_findings
from tests.report.made import make_findings, make_frames, make_scores


@pytest.fixture
def runs(tmp_path):
    frames = make_frames(4)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, strength in zip(folders, (1.0, 4.0), strict=True):
        save_findings(folder, make_findings(frames, make_scores(frames, strength)))
    return folders


@pytest.mark.slow
def test_prints_and_writes_page_and_tables(command, runs, tmp_path):
    out = tmp_path / "pages" / "compare.html"
    tables = [tmp_path / f"t.{suffix}" for suffix in ("md", "tex", "csv")]
    words = ("--out", out, "--resamples", 50, "--published", "--table", *tables)
    code, text, _ = command("compare", *runs, *words)
    assert code == 0
    assert "differences in points, 95 % intervals over frames" in text
    assert "better" in text
    assert "UEM G-G" in text
    assert "papers' own numbers" in text
    assert out.read_text().startswith("<!doctype html>")
    for table in tables:
        assert table.exists()
        assert table.with_name(f"t_differences{table.suffix}").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("{a}",), "nothing to compare"),
        (("{a}", "{a}/.."), "holds no evaluation"),
        (("{a}", "{b}", "--against", "enrgy"), "`energy`"),
        (("{a}", "{b}", "--table", "x.xlsx"), "no table format"),
        (("{a}", "{b}", "--resamples", "0"), "at least 1"),
        (("{a}", "{b}", "--confidence", "95"), "between 0 and 1"),
        (("{a}", "{b}", "--out", "/dev/null/x.html"), "cannot be written"),
        (("{a}", "{b}", "--otu", "x.html"), "`--out`"),
        (("{a}", "{b}", "--detectors", "msp"), "no run holds"),
    ],
)
def test_mistakes_write_nothing(words, expected, command, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filled = [word.format(a=runs[0], b=runs[1]) for word in words]
    code, _, err = command("compare", *filled)
    assert code == 2
    assert expected in err
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_broken_run_is_named(command, runs):
    broken = next(runs[1].rglob("*.npz"))
    broken.write_bytes(broken.read_bytes()[:100])
    code, _, err = command("compare", *runs)
    assert code == 2
    assert "is broken" in err
    assert str(runs[1]) in err
