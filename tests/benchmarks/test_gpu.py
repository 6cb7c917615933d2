"""The GPU benchmark, small and on the CPU, where packages that a bare machine lacks are missing."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

ABSENT = (
    "av",
    "cv2",
    "lightning",
    "lightning_fabric",
    "mmseg",
    "onnxruntime",
    "openvino",
    "segmentation_models_pytorch",
    "timm",
)
"""None in `sys.modules` makes the import of a package fail."""

START = (
    "import runpy, sys; "
    f"sys.modules.update(dict.fromkeys({ABSENT!r})); "
    "sys.path[:0] = ['.', 'benchmarks']; "
    "sys.argv[1:] = ['--small', '--device', 'cpu', '--out', sys.argv[1]]; "
    "runpy.run_path('benchmarks/gpu.py', run_name='__main__')"
)


@pytest.mark.parametrize(
    ("network", "recipe"),
    [("dinov2_b", "uem_dinov2_b"), ("mask2former_swin_b", "rba_coco_mask2former_swin_b")],
)
def test_at_full_size_published_parts_are_as_large_as_their_recipes(network, recipe, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    measured = importlib.import_module("gpu_timing").FULL_PUBLISHED[network]
    keys = yaml.safe_load((ROOT / "configs" / "published" / f"{recipe}.yaml").read_text())
    assert {"name": measured.detector, **measured.options} == keys["detector"]
    assert list(measured.crop) == keys["crop"]
    assert list(measured.frame) == keys["val_size"]
    assert measured.batch == keys["batch_size"]


@pytest.mark.slow
def test_every_part_is_measured_without_opencv_and_lightning(tmp_path):
    out = tmp_path / "gpu.jsonl"
    subprocess.run(
        [sys.executable, "-c", START, str(out)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one for one in lines if "failed" in one or "left_out" in one] == []
    first, *measured = lines
    assert first["part"] == "machine"
    assert {one["part"] for one in measured} == {
        "training",
        "inference",
        "joint_flow",
        "evaluation",
        "published",
    }
    assert {one["layout"] for one in measured} == {"channels_last", "contiguous"}
    networks = {"espnetv2", "deeplab_wrn38", "dinov2_b", "mask2former_swin_b"}
    assert {one["network"] for one in measured} == networks
    trained = [one for one in measured if one["part"] in ("training", "joint_flow")]
    assert all(one["ratio"] > 0 and one["images_a_second"] > 0 for one in trained)
    (evaluated,) = (one for one in measured if one["part"] == "evaluation")
    assert evaluated["frames_a_second"] > 0
    assert evaluated["ratio"] > 0
    as_published = [one for one in measured if one["part"] == "published"]
    assert [(one["detector"], one["of"]) for one in as_published] == [
        ("uem", "training"),
        ("uem", "inference"),
        ("rba", "training"),
        ("rba", "inference"),
    ]
    assert all(one["images_a_second"] > 0 for one in as_published if one["of"] == "training")
    assert all(one["eager_frames_a_second"] > 0 for one in as_published[1::2])
    judged = [one for one in measured if one["part"] == "inference" and one["detector"] != "none"]
    assert len(judged) > 10
    assert all(one["eager_ms"] > 0 and one["eager_ratio"] > 0 for one in judged)
