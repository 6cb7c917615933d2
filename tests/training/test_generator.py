"""Training a generator: who gets which gradient, runs that go on unchanged, mistakes."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest
import torch
import yaml

from roadanomaly.cli.main import main
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.errors import DataError
from roadanomaly.generators.store import load_generator
from roadanomaly.training.checkpoint import load_checkpoint
from roadanomaly.training.generator_config import GeneratorConfig
from roadanomaly.training.generator_task import GeneratorTask
from roadanomaly.training.generator_validation import ResynthesisValidator
from roadanomaly.training.run_folder import RunFolder
from roadanomaly.types import Batch
from tests.training import runs
from tests.training.test_loop import at_step, fail

ESPNET = {"name": "espnetv2", "scale": 0.5}
SMALLEST = {
    "generator": {"name": "spade", "width": 4, "ups": 3, "hidden": 8, "middle": 0},
    "encoder": {"name": "segmenter", "segmenter": ESPNET, "features": ["decoder8"]},
    "judge": ESPNET,
    "train_data": {**runs.STREETS, "count": 3},
    "val_data": {**runs.STREETS, "split": "val", "count": 2},
    "crop": [32, 48],
    "discriminator_width": 4,
    "discriminator_layers": 2,
    "r1": 0.1,
    "r1_interval": 3,
    "pixel": 1.0,
    "steps": 4,
    "batch_size": 2,
    "average": 0.9,
    "validate_every": 2,
    "checkpoint_every": 2,
    "log_every": 1,
    "workers": 0,
    "accelerator": "cpu",
    "devices": 1,
}
ADVERSE = {"discriminators", "r1"}


def task(tmp_path, **changes):
    values = {**SMALLEST, **changes}
    return GeneratorTask(GeneratorConfig(**values), RunFolder(tmp_path / "run"))


@pytest.fixture
def batch():
    image, label = torch.rand(2, 3, 32, 48), torch.randint(0, 19, (2, 32, 48), dtype=torch.uint8)
    label[0, :4] = 255
    return Batch(image, label, ("a", "b"))


@pytest.fixture
def command(capsys, tmp_path):
    def call(*words, **changes):
        path = tmp_path / "generator.yaml"
        path.write_text(yaml.safe_dump({**SMALLEST, "out": str(tmp_path / "run"), **changes}))
        given = ["train", "generator", path, *words]
        code = main([str(word) for word in given])
        return code, capsys.readouterr().err

    return call


def gradients(module):
    return [p.grad for p in module.parameters() if p.grad is not None]


@pytest.mark.slow
@pytest.mark.parametrize("spectral", [True, False])
@pytest.mark.parametrize("adversarial", ["hinge", "lsgan"])
def test_neither_side_moves_the_other(tmp_path, batch, spectral, adversarial):
    made = task(tmp_path, spectral=spectral, adversarial=adversarial)
    module = made.module.train()
    terms = module(batch)
    assert set(terms) == ADVERSE | {"adversarial", "feature_matching", "perceptual", "pixel"}
    sum(terms[key] for key in ADVERSE).backward(retain_graph=True)
    assert not gradients(module.generator)
    assert len(gradients(module.discriminators)) == len(list(module.discriminators.parameters()))
    module.zero_grad(set_to_none=True)
    sum(terms[key] for key in set(terms) - ADVERSE).backward()
    assert not gradients(module.discriminators)
    assert len(gradients(module.generator)) == len(list(module.generator.parameters()))
    assert not gradients(module.encoder)


def test_one_backward_is_what_two_would_be(tmp_path, batch):
    """The sum's gradient is each side's own gradient, as a step of either alone would take it."""
    module = task(tmp_path, spectral=False, r1=0.0).module.train()
    sum(module(batch).values()).backward()
    together = [p.grad.clone() for p in module.parameters() if p.grad is not None]
    module.zero_grad(set_to_none=True)
    terms = module(batch)
    terms["discriminators"].backward(retain_graph=True)
    sum(terms[key] for key in terms if key not in ADVERSE).backward()
    apart = [p.grad for p in module.parameters() if p.grad is not None]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_penalty_comes_every_so_many_passes(tmp_path, batch):
    module = task(tmp_path, r1=2.0, r1_interval=3).module.train()
    found = [module(batch)["r1"].item() for _ in range(7)]
    assert [value > 0 for value in found] == [True, False, False] * 2 + [True]


def test_terms_that_weigh_nothing_are_left_out(tmp_path, batch):
    terms = task(tmp_path, encoder=None, pixel=0.0, r1=0.0).module.train()(batch)
    assert set(terms) == {"discriminators", "adversarial", "feature_matching"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["encoder", "reader"])
def test_what_is_frozen_stays_as_it_is(tmp_path, batch, name):
    module = task(tmp_path, reader=ESPNET).module.train()
    frozen = getattr(module, name)
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    sum(module(batch).values()).backward()
    assert not frozen.training
    assert not gradients(frozen)
    after = frozen.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_without_discriminators_the_generator_learns_alone(tmp_path, batch):
    made = task(tmp_path, adversarial_weight=0.0, feature_matching=0.0, reader=ESPNET)
    terms = made.module.train()(batch)
    assert set(terms) == {"perceptual", "labels", "pixel"}
    sum(terms.values()).backward()
    assert len(gradients(made.generator)) == len(list(made.generator.parameters()))
    assert made.discriminators is None
    assert [plan.name for plan in made.plans()] == ["generator"]


@pytest.mark.slow
def test_the_label_term_makes_the_reader_read(tmp_path, batch):
    """Its gradient alone lowers the cross-entropy of a reader that it does not change."""
    module = task(tmp_path, reader=ESPNET, labels=2.0).module.train()
    optimiser = torch.optim.Adam(module.generator.parameters(), 2e-3)
    found = []
    for _ in range(8):
        term = module(batch)["labels"]
        optimiser.zero_grad()
        term.backward()
        optimiser.step()
        found.append(term.item())
    assert found[-1] < found[0]


def test_the_judge_compares_with_the_labels_that_went_in(tmp_path):
    """An answer key for a judge: what it reads is the label, so a perfect copy reaches 1."""
    made = task(tmp_path)
    frames = made.held_out

    class Copy(torch.nn.Module):
        device = torch.device("cpu")

        def __init__(self):
            super().__init__()
            self.number = -1

        def forward(self, labels):
            self.number += 1
            image = made.validator.frame(self.number).image[None].float() / 255
            assert image.shape[-2:] == labels.shape[-2:]
            return image

    found = ResynthesisValidator(frames, made.judge, (32, 48), (64, 96)).run(Copy())
    assert found.values["l1"] == 0
    assert found.values["miou"] == found.values["miou_real"]
    copies = [found.sheet[-32:, left : left + 48] for left in (52, 104)]
    assert np.array_equal(*copies)
    noise = ResynthesisValidator(frames, made.judge, (32, 48)).run(made.generator.eval())
    assert noise.values["l1"] > 0.05


@pytest.mark.slow
def test_train(command, tmp_path, monkeypatch):
    runs.judge_by(monkeypatch, float)
    code, err = command()
    assert code == 0
    assert "mIoU" in err
    folder = tmp_path / "run"
    rows = list(csv.DictReader((folder / "validation.csv").open()))
    assert [row["step"] for row in rows] == ["0", "2", "4"]
    assert {"miou", "miou_real", "l1"} < set(rows[0])
    metrics = list(csv.DictReader((folder / "metrics.csv").open()))
    assert {"discriminators", "adversarial", "lr", "lr_discriminators"} < set(metrics[0])
    record = json.loads((folder / "record.json").read_text())
    assert record["encoder"]["name"] == "segmenter"
    assert len(record["encoder"]["hash"]) == len(record["judge"]["hash"]) == 16
    sheet = cv2.imread(str(folder / "resyntheses" / "step_000004.png"))
    assert sheet.shape[0] > 2 * 32
    generator = load_generator(folder)
    assert generator.names == CITYSCAPES
    last = load_checkpoint(folder / "checkpoints" / "last.pt")
    state = generator.state_dict()
    assert all(torch.equal(state[k], v) for k, v in last["average"]["state"].items())
    assert generator.synthesise(torch.zeros(1, 40, 60, dtype=torch.uint8)).shape == (1, 3, 40, 64)


def final(folder):
    last = load_checkpoint(folder / "checkpoints" / "last.pt")
    found = {**last["networks"], **{f"d/{k}": v for k, v in last["task"]["discriminators"].items()}}
    return found | {f"average/{key}": value for key, value in last["average"]["state"].items()}


@pytest.mark.slow
def test_a_run_that_died_goes_on_unchanged(command, tmp_path, monkeypatch):
    assert command()[0] == 0
    with monkeypatch.context() as patch:
        at_step(patch, 4, fail)
        with pytest.raises(RuntimeError, match="plug"):
            command("--out", tmp_path / "died")
    assert command("--out", tmp_path / "died", "--resume")[0] == 0
    whole, resumed = final(tmp_path / "run"), final(tmp_path / "died")
    assert whole.keys() == resumed.keys()
    assert not [key for key in whole if not torch.equal(whole[key], resumed[key])]
    for table in ("metrics.csv", "validation.csv"):
        assert (tmp_path / "run" / table).read_text() == (tmp_path / "died" / table).read_text()


@pytest.mark.slow
def test_training_brings_the_images_nearer(command, tmp_path):
    changes = {"steps": 40, "validate_every": 20, "lr": 2e-3, "batch_size": 4, "average": 0.8}
    assert command(**changes, judge=None, encoder=None, adversarial_weight=0.1, pixel=10.0)[0] == 0
    rows = list(csv.DictReader((tmp_path / "run" / "validation.csv").open()))
    assert float(rows[-1]["l1"]) < 0.8 * float(rows[0]["l1"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--crop", "[30, 48]"), "`crop`: this generator draws images whose sides are multiples"),
        (("--val_size", "[32, 50]"), "`val_size`"),
        (("--generator.classes", 5), "set `generator.classes`"),
        (("--generator.name", "spad"), "did you mean `spade`"),
        (("--encoder.name", "vgg", "--encoder.segmenter", "null"), "option"),
        (("--perceptual", 0), "`encoder` is of no use"),
        (("--reader.name", "espnetv2", "--labels", 0), "`reader` is of no use"),
        (
            ("--adversarial_weight", 0, "--feature_matching", 0, "--pixel", 0, "--encoder", "null"),
            "something must say what the image looks like",
        ),
        (("--r1_interval", 0), "`r1_interval` must be at least 1"),
        (("--betas", "[0.5, 1.0]"), "`betas`"),
        (("--judge_size", "[8, 8]"), "`judge_size`"),
        (("--adversarial", "wgan"), "wgan"),
        (("--judge.weights", "nowhere.pth"), "no weight file"),
        (("--resume",), "nothing to resume"),
    ],
)
def test_mistakes_are_explained(words, expected, command):
    code, err = command(*words)
    assert code == 2
    assert expected in err
    assert "Traceback" not in err


def test_sets_whose_classes_have_another_order_are_refused(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        grey = np.zeros((32, 48), np.uint8)
        cv2.imwrite(str(tmp_path / kind / "a.png"), grey if kind == "labels" else grey[..., None])
    turned = {
        "name": "folder",
        "images": str(tmp_path / "images"),
        "labels": str(tmp_path / "labels"),
        "kind": "classes",
        "classes": list(CITYSCAPES[::-1]),
    }
    with pytest.raises(DataError, match="number 0 is 'road' there and 'bicycle' here"):
        task(tmp_path, val_data=turned, judge=None)
    assert task(tmp_path).generator.names == CITYSCAPES


def test_without_a_config(capsys):
    assert main(["train", "generator"]) == 2
    assert "give a config file" in capsys.readouterr().err
