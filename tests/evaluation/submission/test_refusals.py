"""What cannot be exported is refused with the reason, code 2, and leaves nothing behind."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from roadanomaly.cli.main import main
from tests import layouts
from tests.evaluation.submission import sets

ALL = ("--scores", "{maps}", "--for", "smiyc-anomaly", "--root", "{root}", "--out", "{out}")
MODEL = ("{run}", "--for", "smiyc-anomaly", "--root", "{root}", "--out", "{out}")


def use(words, **changed):
    """Replace the values of options in a command line."""
    words = list(words)
    for option, value in changed.items():
        flag = f"--{option.rstrip('_')}"
        if flag in words:
            words[words.index(flag) + 1] = value
        else:
            words += [flag, value]
    return tuple(words)


OODIS = (*use(ALL, for_="oodis", root="{part}", track="roadanomaly"), "--incomplete")
FISHY = (
    *use(ALL, for_="fishyscapes", root="{fishy}", scores="{fishymaps}", track="fishyscapes-laf"),
    "--incomplete",
)

CASES = {
    "unknown benchmark": (use(ALL, for_="smiyc-anomly"), "did you mean `smiyc-anomaly`?"),
    "no benchmark": (("--scores", "{maps}", "--out", "{out}"), "--for"),
    "no out": (ALL[:6], "--out"),
    "misspelt option": ((*ALL, "--metod", "x"), "`--method`"),
    "both model and scores": (("{run}", *ALL), "give a model, or --scores"),
    "no model there": (("{photos}", *MODEL[1:]), "no model at"),
    "no such model": (("{photos}/none", *MODEL[1:]), "no model at"),
    "no such data": (use(ALL, root="{photos}/none"), "none"),
    "data of another benchmark": (use(ALL, root="{laf}"), "dataset_AnomalyTrack"),
    "frames missing on disk": (use(ALL, root="{part}"), "14 of the 110 frames"),
    "frames missing, says which": (use(ALL, root="{part}"), "airplane0000"),
    "frames missing, says the sum": (use(ALL, root="{part}"), "110 = 100 test (truth hidden) + 10"),
    "no such score folder": (use(ALL, scores="{photos}/none"), "does not exist"),
    "score folder without maps": (use(ALL, scores="{photos}"), "holds no score map"),
    "a map is missing": (use(ALL, scores="{missing}"), "1 of 110 frames have no map: cow0003"),
    "a map too many": (use(ALL, scores="{extra}"), "1 maps belong to no frame: unicorn0000"),
    "a map misnamed": (use(ALL, scores="{misnamed}"), "`cow0003_scores` looks like `cow0003`"),
    "a map of another shape": (use(ALL, scores="{shape}"), "its image is 32×24"),
    "a map with NaN": (use(ALL, scores="{nan}"), "cow0003.npy: 1 of 768 scores are NaN"),
    "a map with infinity": (use(ALL, scores="{infinite}"), "1 infinite"),
    "a constant map": (use(ALL, scores="{constant}"), "is constant"),
    "a truncated map": (use(ALL, scores="{truncated}"), "cannot be read"),
    "a map of classes": (use(ALL, scores="{integers}"), "a score map is float16"),
    "maps of another benchmark": (use(ALL, scores="{others}"), "maps belong to no frame"),
    "out is a file": (use(ALL, out="{file}"), "is a file"),
    "out cannot be made": (use(ALL, out="{file}/below"), "cannot be written"),
    "out holds other files": (use(ALL, out="{photos}"), "files that are of no export"),
    "a name with a space": (use(ALL, method="my method"), "becomes part of file names"),
    "a name with a slash": (use(ALL, method="a/b"), "becomes part of file names"),
    "unknown track": (use(ALL, track="ObstacleTrack-all"), "did you mean `AnomalyTrack-all`?"),
    "a split that is not submitted": (use(ALL, split="validation"), "is submitted on all"),
    "no such device": (use(MODEL, device="cuda:77"), "not usable here"),
    "oodis without threshold": (OODIS, "wants objects, not scores"),
    "oodis with a threshold that is none": (use(OODIS, threshold="nan"), "nan"),
    "a rate without a model": (use(OODIS, false_alarms="0.1"), "needs a calibrated model"),
    "oodis lacks a track": (use(ALL, for_="oodis", threshold="1"), "oodis-fishyscapes"),
    "oodis lacks a track, says what to do": (use(ALL, for_="oodis"), "--track fishyscapes,road"),
    "fishyscapes without classes": (FISHY, "asks for a segmentation too"),
}


def broken(folder, maps, name, change):
    """Copy the maps and change that of cow0003; `change` gets its path."""
    target = folder / name
    shutil.copytree(maps, target)
    change(target / "cow0003.npy")
    return target


def with_value(value):
    def change(path):
        score = np.load(path)
        score[3, 4] = value
        np.save(path, score)

    return change


@pytest.fixture(scope="module")
def places(tmp_path_factory, anomaly_root, anomaly_maps, part_root, run_folder):
    """Folders that the command lines name."""
    top = tmp_path_factory.mktemp("places")
    layouts.write_photo(top / "photos" / "a.jpg", 0)
    (top / "file").write_text("x")
    faults = {
        "missing": lambda path: path.unlink(),
        "extra": lambda path: shutil.copy(path, path.with_name("unicorn0000.npy")),
        "misnamed": lambda path: path.rename(path.with_name("cow0003_scores.npy")),
        "shape": lambda path: np.save(path, sets.score(0, (24, 40))),
        "nan": with_value(np.nan),
        "infinite": with_value(np.inf),
        "constant": lambda path: np.save(path, np.ones(sets.SHAPE, np.float32)),
        "truncated": lambda path: os.truncate(path, 400),
        "integers": lambda path: np.save(path, np.ones(sets.SHAPE, np.uint8)),
    }
    made = {name: broken(top, anomaly_maps, name, change) for name, change in faults.items()}
    fishy = layouts.fishyscapes_laf(top / "fishy")
    labelled = (fishy / "fishyscapes" / "fishyscapes_lostandfound").iterdir()
    ids = [path.name[5:].removesuffix("_labels.png") for path in labelled]
    return {
        **made,
        "maps": anomaly_maps,
        "root": anomaly_root,
        "part": part_root,
        "run": run_folder,
        "photos": top / "photos",
        "file": top / "file",
        "laf": layouts.laf(top / "laf"),
        "fishy": fishy,
        "fishymaps": sets.write_scores(top / "fishymaps", ids),
        "lafmaps": sets.write_scores(top / "lafmaps", list(layouts.LAF_TEST)),
        "others": sets.write_scores(top / "others", ["gravel_boot_1", "gravel_boot_2"]),
    }


@pytest.mark.parametrize("case", CASES)
def test_refused_with_the_reason(case, places, export, tmp_path):
    words, expected = CASES[case]
    out = tmp_path / "out"
    code, _, err = export(*(word.format(out=out, **places) for word in words))
    assert code == 2, err
    assert expected in err
    assert "Traceback" not in err
    assert not list(out.rglob("*.hdf5"))
    assert not (out / "submission.json").exists()


def test_an_earlier_export_survives_what_is_refused(places, export, tmp_path):
    out = tmp_path / "out"
    filled = [word.format(out=out, **places) for word in ALL]
    assert export(*filled)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    laf = (*use(filled, for_="laf", root=str(places["laf"])), "--incomplete")
    for words, expected in (
        (use(filled, scores=str(places["extra"])), "belong to no frame"),
        (use(filled, scores=str(places["nan"]), method="mine"), "scores was"),
        (use(filled, method="another"), "method was 'mine' and is 'another'"),
        (use(laf, scores=str(places["lafmaps"])), "benchmark was 'smiyc-anomaly'"),
    ):
        code, _, err = export(*words)
        assert code == 2
        assert expected in err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_folder_without_permission(places, tmp_path):
    """As root, too: the command then runs without the right to write everywhere."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    words = [word.format(out=closed / "out", **places) for word in ALL]
    plain = [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override"]
    if plain and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and setpriv, which takes that away, is missing")
    command = [*plain, sys.executable, "-m", "roadanomaly", "export", "submission", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert not list(closed.iterdir())


def test_what_is_exported_must_be_known(capsys):
    assert main(["export", "submision"]) == 2
    assert "did you mean `submission`?" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["export"])
    assert stop.value.code == 2
    assert "submission" in capsys.readouterr().out


def test_too_little_room_is_said_before_any_work(places, export, tmp_path, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    words = [word.format(out=tmp_path / "out", **places) for word in ALL]
    code, _, err = export(*words)
    assert code == 2
    assert "Make room" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_full_disk_in_the_middle_loses_nothing(places, export, tmp_path, monkeypatch):
    out = tmp_path / "out"
    words = [word.format(out=out, **places) for word in ALL]
    write, calls = type(out).write_bytes, []

    def full(self, content):
        calls.append(self)
        if len(calls) > 30:
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(type(out), "write_bytes", full)
    code, _, err = export(*words)
    assert code == 2
    assert "No space left on device" in err
    assert 0 < len(list(out.rglob("*.hdf5"))) < 110
    assert not list(out.rglob("*.partial"))
    monkeypatch.setattr(type(out), "write_bytes", write)
    code, text, _ = export(*words)
    assert code == 0
    assert "going on where the last run stopped" in text
    assert len(list(out.rglob("*.hdf5"))) == 110


def test_a_dry_run_finds_the_same_faults_and_writes_nothing(places, export, tmp_path):
    out = tmp_path / "out"
    words = [word.format(out=out, **places) for word in ALL]
    code, text, _ = export(*words, "--dry-run")
    assert code == 0
    assert "110 frames of smiyc-anomaly `all` (10 with truth here, 100 hidden)" in text
    assert "smiyc-anomaly_mine.zip" in text
    code, _, err = export(*use(words, scores=str(places["nan"])), "--dry-run")
    assert code == 2
    assert "cow0003.npy" in err
    model = [word.format(out=out, **places) for word in MODEL]
    assert export(*model, "--dry-run")[0] == 0
    assert not out.exists()
