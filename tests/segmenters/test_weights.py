"""Weight files: found, read safely, unwrapped, and refused with a reason."""

import argparse
import collections
import datetime

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from roadanomaly.errors import DataError
from roadanomaly.segmenters.weights import find_weights, load_strictly, read_weights

STATE = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}


def assert_equal_states(found, expected=STATE):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value)


@pytest.mark.parametrize(
    "wrapped",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE},
        {"model": {"state_dict": {f"module.{name}": value for name, value in STATE.items()}}},
        {f"_orig_mod.{name}": value for name, value in STATE.items()},
        {f"_orig_mod.module.{name}": value for name, value in STATE.items()},
        {f"module._orig_mod.module.{name}": value for name, value in STATE.items()},
    ],
    ids=["bare", "state_dict", "model", "nested module", "compiled", "parallel inside", "both"],
)
def test_common_nestings_are_unwrapped(wrapped, tmp_path):
    torch.save(wrapped, tmp_path / "a.pth")
    assert_equal_states(read_weights(tmp_path / "a.pth"))


def test_safetensors_are_read_by_extension(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    assert_equal_states(read_weights(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_truncated_file_is_refused(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    torch.save(STATE, path) if suffix == "pth" else save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"a\.\w+ \(60 bytes\) cannot be read.*truncated"):
        read_weights(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x80\x02N."])
def test_what_is_no_weight_file_is_refused(content, tmp_path):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_weights(tmp_path / "a.pth")


class Trap:
    def __reduce__(self):
        return print, ("code from a weight file ran",)


def test_no_code_runs_from_a_file(tmp_path, capsys):
    torch.save({"weight": Trap()}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="holds no state dict"):
        read_weights(tmp_path / "a.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "found"),
    [([1, 2], "a list"), (torch.ones(2), "a Tensor"), ({"epoch": 3}, "with the keys epoch")],
)
def test_what_holds_no_state_dict_is_named(content, found, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(DataError, match=f"holds no state dict.*{found}"):
        read_weights(tmp_path / "a.pth")


def test_a_file_name_is_found_under_the_data_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path / "root"))
    for folder in ("root/weights/deep", "datasets/weights"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "datasets/weights/b.pth").touch()
    assert find_weights("b.pth").samefile(tmp_path / "datasets/weights/b.pth")
    (tmp_path / "root/weights/deep/b.pth").touch()
    assert find_weights("b.pth") == tmp_path / "root/weights/deep/b.pth"
    (tmp_path / "b.pth").touch()
    assert find_weights("b.pth").samefile(tmp_path / "b.pth")


def test_a_path_means_no_other_file_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path / "root"))
    (tmp_path / "root/weights/deep").mkdir(parents=True)
    (tmp_path / "root/weights/deep/b.pth").touch()
    for mistyped in ("runs/first/b.pth", "./b.pth", "../b.pth", str(tmp_path / "b.pth")):
        with pytest.raises(DataError, match=r"no weight file .*Check the path"):
            find_weights(mistyped)
    assert find_weights("deep/b.pth") == tmp_path / "root/weights/deep/b.pth"


def test_a_missing_file_lists_where_it_was_sought(tmp_path, monkeypatch):
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"no weight file 'c\.pth'.*weights/\*\*, datasets"):
        find_weights("c.pth")
    with pytest.raises(DataError, match=r"no weight file 'x/c\.pth'.*from .*weights, datasets"):
        find_weights("x/c.pth")
    with pytest.raises(DataError, match=r"no weight file '~nobody-here/c\.pth'"):
        find_weights("~nobody-here/c.pth")
    monkeypatch.delenv("ROADANOMALY_DATA")
    with pytest.raises(DataError, match="ROADANOMALY_DATA, the data root, is not set"):
        find_weights("x/c.pth")


def test_two_files_of_one_name_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    for folder in ("a", "b"):
        (tmp_path / "weights" / folder).mkdir(parents=True)
        (tmp_path / "weights" / folder / "w.pth").touch()
    with pytest.raises(DataError, match=r"several weight files are called w\.pth"):
        find_weights("w.pth")


def test_a_name_is_no_pattern(tmp_path, monkeypatch):
    monkeypatch.setenv("ROADANOMALY_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    for name in ("best[1].pth", "best1.pth"):
        (tmp_path / "weights" / name).touch()
    assert find_weights("best[1].pth") == tmp_path / "weights" / "best[1].pth"
    with pytest.raises(DataError, match=r"no weight file '\*\.pth'"):
        find_weights("*.pth")


def test_strict_loading_names_what_differs(tmp_path):
    network = nn.Linear(3, 2)
    before = network.weight.clone()
    with pytest.raises(DataError) as caught:
        load_strictly(network, {"weight": torch.zeros(2, 4), "extra": torch.ones(1)}, tmp_path)
    message = str(caught.value)
    assert "missing: bias;" in message
    assert "unknown: extra;" in message
    assert "weight (2, 4) instead of (2, 3)" in message
    assert torch.equal(network.weight, before)
    load_strictly(network, STATE, tmp_path)
    assert torch.equal(network.weight, STATE["weight"])


class Counter:
    """A class that only the training program has."""

    def __init__(self):
        self.history = [1.0, 2.0]


class Touch:
    """Makes a file when it is unpickled by Python's own unpickler."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_what_lies_beside_the_tensors_is_left_out_unread(tmp_path, zipped):
    content = {
        "meta": {"args": argparse.Namespace(a=1), "when": datetime.datetime(2020, 1, 2)},
        "mean_iu": np.float64(0.8),
        "array": np.zeros(3),
        "message_hub": {"loss": Counter(), "log": collections.deque([1, 2])},
        "counts": collections.defaultdict(list, {1: [2]}),
        "hook": Touch(tmp_path / "ran"),
        "state_dict": {"module.a.weight": torch.ones(2, 2)},
    }
    path = tmp_path / "old.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_weights(path)
    assert list(found) == ["a.weight"]
    assert torch.equal(found["a.weight"], torch.ones(2, 2))
    assert not (tmp_path / "ran").exists()
