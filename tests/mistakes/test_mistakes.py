"""What users get wrong: each mistake has a message of its own, exit code 2, and costs nothing.

Every case begins from what works, `Bench`, spoils one thing, and says what the message must hold.
An earlier result lies in `--out` and must stay byte for byte, and so must every other file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from roadanomaly.cli.main import main
from roadanomaly.ledger import LEDGER
from tests.keeping.test_locks import HOLD, start
from tests.mistakes import (
    annotation_files,
    command_lines,
    data_sets,
    models,
    outputs,
    photographs,
    score_maps,
)
from tests.mistakes.bench import cases, truncate


def everything(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder but the list of them and what a running evaluation keeps."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = set(folders) - {".partial"}
        for name in set(names) - {LEDGER}:
            if (path := Path(place, name)).is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def below(files: dict[str, bytes], folder: Path) -> dict[str, bytes]:
    """Return those of a folder's files that lie in a folder in it."""
    return {name: held for name, held in files.items() if name.startswith(f"{folder.name}/")}


MODULES = (
    data_sets,
    photographs,
    annotation_files,
    score_maps,
    command_lines,
    models,
    outputs,
)
CASES = [one for module in MODULES for one in cases(module)]
FAST = 5
"""`make test-fast` tries one mistake of so many."""


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.slow] if place % FAST else [])
        for place, one in enumerate(CASES)
    ],
)
def test_a_mistake_is_explained_and_costs_nothing(one, bench, capsys):
    words = one.spoil(bench)
    base = bench.root.parent
    files = everything(base)
    code = main(words)
    _, err = capsys.readouterr()
    assert code == 2
    for part in one.says:
        assert part in err
    assert "Traceback" not in err
    now = everything(base)
    assert {name: now.get(name) for name in files} == files
    assert below(now, bench.out) == below(files, bench.out)


def test_there_are_many_and_they_differ():
    assert len({one.name for one in CASES}) == len(CASES) >= 160


def test_without_a_mistake_it_works(bench, capsys):
    assert main(bench.stored("--pictures", "0")) == 0
    assert "smiyc-anomaly" in capsys.readouterr().out
    numbers = json.loads((bench.out / "metrics.json").read_text())["smiyc-anomaly"]
    assert numbers["frames"] == 10
    assert set(numbers["official"]) == set(numbers["exact"])


def test_a_mistake_in_a_frame_loses_no_other_frame(bench, capsys):
    """The last map is broken; once it is whole again, the frames before it are not read again."""
    good = bench.map(9).read_bytes()
    truncate(bench.map(9))
    assert main(bench.stored("--pictures", "0")) == 2
    kept = len(list(bench.out.glob(".partial/*/*.npz")))
    bench.map(9).write_bytes(good)
    capsys.readouterr()
    assert kept == 9
    assert main(bench.stored("--pictures", "0")) == 0
    assert "9 of 10 frames were scored before; going on" in capsys.readouterr().err


def test_frames_that_were_scored_without_pictures_are_not_taken_for_such_with(bench, capsys):
    good = bench.map(9).read_bytes()
    truncate(bench.map(9))
    assert main(bench.stored("--pictures", "0")) == 2
    bench.map(9).write_bytes(good)
    capsys.readouterr()
    assert main(bench.stored("--pictures", "5")) == 0
    assert "scored before" not in capsys.readouterr().err
    assert len(list((bench.out / "pictures" / "smiyc-anomaly" / "maps").iterdir())) == 5


def test_a_second_evaluation_into_a_folder_is_told_who_is_at_work(bench, capsys):
    holder = start(HOLD, bench.out)
    assert holder.stdout.readline() == "held\n"
    before = everything(bench.out)
    code = main(bench.stored("--pictures", "0"))
    holder.kill()
    holder.communicate()
    assert code == 2
    assert f"is in use: process {holder.pid} on" in capsys.readouterr().err
    assert everything(bench.out) == before
    assert main(bench.stored("--pictures", "0")) == 0


AT_ONCE = {
    "predict": lambda bench: ("predict", outputs.photo(bench), "--model", bench.model),
    "label": lambda bench: (
        "label", outputs.photo(bench), "--segmenter", "{name: espnetv2, scale: 0.5}"
    ),
    "adapt": lambda bench: ("adapt", outputs.photo(bench).parent, "--model", bench.model),
}  # fmt: skip


@pytest.mark.parametrize("command", AT_ONCE)
def test_a_second_writer_is_told_who_is_at_work(bench, command, capsys):
    out = bench.root.parent / "held"
    holder = start(HOLD, out)
    assert holder.stdout.readline() == "held\n"
    before = everything(out)
    code = main([*map(str, AT_ONCE[command](bench)), "--out", str(out)])
    holder.kill()
    holder.communicate()
    assert code == 2
    assert f"is in use: process {holder.pid} on" in capsys.readouterr().err
    assert everything(out) == before
