"""Where a data root is looked for, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadanomaly.data.roots import find_folder, find_root
from roadanomaly.errors import DataError


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("ROADANOMALY_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_given_root_wins(tmp_path: Path, monkeypatch):
    for place in ("given", "all/camvid", "datasets/camvid"):
        (tmp_path / place).mkdir(parents=True)
    assert find_root("camvid").resolve() == tmp_path / "datasets" / "camvid"
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path / "all"))
    assert find_root("camvid") == tmp_path / "all" / "camvid"
    assert find_root("camvid", tmp_path / "given") == tmp_path / "given"


def test_missing_root_says_where_what_and_what_next(tmp_path: Path, monkeypatch):
    (tmp_path / "CamVid").mkdir()
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    with pytest.raises(DataError) as error:
        find_root("camvid")
    message = str(error.value)
    for part in (str(tmp_path / "camvid"), "ROADANOMALY_DATA", "holds CamVid/", "`root`", "README"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("given", [None, "absent/deeper", "file"])
def test_every_kind_of_absence_is_said(tmp_path: Path, given):
    (tmp_path / "file").touch()
    said = {None: "datasets does not exist", "absent/deeper": "absent does not", "file": "a file"}
    with pytest.raises(DataError, match=said[given]):
        find_root("camvid", given)


def test_missing_folder_lists_what_is_there(tmp_path: Path):
    for i in range(12):
        (tmp_path / "images" / f"part{i:02d}").mkdir(parents=True)
    with pytest.raises(DataError, match=r"images/val/ .*holds part00/.*part07/ and 4 more"):
        find_folder(tmp_path, "images", "val")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty is empty"):
        find_folder(tmp_path, "empty", "val")
