"""A missing package is one sentence with the command that installs it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from roadanomaly.catalogue import Catalogue
from roadanomaly.errors import MissingExtra
from roadanomaly.extras import EXTRAS
from roadanomaly.segmenters import SEGMENTERS

SETUP = Path(__file__).parents[1] / "setup.py"
NEEDS = {"mmseg": "mmseg", "onnx": "onnxruntime", "transformers": "transformers"}
"""Segmenter to a package that it needs."""


def test_the_extras_are_those_of_the_package():
    tree = ast.parse(SETUP.read_text())
    (known,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXTRAS"
    )
    assert set(EXTRAS.values()) == set(known)


@pytest.mark.parametrize("name", NEEDS)
def test_a_segmenter_without_its_package_says_how_to_get_it(name, monkeypatch):
    module = SEGMENTERS.entries[name].split(":")[0]
    for loaded in [one for one in sys.modules if one.split(".")[0] == NEEDS[name]]:
        monkeypatch.delitem(sys.modules, loaded)
    for own in [one for one in sys.modules if one.startswith(module)]:
        monkeypatch.delitem(sys.modules, own)
    monkeypatch.setitem(sys.modules, NEEDS[name], None)
    command = re.escape(f'pip install "roadanomaly[{EXTRAS[NEEDS[name]]}]"')
    with pytest.raises(MissingExtra, match=f"the segmenter `{name}` needs .*: {command}$"):
        SEGMENTERS.build(name)


def test_a_module_of_no_extra_stays_a_fault(tmp_path, monkeypatch):
    (tmp_path / "broken_part.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all"):
        Catalogue("part", {"broken": "broken_part:Part"}).get("broken")


@pytest.mark.slow
def test_the_list_goes_on_without_the_extras():
    """All optional packages blocked, `roadanomaly list` still shows what there is."""
    code = (
        "import sys\n"
        f"for name in {sorted(EXTRAS)!r}: sys.modules[name] = None\n"
        "from roadanomaly.cli.main import main\n"
        "sys.exit(main(['list', 'segmenters']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ESPNetv2" in done.stdout
    for extra in ("mmseg", "onnx", "transformers"):
        assert f'pip install "roadanomaly[{extra}]"' in done.stdout
