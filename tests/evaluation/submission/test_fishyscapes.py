"""Fishyscapes: the pairs, the claims, and a recipe whose run script writes the same pairs."""

import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_curve

import roadanomaly as ra
from roadanomaly.data.fishyscapes import FishyscapesLostAndFound
from tests import layouts
from tests.evaluation.submission import sets

IDS = (*layouts.LAF_TEST[:2], layouts.LAF_TRAIN[1])


@pytest.fixture
def words(tmp_path, run_folder):
    root = layouts.fishyscapes_static(layouts.fishyscapes_laf(tmp_path / "data"))
    for seed, path in enumerate(sorted(root.rglob("*_leftImg8bit.png"))):
        layouts.write_photo(path, seed)
    return (run_folder, "--for", "fishyscapes", "--root", root, "--incomplete")


@pytest.mark.slow
def test_pairs_claims_and_recipe(words, export, tmp_path, run_folder):
    out = tmp_path / "out"
    code, text, _ = export(*words, "--out", out)
    assert code == 0
    assert "github.com/hermannsblum/fishyscapes" in text
    pairs = out / "pairs" / "fishyscapes-laf"
    ends = ("anomaly", "segmentation")
    assert {path.name for path in pairs.iterdir()} == {f"{i}_{e}.npy" for i in IDS for e in ends}
    assert len(list((out / "pairs" / "fishyscapes-static").iterdir())) == 4
    model, frames = ra.load(run_folder), FishyscapesLostAndFound(root=words[4])
    truths, scores = [], []
    for frame in frames:
        anomaly = np.load(pairs / f"{frame.id}_anomaly.npy")
        classes = np.load(pairs / f"{frame.id}_segmentation.npy")
        expected = model(frame.image)
        np.testing.assert_array_equal(anomaly, expected.score)
        np.testing.assert_array_equal(classes, expected.classes)
        assert anomaly.dtype == np.float32
        assert classes.dtype.kind == "u"
        assert classes.max() < 20
        truth = frame.truth.numpy()
        truths.append(truth[truth < 255])
        scores.append(anomaly[truth < 255])
    claims = json.loads((out / "validation_performance.json").read_text())
    truth, score = np.concatenate(truths), np.concatenate(scores)
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    assert claims["ap"] == pytest.approx(average_precision_score(truth, score), abs=1e-12)
    assert claims["fpr"] == pytest.approx(fpr[np.searchsorted(tpr, 0.95)], abs=1e-12)
    with zipfile.ZipFile(out / "fishyscapes_my-method.zip") as archive:
        names = set(archive.namelist())
        script = archive.getinfo("container/build.sh")
    assert {
        "validation_performance.json", "container/fishyscapes.def", "container/run.py",
        "container/model/weights.safetensors", "container/roadanomaly/model.py",
    } <= names  # fmt: skip
    assert not any(name.startswith("pairs/") for name in names)
    assert script.external_attr >> 16 & 0o111


def definition(path):
    """Split an Apptainer definition into its header and sections."""
    sections, name = {"": []}, ""
    for line in path.read_text().splitlines():
        if line.startswith("%"):
            name = line[1:].strip()
            sections[name] = []
        elif line.strip():
            sections[name].append(line.strip())
    return sections


@pytest.mark.slow
def test_the_definition_names_files_that_are_there(words, export, tmp_path):
    assert export(*words, "--out", tmp_path / "out")[0] == 0
    container = tmp_path / "out" / "container"
    sections = definition(container / "fishyscapes.def")
    assert sections[""][0] == "Bootstrap: docker"
    assert set(sections) == {"", "labels", "files", "post", "environment", "runscript"}
    for line in sections["files"]:
        source, target = line.split()
        assert (container / source).exists()
        assert target.startswith("/opt/submission/")
    assert "--input /input --output /output" in sections["runscript"][-1]
    pinned = [line for line in (container / "requirements.txt").read_text().split() if "==" in line]
    assert any(line.startswith("torch==") and "+" not in line for line in pinned)
    for script in ("build.sh", "try.sh"):
        subprocess.run(["sh", "-n", container / script], check=True)


@pytest.mark.slow
def test_the_run_script_writes_the_pairs_as_the_server_names_them(words, export, tmp_path):
    out = tmp_path / "out"
    assert export(*words, "--out", out)[0] == 0
    source = FishyscapesLostAndFound(root=words[4])
    (tmp_path / "input").mkdir()
    for number, frame_id in enumerate(source.ids):
        name = f"{number:04d}_{frame_id}_rgb.png"
        shutil.copy(source.files[frame_id].image, tmp_path / "input" / name)
    container = out / "container"
    subprocess.run(
        [sys.executable, container / "run.py", "--input", tmp_path / "input", "--output",
         tmp_path / "output"],
        env={"PYTHONPATH": str(container), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        check=True,
    )  # fmt: skip
    assert len(list((tmp_path / "output").iterdir())) == 2 * len(source)
    for number, frame_id in enumerate(source.ids):
        for end in ("anomaly", "segmentation"):
            np.testing.assert_array_equal(
                np.load(tmp_path / "output" / f"{number:04d}_{end}.npy"),
                np.load(out / "pairs" / "fishyscapes-laf" / f"{frame_id}_{end}.npy"),
            )


def test_stored_pairs_need_no_model(words, export, tmp_path):
    maps = sets.write_scores(tmp_path / "maps", [f"{i}_anomaly" for i in IDS])
    for frame_id in IDS:
        np.save(maps / f"{frame_id}_segmentation.npy", np.full(sets.SHAPE, 13, np.uint8))
    given = ("--scores", maps, *words[1:], "--track", "fishyscapes-laf")
    code, _, err = export(*given, "--out", tmp_path / "out")
    assert code == 0, err
    assert not (tmp_path / "out" / "container").exists()
    with zipfile.ZipFile(tmp_path / "out" / "fishyscapes_maps.zip") as archive:
        assert f"pairs/fishyscapes-laf/{IDS[0]}_anomaly.npy" in archive.namelist()


def test_static_is_left_out_where_its_data_is_absent(export, tmp_path, run_folder):
    root = layouts.fishyscapes_laf(tmp_path / "data")
    words = (run_folder, "--for", "fishyscapes", "--root", root, "--incomplete")
    code, text, _ = export(*words, "--out", tmp_path / "out")
    assert code == 0
    assert "without fishyscapes-static" in text
    assert [path.name for path in (tmp_path / "out" / "pairs").iterdir()] == ["fishyscapes-laf"]
