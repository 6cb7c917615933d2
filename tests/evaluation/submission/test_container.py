"""A container's recipe: what has to be installed for a model, and what it computes in."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import roadanomaly
from roadanomaly.evaluation.submission import in_container
from roadanomaly.evaluation.submission.container import PACKAGES, write_container
from roadanomaly.evaluation.submission.packages import distributions_of, imports_of
from tests import layouts

PLAIN = {"segmenter": {"name": "espnetv2"}, "detector": {"name": "energy"}, "refiners": []}
SMP = {"name": "sliding", "segmenter": {"name": "smp"}}
MEMBERS = [{"segmenter": {"name": "transformers"}, "detector": {"name": "msp"}}]


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({}, set()),
        ({"segmenter": SMP}, {"segmentation_models_pytorch", "timm"}),
        ({"segmenter": {"name": "onnx"}}, {"onnxruntime"}),
        ({"segmenter": {"name": "mmseg"}}, {"mmseg", "mmengine"}),
        ({"detector": {"name": "embedding_density"}}, {"zuko"}),
        ({"detector": {"name": "ensemble", "members": MEMBERS}}, {"transformers"}),
        ({"detector": {"name": "patchcore", "encoder": {"name": "timm"}}}, {"timm"}),
    ],
)
def test_packages_follow_the_names_in_use(changes, more):
    found = imports_of({**PLAIN, **changes})
    assert found - PACKAGES.keys() == more


def test_an_extra_brings_what_its_packages_do_not_name():
    described = {**PLAIN, "segmenter": {"name": "mmseg"}}
    more = set(distributions_of(described, PACKAGES)) - set(PACKAGES.values())
    assert more == {"ftfy", "mmcv-lite", "mmengine", "mmsegmentation", "regex"}


@pytest.mark.slow
def test_what_is_not_named_is_not_imported_and_what_is_named_is():
    """Python itself is asked, where the package cannot be imported."""
    script = """
import sys
sys.modules["zuko"] = None
from roadanomaly.detectors import DETECTORS
for name in ("energy", "embedding_density"):
    try:
        DETECTORS.get(name)
        print(name, "needs it not")
    except ModuleNotFoundError:
        print(name, "needs it")
"""
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split("\n")[:2] == ["energy needs it not", "embedding_density needs it"]


def test_the_run_script_computes_in_the_recipe_s_precision(tmp_path, run_folder):
    write_container(tmp_path / "recipe", run_folder, "mine", "bf16")
    run = (tmp_path / "recipe" / "fishyscapes.def").read_text().split("%runscript")[1]
    (tmp_path / "images").mkdir()
    layouts.write_photo(tmp_path / "images" / "0000_a_rgb.png", 0)
    words = ["--input", str(tmp_path / "images"), "--output", str(tmp_path / "out")]
    words += ["--model", str(run_folder), *run[run.index("--precision") :].split()[:2]]
    assert in_container.main(words) == 0
    found = np.load(tmp_path / "out" / "0000_anomaly.npy")
    model = roadanomaly.load(run_folder)
    exact = model(tmp_path / "images" / "0000_a_rgb.png").score
    model.precision = "bf16"
    np.testing.assert_array_equal(found, model(tmp_path / "images" / "0000_a_rgb.png").score)
    assert not np.array_equal(found, exact)
