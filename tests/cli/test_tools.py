"""The doors in `tools/` lead to the commands that they are named after."""

import runpy
from pathlib import Path

import pytest

from roadanomaly.cli import main

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize("name", sorted({"video", *(path.stem for path in TOOLS.glob("*.py"))}))
def test_a_door_leads_to_its_command(name, monkeypatch):
    called = []
    monkeypatch.setattr(main, "main", lambda words: called.extend(words) or 0)
    monkeypatch.setattr("sys.argv", [name, "--an", "option"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOLS / f"{name}.py"))
    assert end.value.code == 0
    assert called == [*name.split("_"), "--an", "option"]
