"""Output on a disk that is mounted read-only: one sentence, exit code 2, nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.layouts import smiyc_anomaly
from tests.video.clips import write_clip

MOUNTED = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
RUN = """
import contextlib, io, json, sys, torch
from roadanomaly.cli.main import main
torch.set_num_threads(1)
told = {}
for name, words in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stderr(io.StringIO()) as err:
        told[name] = main(words), err.getvalue()
print(json.dumps(told))
"""


def mounted(place, *words):
    """Run words in a name space of their own, where `place` cannot be written."""
    command = ["unshare", "-m", "bash", "-c", MOUNTED, "-", str(place), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def able(place):
    try:
        return mounted(place, "true").returncode == 0
    except OSError:
        return False


def commands(place, model, photos, clip, root):
    """Return what writes, by name."""
    streets = ["--data.split", "val", "--data.count", "2", "--data.height", "64"]
    out = ["--out", str(place / "new")]
    on = ["--root", str(root), "--incomplete"]
    return {
        "evaluate": ["evaluate", model, "--on", "streets", *streets, "--data.width", "96", *out],
        "predict": ["predict", model, photos, *out],
        "video": ["video", model, clip, "--out", str(place / "overlay.mp4")],
        "video --events": ["video", model, clip, "--events", str(place / "events.jsonl")],
        "mine": ["mine", model, clip, *out],
        "export model": ["export", "model", model, "--to", "torchscript", "--size", "64x96", *out],
        "export submission": ["export", "submission", model, "--for", "smiyc-anomaly", *on, *out],
        "fit": ["fit", "--run", model, "--data.name", "streets", *streets, *out],
        "pack": ["pack", model, "--limit", "1", *streets[2:], "--data.width", "96", *out],
        "label": ["label", photos, "--segmenter.name", "espnetv2", *out],
        "train": ["train", "configs/streets_segmenter.yaml", "--steps", "1", *out],
        "flow train": ["flow", "train", str(place.parent / "flow.yaml"), *out],
    }


@pytest.mark.slow
def test_each_command_says_so_in_one_sentence(model_folder, photos, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    (place / "kept.txt").write_text("mine")
    if not able(place):
        pytest.skip("nothing can be mounted here")
    clip = write_clip(tmp_path / "clip.mp4", 4)
    root = smiyc_anomaly(tmp_path / "root")
    world = "{name: streets, count: 2, height: 48, width: 64}"
    flow = f"flow: {{name: glow}}\ntrain_data: {world}\nval_data: {world}\nsteps: 1\n"
    (tmp_path / "flow.yaml").write_text(flow)
    given = commands(place, str(model_folder), str(photos), str(clip), root)
    done = mounted(place, sys.executable, "-c", RUN, json.dumps(given))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(told) == set(given)
    for name, (code, err) in told.items():
        assert code == 2, (name, err)
        last = err.strip().splitlines()[-1]
        assert "ead-only" in last, (name, err)
        assert "Traceback" not in err, (name, err)
    assert [path.name for path in Path(place).iterdir()] == ["kept.txt"]
