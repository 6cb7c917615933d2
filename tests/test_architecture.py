"""How the package hangs together: imports run downwards, files stay short, names say something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import roadanomaly

PACKAGE = Path(roadanomaly.__file__).parent
LEVELS = (
    ("__init__", "__main__"),
    ("cli",),
    ("leaderboard", "mining", "serve"),
    ("evaluation", "training", "video", "report", "runtimes"),
    (
        "fitting",
        "hub",
        "hub_card",
        "inliers",
        "model",
        "model_card",
        "models",
        "packing",
        "published",
        "seeded",
    ),
    ("detectors", "negatives", "refiners"),
    ("segmenters", "flows", "encoders", "generators", "diffusion", "data", "store", "image_input"),
    ("streets",),
    (
        "calibration",
        "catalogue",
        "exchange",
        "formats",
        "logistic",
        "metrics",
        "model_folder",
        "objects",
        "precision",
        "prepared",
        "saved_model",
        "scores",
        "types",
    ),
    ("folders", "ledger", "locks", "swap"),
    (
        "ahead",
        "config_text",
        "errors",
        "extras",
        "files",
        "heap",
        "late_compiler",
        "masks",
        "progress",
        "reservoir",
        "weights_hash",
    ),
)
"""From the top down; a part imports from its own level or from those below."""

HEIGHT = {name: -level for level, names in enumerate(LEVELS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Give the statements below a node at any depth, and no expressions, in which none imports."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for one in getattr(node, field, ()):
            yield one
            yield from statements(one)


def imports(path: Path) -> set[str]:
    """Return the parts of the package that a file imports, anywhere in it."""
    found = set()
    for node in statements(parsed(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("roadanomaly.")}
    return {name if (PACKAGE / name).exists() or name in HEIGHT else "__init__" for name in found}


def test_every_part_has_a_level():
    parts = {part(path) for path in FILES}
    assert parts <= set(HEIGHT), f"add to LEVELS: {sorted(parts - set(HEIGHT))}"


def test_imports_run_downwards():
    upwards = [
        f"{path.relative_to(PACKAGE)} lies below {name}"
        for path in FILES
        for name in sorted(imports(path))
        if HEIGHT[name] > HEIGHT[part(path)]
    ]
    assert not upwards


@pytest.mark.slow
def test_parts_do_not_import_each_other_in_a_circle():
    graph = {}
    for path in FILES:
        graph.setdefault(part(path), set()).update(imports(path) - {part(path)})
    done = set()
    while len(done) < len(graph):
        free = {name for name in graph if name not in done and graph[name] <= done}
        assert free, f"a circle among {sorted(set(graph) - done)}"
        done |= free


def modules_of(path: Path, known: dict[str, Path]) -> set[Path]:
    """Return the files of the package that a file imports, anywhere in it."""
    found = set()
    for node in statements(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {known[alias.name] for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {known.get(name, known[node.module]) for name in inner}
    return found - {path}


@pytest.mark.slow
def test_files_do_not_import_each_other_in_a_circle():
    names = {path: path.relative_to(PACKAGE.parent).with_suffix("").parts for path in FILES}
    known = {".".join(p for p in parts if p != "__init__"): path for path, parts in names.items()}
    graph = {path: modules_of(path, known) - {PACKAGE / "__init__.py"} for path in FILES}
    graph[PACKAGE / "__init__.py"] = set()  # its names are imported when they are used
    while free := {path for path, needed in graph.items() if not needed & graph.keys()}:
        graph = {path: needed for path, needed in graph.items() if path not in free}
    assert not graph, f"a circle among {sorted(str(p.relative_to(PACKAGE)) for p in graph)}"


def test_refiners_know_no_detector_and_families_know_no_other_family():
    for path in FILES:
        text = path.read_text()
        if part(path) == "refiners":
            assert "roadanomaly.detectors" not in text, path
        rooms = path.relative_to(PACKAGE).parts
        if rooms[0] == "detectors" and len(rooms) == 3:
            named = set(re.findall(r"roadanomaly\.detectors\.(\w+)\.", text))
            assert named <= {rooms[1]}, f"{path} imports of {named}"


def test_files_are_short_and_say_what_they_are_for():
    for path in FILES:
        text = path.read_text()
        lines = text.splitlines()
        assert len(lines) <= 400, f"{path} has {len(lines)} lines"
        doc = ast.get_docstring(parsed(path))
        assert doc or not lines, f"{path} has no first sentence"


def test_no_file_is_a_drawer_for_everything():
    names = {path.stem for path in FILES} | {path.parent.name for path in FILES}
    assert not names & {"utils", "util", "helpers", "misc", "common", "tools"}


def test_messages_call_parts_by_their_names_in_the_catalogues():
    """A class's name is for mistakes of programmers, for errors of others, and for plain values."""
    shown = re.compile(
        r"\{type\((?!error|fault|owner)[\w.]+\)\.__name__|= type\([\w.]+\)\.__name__"
    )
    plain = ("held = type(content)", '"{name}: {type(', "a value of type {type(")
    allowed = ("TypeError", "mmcv's compiled operation", *plain)
    for path in FILES:
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if shown.search(line) and path.name != "catalogue.py":
                near = " ".join(lines[number : number + 5])
                assert any(word in near for word in allowed), f"{path}:{number + 1}: `called`"
