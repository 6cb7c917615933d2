"""The GPU benchmark, small and on the CPU, where packages that a bare machine lacks are missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    }
    assert {one["layout"] for one in measured} == {"channels_last", "contiguous"}
    assert {one["network"] for one in measured} == {"espnetv2", "deeplab_wrn38"}
    trained = [one for one in measured if one["part"] in ("training", "joint_flow")]
    assert all(one["ratio"] > 0 and one["images_a_second"] > 0 for one in trained)
    (evaluated,) = (one for one in measured if one["part"] == "evaluation")
    assert evaluated["frames_a_second"] > 0
    assert evaluated["ratio"] > 0
    judged = [one for one in measured if one["part"] == "inference" and one["detector"] != "none"]
    assert len(judged) > 10
    assert all(one["eager_ms"] > 0 and one["eager_ratio"] > 0 for one in judged)
