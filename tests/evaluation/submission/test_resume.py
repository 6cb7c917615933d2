"""A killed export leaves whole files, goes on where it was, and ends as if nothing had been."""

import json
import os
import signal
from pathlib import Path

import pytest

from roadanomaly.cli.main import main
from roadanomaly.evaluation.submission import source
from tests.evaluation.submission import sets
from tests.processes import Begun

FRAMES = 14


def dying(at, words):
    """Kill this process when it has written the n-th file, but not yet given it its name."""
    rename, left = Path.replace, [at]

    def replace(self, target):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.replace = replace
    return main(words)


def tree(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def words(part_root, run_folder):
    return (run_folder, "--for", "smiyc-anomaly", "--root", part_root, "--incomplete")


@pytest.fixture
def counted(monkeypatch):
    """Count the frames that are scored."""
    scored = []

    def score_image(model, image, frame_id):
        scored.append(frame_id)
        return original(model, image, frame_id)

    original = source.score_image
    monkeypatch.setattr(source, "score_image", score_image)
    return scored


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at", "kept", "written"),
    [(7, 5, 0), (1 + FRAMES + 4, FRAMES, 3), (2 * FRAMES + 2, FRAMES, FRAMES)],
    ids=["scoring", "writing", "packing"],
)
def test_killed_and_continued_equals_uninterrupted(
    at, kept, written, words, export, counted, tmp_path
):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert export(*words, "--out", whole)[0] == 0
    counted.clear()
    given = ["export", "submission", *map(str, words), "--out", str(out)]
    died = Begun(dying, at, given)
    died.communicate()
    assert died.returncode == -signal.SIGKILL
    assert len(list((out / ".export").glob("*/[!.]*.npy"))) == kept
    finished = [path for path in out.rglob("*.hdf5") if not path.name.startswith(".")]
    assert len(finished) == written
    for path in finished:
        assert path.read_bytes() == (whole / path.relative_to(out)).read_bytes()
    code, text, _ = export(*words, "--out", out)
    assert code == 0
    assert "going on where the last run stopped" in text
    assert len(counted) == FRAMES - kept
    assert tree(out) == tree(whole)


@pytest.mark.slow
def test_an_interrupt_is_continued_and_a_whole_export_is_left_alone(
    words, export, counted, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    original = source.write_array

    def interrupted(path, array):
        if len(counted) == 9:
            raise KeyboardInterrupt
        original(path, array)

    monkeypatch.setattr(source, "write_array", interrupted)
    assert export(*words, "--out", out)[0] == 130
    monkeypatch.setattr(source, "write_array", original)
    counted.clear()
    assert export(*words, "--out", out)[0] == 0
    assert len(counted) == FRAMES - 8
    before = tree(out)
    counted.clear()
    code, text, _ = export(*words, "--out", out)
    assert code == 0
    assert "it was whole already" in text
    assert counted == []
    assert tree(out) == before


@pytest.mark.slow
def test_another_model_or_changed_data_is_refused_until_restart(
    words, export, tmp_path, run_folder, part_root
):
    import roadanomaly as ra

    out = tmp_path / "out"
    assert export(*words, "--out", out)[0] == 0
    before = tree(out)
    other = tmp_path / "my-method"
    ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("msp")).save(other / "model")
    code, _, err = export(other, *words[1:], "--out", out)
    assert code == 2
    assert "AnomalyTrack-all scores was" in err
    assert "--restart" in err
    image = part_root / "dataset_AnomalyTrack" / "images" / "cow0000.jpg"
    status = image.stat()
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    code, _, err = export(*words, "--out", out)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert code == 2
    assert "images was" in err
    assert tree(out) == before
    assert export(other, *words[1:], "--out", out, "--restart")[0] == 0
    assert tree(out).keys() == before.keys()
    assert tree(out) != before


@pytest.mark.slow
def test_restart_removes_nothing_but_the_export(words, export, tmp_path):
    out = tmp_path / "out"
    assert export(*words, "--out", out)[0] == 0
    (out / "notes.txt").write_text("mine")
    assert export(*words, "--method", "other", "--out", out, "--restart")[0] == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert {path.name for path in (out / "anomaly_p").iterdir()} == {"other"}


@pytest.mark.slow
def test_changed_files_are_found(words, export, tmp_path):
    out = tmp_path / "out"
    assert export(*words, "--out", out)[0] == 0
    archive = out / "smiyc-anomaly_my-method.zip"
    archive.write_bytes(archive.read_bytes()[:-1])
    code, _, err = export(*words, "--out", out)
    assert code == 2
    assert "was changed since" in err


@pytest.mark.slow
def test_stored_maps_that_changed_are_refused(export, anomaly_root, tmp_path):
    maps = sets.write_scores(tmp_path / "maps", sets.ANOMALY_IDS)
    words = ("--scores", maps, "--for", "smiyc-anomaly", "--root", anomaly_root)
    assert export(*words, "--out", tmp_path / "out")[0] == 0
    status = (maps / "cow0000.npy").stat()
    os.utime(maps / "cow0000.npy", ns=(0, status.st_mtime_ns + 1))
    code, _, err = export(*words, "--out", tmp_path / "out")
    assert code == 2
    assert "scores was" in err


@pytest.mark.slow
def test_classes_that_cityscapes_lacks_do_not_hinder_scores(export, part_root, tmp_path):
    import roadanomaly as ra

    run = tmp_path / "streets"
    segmenter = ra.segmenter("espnetv2", scale=0.5, classes=["road", "duck"])
    ra.Model(segmenter, ra.detector("energy")).save(run / "model")
    words = (run, "--root", part_root, "--incomplete", "--out", tmp_path / "out")
    code, _, err = export(*words, "--for", "smiyc-anomaly")
    assert code == 0, err


@pytest.mark.slow
@pytest.mark.parametrize("recorded", [True, False], ids=["with hashes", "as before"])
def test_files_that_were_changed_since_are_named_and_put_back(words, export, tmp_path, recorded):
    out = tmp_path / "out"
    assert export(*words, "--out", out)[0] == 0
    if not recorded:
        card = json.loads((out / "submission.json").read_text())
        card.pop("files")
        (out / "submission.json").write_text(json.dumps(card, indent=1) + "\n")
    before = tree(out)
    first, second, third = sorted((out / "anomaly_p").rglob("*.hdf5"))[:3]
    first.write_bytes(first.read_bytes()[:-50])
    second.unlink()
    content = bytearray(third.read_bytes())
    content[len(content) // 2] ^= 1
    third.write_bytes(content)
    code, text, _ = export(*words, "--out", out)
    assert code == 0
    assert "3 files were gone or changed since they were written, and were written again" in text
    assert first.name in text
    assert "whole already" not in text
    assert tree(out) == before
    assert "it was whole already" in export(*words, "--out", out)[1]


@pytest.mark.slow
def test_two_exports_into_one_folder_are_kept_apart(words, export, tmp_path):
    from tests.keeping.test_locks import HOLD, start

    holder = start(HOLD, tmp_path / "out")
    assert holder.stdout.readline() == "held\n"
    code, _, err = export(*words, "--out", tmp_path / "out")
    holder.kill()
    holder.communicate()
    assert code == 2
    assert f"is in use: process {holder.pid} on" in err
    assert export(*words, "--out", tmp_path / "out")[0] == 0
    assert not (tmp_path / "out" / ".lock").exists()
