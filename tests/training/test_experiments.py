"""A tracker is told what the run folder's tables hold, also over a stop and a resume."""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from roadanomaly.errors import MissingExtra, OptionError, UserError
from roadanomaly.training.detector_task import DetectorTask
from roadanomaly.training.experiments import open_experiment
from roadanomaly.training.loop import Interrupted, Trainer
from tests.training.runs import config

CONFIG = {"lr": 0.1, "crop": [32, 48]}


@dataclass
class Kept:
    """A run of a stand-in."""

    params: dict
    rows: list
    pictures: list
    status: str = "RUNNING"


@pytest.fixture
def mlflow(monkeypatch):
    """Stand in for MLflow, with the calls that are made of it."""
    runs: dict[str, Kept] = {}

    class MlflowClient:
        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            assert name == "roadanomaly"
            return "7"

        def create_run(self, experiment_id, *, run_name):
            assert experiment_id == "7"
            runs[f"{run_name}-{len(runs)}"] = Kept({}, [], [])
            return SimpleNamespace(info=SimpleNamespace(run_id=list(runs)[-1]))

        def log_param(self, run_id, key, value):
            assert key not in runs[run_id].params
            runs[run_id].params[key] = value

        def log_batch(self, run_id, metrics):
            assert runs[run_id].status == "RUNNING"
            runs[run_id].rows += [(one.step, one.key, one.value) for one in metrics]

        def log_image(self, run_id, image, *, artifact_file):
            runs[run_id].pictures.append((artifact_file, image.shape))

        def update_run(self, run_id, *, status):
            runs[run_id].status = status

        def set_terminated(self, run_id, status):
            runs[run_id].status = status

    def metric(key, value, timestamp, step):
        return SimpleNamespace(key=key, value=value, timestamp=timestamp, step=step)

    module = ModuleType("mlflow")
    module.MlflowClient, module.entities = MlflowClient, SimpleNamespace(Metric=metric)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return runs


@pytest.fixture
def wandb(monkeypatch):
    """Stand in for Weights & Biases."""
    runs: dict[str, Kept] = {}

    class Run:
        def __init__(self, known):
            self.id = known or f"run{len(runs)}"
            self.kept = runs.setdefault(self.id, Kept({}, [], []))

        def define_metric(self, name, *, step_metric):
            assert (name, step_metric) == ("*", "step")

        def log(self, values):
            values = dict(values)
            step = values.pop("step")
            for key, value in values.items():
                kept = self.kept.pictures if isinstance(value, np.ndarray) else self.kept.rows
                kept.append((step, key, value))

        def finish(self, *, exit_code):
            self.kept.status = "FINISHED" if exit_code == 0 else "KILLED"

    def init(*, project, name, config, id, resume, dir):  # noqa: A002
        assert (project, resume) == ("roadanomaly", "allow")
        run = Run(id)
        run.kept.params.update({key: json.dumps(value) for key, value in config.items()})
        return run

    module = ModuleType("wandb")
    module.init, module.Image = init, np.asarray
    monkeypatch.setitem(sys.modules, "wandb", module)
    return runs


def table(path, part):
    """Return a run folder's table as the tracker has it: step and name to number."""
    with path.open(newline="") as file:
        return {
            (int(row["step"]), f"{part}/{key}"): float(value)
            for row in csv.DictReader(file)
            for key, value in row.items()
            if key != "step"
        }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_resumed_run_goes_on_in_the_same_run(name, request, tmp_path, monkeypatch):
    runs = request.getfixturevalue(name)
    chosen = config(tmp_path / "run", logger=name, average=0.0, validate_every=0)
    first = Trainer(chosen)
    update = first.update

    def stopped(step, batches):
        first.stop = step == 2
        return update(step, batches)

    monkeypatch.setattr(first, "update", stopped)
    with pytest.raises(Interrupted):
        first.run()
    assert [run.status for run in runs.values()] == ["KILLED"]
    Trainer(chosen, resume=True).run()
    (run,) = runs.values()
    assert run.status == "FINISHED"
    assert json.loads(run.params["steps"]) == 4
    assert run.pictures
    told = defaultdict(list)
    for step, key, value in run.rows:
        told[step, key].append(value)
    expected = table(tmp_path / "run/metrics.csv", "train")
    expected |= table(tmp_path / "run/validation.csv", "validation")
    assert told.keys() == expected.keys()
    for place, values in told.items():
        assert values == pytest.approx([expected[place]], nan_ok=True)
    Trainer(replace(chosen, out=str(tmp_path / "other"), logger="none")).run()
    assert len(runs) == 1
    assert not (tmp_path / "other/experiment.json").exists()


@pytest.mark.slow
def test_a_run_that_fails_after_its_last_step_is_not_finished(mlflow, tmp_path, monkeypatch):
    chosen = config(tmp_path / "run", logger="mlflow", steps=1, validate_every=0)
    with monkeypatch.context() as patch:
        patch.setattr(DetectorTask, "finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Trainer(chosen).run()
    assert [run.status for run in mlflow.values()] == ["KILLED"]
    Trainer(chosen, resume=True).run()
    assert [run.status for run in mlflow.values()] == ["FINISHED"]


def test_another_tracker_or_a_fresh_start_begins_another_run(mlflow, wandb, tmp_path):
    open_experiment("mlflow", tmp_path, CONFIG, 0)
    open_experiment("mlflow", tmp_path, CONFIG, 5)
    assert len(mlflow) == 1
    open_experiment("mlflow", tmp_path, CONFIG, 0)
    assert len(mlflow) == 2
    open_experiment("wandb", tmp_path, CONFIG, 5)
    assert len(wandb) == 1
    assert open_experiment("none", tmp_path, CONFIG, 5) is None


def test_a_tracker_that_fails_is_told_once_and_left(mlflow, tmp_path, caplog):
    experiment = open_experiment("mlflow", tmp_path, CONFIG, 0)
    experiment.scalars(1, "train", {"loss": 1.0})
    (run,) = mlflow.values()
    run.status = "gone"
    for step in (2, 3):
        experiment.scalars(step, "train", {"loss": 1.0})
    run.status = "RUNNING"
    experiment.close(finished=True)
    assert len(caplog.records) == 1
    assert "goes on without it" in caplog.text
    assert run.rows == [(1, "train/loss", 1.0)]


def test_a_tracker_that_cannot_be_opened_is_a_sentence(mlflow, tmp_path, monkeypatch):
    def refuse():
        msg = "no answer from http://tracker"
        raise ConnectionError(msg)

    monkeypatch.setattr("mlflow.MlflowClient", refuse, raising=False)
    with pytest.raises(UserError, match=r"cannot be opened .*no answer .*--logger none"):
        open_experiment("mlflow", tmp_path, CONFIG, 0)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra, match=r"roadanomaly\[wandb\]"):
        open_experiment("wandb", tmp_path, CONFIG, 0)
    with pytest.raises(OptionError, match="one of none, mlflow, wandb"):
        config(tmp_path, logger="neptune")


def test_mlflow_itself_keeps_numbers_and_pictures_in_a_local_store(tmp_path, monkeypatch):
    real = pytest.importorskip("mlflow", reason='pip install "roadanomaly[mlflow]"')
    store = (tmp_path / "store").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    real.set_tracking_uri(store)
    picture = np.random.default_rng(0).integers(0, 255, (8, 9, 3), dtype=np.uint8)
    for start in (0, 2):
        experiment = open_experiment("mlflow", tmp_path, CONFIG, start)
        for step in (start + 1, start + 2):
            experiment.scalars(step, "train", {"loss": 1 / step, "lr": 0.1})
        experiment.picture(start, "validation/frames", picture)
        experiment.close(finished=start == 2)
    client = real.MlflowClient(store)
    run = client.get_run(json.loads((tmp_path / "experiment.json").read_text())["run"])
    assert run.info.status == "FINISHED"
    assert {key: json.loads(value) for key, value in run.data.params.items()} == CONFIG
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert {one.step: one.value for one in history} == {step: 1 / step for step in range(1, 5)}
    names = [one.path for one in client.list_artifacts(run.info.run_id, "validation")]
    assert names == ["validation/frames_0000000.png", "validation/frames_0000002.png"]
