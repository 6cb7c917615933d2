"""`roadanomaly train` from its command line: mistakes end in one line and the exit code 2."""

from __future__ import annotations

import json
import re

import pytest
import yaml

import roadanomaly
from roadanomaly.cli.main import main
from roadanomaly.cli.train import read_config
from tests.training import runs


@pytest.fixture
def config(tmp_path):
    """Return a function that writes the smallest config with some keys changed or added."""

    def write(**changes):
        values = {**runs.SMALLEST, "steps": 2, "out": str(tmp_path / "run"), **changes}
        values = {key: value for key, value in values.items() if value is not ...}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False))
        return path

    return write


def refused(capsys, *words) -> str:
    """Run a command that must be refused; return its one message."""
    assert main(["train", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("roadanomaly train: ")
    assert "Traceback" not in err + out
    assert len(err) < 1500
    return err


@pytest.mark.slow
def test_a_run_from_a_file_with_overrides(config, tmp_path):
    path = config()
    out = tmp_path / "elsewhere"
    assert (
        main(["train", str(path), "--out", str(out), "--detector.beta", "0.2", "--seed", "3"]) == 0
    )
    saved = yaml.safe_load((out / "config.yaml").read_text())
    assert saved["seed"] == 3
    assert saved["detector"] == {"name": "densehybrid", "beta": 0.2}
    assert roadanomaly.load(out).detector.beta == 0.2
    assert main(["train", str(out / "config.yaml"), "--resume"]) == 0


@pytest.mark.parametrize("key", ["steps", "crop", "scale", "lr", "out", "refiners", "precision"])
def test_a_key_without_a_value_is_named(config, capsys, key):
    assert f"config: `{key}` has no value" in refused(capsys, config(**{key: None}))


def test_keys_that_may_be_nothing_may_have_no_value(config):
    blank = {"start": None, "val_size": None, "teacher": None, "val_negatives": None}
    first, _ = read_config([str(config(**blank))])
    assert first == read_config([str(config(val_negatives=None))])[0]


def test_the_file_may_be_named_by_an_option_too(config):
    first, resume = read_config([str(config())])
    assert first == read_config(["--config", str(config())])[0]
    assert first.crop == (32, 48)
    assert not resume
    assert read_config([str(config()), "--resume", "--device", "cpu"])[1]


def test_a_saved_config_is_the_config(config, tmp_path):
    given, _ = read_config([str(config()), "--seed", "5"])
    (tmp_path / "again.yaml").write_text(
        yaml.safe_dump(json.loads(json.dumps(given.__dict__)), sort_keys=False)
    )
    assert read_config([str(tmp_path / "again.yaml")])[0] == given


@pytest.mark.parametrize(
    ("key", "nearest"), [("stepps", "steps"), ("batchsize", "batch_size"), ("detecter", "detector")]
)
def test_a_misspelt_key_names_the_nearest_and_its_line(capsys, config, key, nearest):
    path = config(**{key: 3})
    err = refused(capsys, path)
    line = 1 + [text.startswith(key) for text in path.read_text().splitlines()].index(True)
    assert f"`{key}` is not a key of a config; did you mean `{nearest}`?" in err
    assert f"[{path}:{line}]" in err


def test_a_word_that_is_none_of_those_allowed_lists_them(capsys, config):
    told = refused(capsys, config(), "--teach", "some", "--distill", "0.5")
    assert told.endswith("`--teach` is some; it takes all, unlabelled. See --help.\n")


def test_a_misspelt_option_names_the_nearest(capsys, config):
    assert "`--stepps` is not an option; did you mean `--steps`?" in refused(
        capsys, config(), "--stepps", "3"
    )


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"detector": {"name": "densehybrid", "betta": 1}}, "`betta` is not an option .*`beta`"),
        ({"detector": {"name": "densehybird"}}, "did you mean `densehybrid`"),
        ({"detector": {"beta": 1}}, "a detector needs a `name:`"),
        ({"segmenter": {"name": "espnetv3"}}, "did you mean `espnetv2`"),
        ({"segmenter": {"name": "espnetv2", "scale": 3.0}}, "`scale` of ESPNetv2 is 3.0; allowed"),
        ({"train_data": {"name": "street"}}, "did you mean `streets`"),
        ({"train_data": {"name": "streets", "split": "trian"}}, "did you mean `train`"),
        ({"train_data": {"name": "camvid", "root": "nowhere"}}, "camvid.*nowhere"),
        ({"negatives": {"name": "shape"}}, "did you mean `shapes`"),
        ({"negatives": {"name": "shapes", "side": [9, 3]}}, "`side` is"),
        ({"segmenter": {"name": "espnetv2", "weights": "gone.pth"}}, "gone.pth"),
        ({"segmenter": ...}, "`segmenter`, a network, or `start`"),
        ({"start": "gone", "segmenter": ...}, "no model at gone"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_mistakes_in_a_part(capsys, config, part, words):
    assert re.search(words, refused(capsys, config(**part)), re.DOTALL)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"steps": "many"}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"lr": "fast"}, "lr"),
        ({"crop": [32]}, "crop"),
        ({"schedule": "cosin"}, "schedule"),
        ({"precision": "fp16"}, "precision"),
        ({"supervise": "pixels"}, "supervise"),
        ({"detector": "densehybrid"}, "detector"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
    ],
    ids=lambda value: str(value),
)
def test_a_value_of_the_wrong_type_names_its_key(capsys, config, changes, key):
    err = refused(capsys, config(**changes))
    assert key in err


def test_an_option_of_a_part_of_the_wrong_type_names_it(capsys, config):
    err = refused(capsys, config(detector={"name": "densehybrid", "beta": "much"}))
    assert "beta" in err


def test_a_missing_key_is_named(capsys, config):
    assert "train_data" in refused(capsys, config(train_data=...))


def test_no_config_a_missing_one_and_a_broken_one(capsys, tmp_path):
    assert "give a config file" in refused(capsys)
    assert re.search(r"gone\.yaml cannot be read", refused(capsys, tmp_path / "gone.yaml"))
    assert "cannot be read" in refused(capsys, tmp_path)
    for text in ("steps: [1,", "\x00", "- steps"):
        (tmp_path / "broken.yaml").write_text(text)
        err = refused(capsys, tmp_path / "broken.yaml")
        assert "broken.yaml" in err


def test_an_unknown_command_names_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "did you mean `train`" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(capsys, config, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in refused(capsys, config(), "--out", tmp_path / "file" / "run")


def test_a_run_that_exists_and_one_that_does_not(capsys, config, tmp_path):
    path = config()
    assert "nothing to resume" in refused(capsys, path, "--resume")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.pt").write_bytes(b"broken")
    assert "already holds a run; continue it with --resume" in refused(capsys, path)
    assert "is broken" in refused(capsys, path, "--resume")


def test_a_device_that_is_not_here(capsys, config):
    assert "accelerator" in refused(capsys, config(), "--device", "gpux")


def test_help_shows_every_key_and_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "roadanomaly train configs/" in out
    for key in runs.SMALLEST:
        assert f"--{key}" in out


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on(capsys, config, monkeypatch):
    from roadanomaly.training.loop import Trainer

    update = Trainer.update

    def stop(self, step, batches):
        self.stop = True
        return update(self, step, batches)

    monkeypatch.setattr(Trainer, "update", stop)
    assert main(["train", str(config())]) == 130
    assert "stopped after step 1; continue with --resume" in capsys.readouterr().err
