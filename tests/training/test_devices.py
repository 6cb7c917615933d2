"""Trainings and the other commands take the same words for a device, and mean the same by them."""

import pytest
import torch

from roadanomaly.cli.models import pick_device
from roadanomaly.errors import OptionError, UserError
from roadanomaly.training.engine import build_fabric, uses_cuda
from roadanomaly.training.run_config import RunConfig

STREETS = {"name": "streets"}


def device_of(word, devices=1):
    given = {"train_data": STREETS, "val_data": STREETS, "precision": "32-true"}
    return build_fabric(RunConfig(**given, accelerator=word, devices=devices)).device


def picked(word):
    try:
        return pick_device(word)
    except OptionError:
        return None


@pytest.fixture
def two_gpus(monkeypatch):
    """Pretend that PyTorch finds two GPUs; a tensor there lies on the device `meta`."""
    zeros = torch.zeros
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch, "zeros", lambda *size, device: zeros(*size, device="meta"))


@pytest.mark.parametrize("word", ["cpu", "cuda", "cuda:1", "cuda:77", "gpu", "mps", "xpux"])
def test_a_word_means_the_same_here(word):
    expected = picked(word)
    if expected is None:
        with pytest.raises(OptionError, match=rf"accelerator: {word}` \(--device\)"):
            device_of(word)
    else:
        assert device_of(word).type == expected.type


@pytest.mark.parametrize(
    ("word", "index"), [("auto", 0), ("cuda", 0), ("gpu", 0), ("cuda:0", 0), ("cuda:1", 1)]
)
def test_a_word_means_the_same_beside_two_gpus(word, index, two_gpus):
    trained, expected = device_of(word), pick_device(word)
    assert trained == torch.device("cuda", index)
    assert (expected.type, expected.index or 0) == ("cuda", index)
    assert uses_cuda(word)


@pytest.mark.parametrize("devices", [2, "auto"])
def test_one_device_of_several_that_are_asked_for_is_refused(devices, two_gpus):
    with pytest.raises(OptionError, match="names one device"):
        device_of("cuda:1", devices)


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2", "RANK": "1",
    "LOCAL_RANK": "1", "GROUP_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1",
}  # fmt: skip


def test_torchrun_gives_each_process_a_device(two_gpus, monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    assert device_of("cuda") == torch.device("cuda", 1)
    with pytest.raises(OptionError, match="names one device"):
        device_of("cuda:1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOCAL_WORLD_SIZE", "two"), ("LOCAL_WORLD_SIZE", "0"), ("WORLD_SIZE", "-2")],
)
def test_a_number_of_processes_that_is_none_is_told(name, value, monkeypatch):
    for one, usual in {**TORCHRUN, name: value}.items():
        monkeypatch.setenv(one, usual)
    with pytest.raises(UserError, match=f"variable {name} is '{value}'; .* whole number from 1"):
        device_of("cpu")
