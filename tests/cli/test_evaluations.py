"""What an evaluation's command says: no detector, no memory, how far it is, whose row is first."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager

import pytest
import torch

from roadanomaly.cli import main as main_module
from roadanomaly.cli import progress as progress_module
from roadanomaly.cli.progress import View, watch
from roadanomaly.evaluation.evaluate import evaluate, scored_before
from roadanomaly.evaluation.findings import load_findings
from roadanomaly.evaluation.spool import FrameSpool
from roadanomaly.evaluation.team import Team
from roadanomaly.report.comparison import pair_up, read_runs
from tests.evaluation.scenes import Drawn, Scenes, job

STREETS = ("--on", "streets", "--data.count", 2, "--data.height", 64, "--data.width", 96)


@pytest.mark.parametrize("asked", ["none", ","])
def test_a_network_without_a_detector_is_refused(asked, command, tmp_path):
    words = ("--segmenter.name", "espnetv2", "--segmenter.scale", 0.5, "--detectors", asked)
    code, out, err = command("evaluate", *words, *STREETS, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert f"--detectors {asked} puts no detector on the network espnetv2" in err
    assert "it suits: msp, max_logit, entropy, energy" in err
    assert "Traceback" not in err


OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 139.72 GiB."
)


def test_a_gpu_without_room_is_told_in_a_sentence(monkeypatch, capsys):
    def work(name, rest):
        raise torch.OutOfMemoryError(OUT_OF_MEMORY)

    monkeypatch.setattr(main_module, "_run", work)
    assert main_module.main(["evaluate"]) == 2
    err = capsys.readouterr().err
    assert "not enough memory (CUDA out of memory. Tried to allocate 20.00 MiB). Give" in err
    assert "--size HEIGHT WIDTH" in err
    assert "--precision bf16" in err


@pytest.mark.parametrize("loaded", [True, False])
def test_another_fault_keeps_its_traceback(loaded, monkeypatch):
    def work(name, rest):
        raise RuntimeError(OUT_OF_MEMORY)

    monkeypatch.setattr(main_module, "_run", work)
    if not loaded:
        modules = {key: one for key, one in main_module.sys.modules.items() if key != "torch"}
        monkeypatch.setattr(main_module.sys, "modules", modules)
    with pytest.raises(RuntimeError, match="out of memory"):
        main_module.main(["evaluate"])


@pytest.mark.parametrize(("size", "share"), [(1, 4), (3, 2)])
def test_after_a_stop_the_frames_that_are_left_are_counted(size, share, tmp_path, monkeypatch):
    stopped = Drawn(fails_at=(5, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        evaluate(job(stopped, Scenes(9)), folder=tmp_path)
    again = job(Drawn(), Scenes(9))
    counted, totals = [], []

    @contextmanager
    def counting(total, what, quiet):
        totals.append(total)
        yield lambda: counted.append(1)

    monkeypatch.setattr(progress_module, "counting", counting)
    before = len(scored_before(again, FrameSpool(tmp_path)))
    with watch(View(again, tmp_path), 0, Team(0, size), before) as seen:
        evaluate(again, folder=tmp_path, seen=seen)
    assert len(counted) == 4
    assert totals == [share]


@pytest.mark.slow
def test_the_run_s_own_detector_comes_first_everywhere(command, model_folder, tmp_path):
    out = tmp_path / "e"
    words = (*STREETS, "--detectors", "msp,entropy", "--pictures", 0, "--out", out)
    code, printed, _ = command("evaluate", model_folder, *words)
    assert code == 0
    order = ["energy", "msp", "entropy"]
    lines = printed.split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in lines if line.split()[0] in order] == order
    page = (out / "report.html").read_text()
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.S)[1])
    assert [one["name"] for one in data["sets"][0]["detectors"]] == order
    assert [one.detector for one in load_findings(out)] == order
    pairs = pair_up(read_runs([out]))
    assert [(a.found.detector, b.found.detector) for a, b in pairs] == [
        ("energy", "msp"),
        ("energy", "entropy"),
    ]
