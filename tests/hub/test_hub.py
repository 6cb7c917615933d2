"""Models go to a stand-in of the hub and come back; what is no model is refused unread."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from roadanomaly.cli.main import main
from roadanomaly.errors import DataError, MissingExtra, OptionError
from roadanomaly.hub import fetch
from tests.hub.stand_in import serving

hub_library = pytest.importorskip("huggingface_hub")
IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
RECORD = {"train_data": {"name": "union", "sets": [{"name": "camvid"}, {"name": "streets"}]}}
FIGURES = {"RoadAnomaly, 30 frames": {"AP": 65.89, "FPR95": 36.68}}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Serve a hub of its own, with an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    with serving() as (held, address):
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield held


@pytest.fixture(scope="module")
def model():
    made = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    made.calibration = calibrate([made(IMAGE).score.ravel()], 0.05, "noise")
    return made


@pytest.fixture
def pushed(hub, model):
    model.push_to_hub("somebody/roads", record=RECORD, figures=FIGURES, private=True)
    return hub


@pytest.mark.slow
def test_a_model_comes_back_as_it_went(pushed, model):
    assert pushed.private == {"somebody/roads": True}
    assert set(pushed.held("somebody/roads")) == {
        "README.md",
        "model.json",
        "weights.safetensors",
    }
    loaded = ra.load("hf:somebody/roads")
    np.testing.assert_array_equal(loaded(IMAGE).mask, model(IMAGE).mask)
    commit = pushed.commit("somebody/roads")
    np.testing.assert_array_equal(
        ra.load(f"hf:somebody/roads@{commit}")(IMAGE).score, model(IMAGE).score
    )


def test_the_card_is_what_the_hub_s_own_reader_reads(pushed):
    card = hub_library.ModelCard(pushed.held("somebody/roads")["README.md"].decode())
    assert card.data.library_name == "roadanomaly"
    assert card.data.license == "other"
    assert card.data.datasets == ["camvid", "streets"]
    found = {
        (one.dataset_name, one.metric_name): one.metric_value for one in card.data.eval_results
    }
    expected = {
        (known, name): value for known, all_of in FIGURES.items() for name, value in all_of.items()
    }
    assert found == expected
    assert "half precision" not in card.content


def test_nothing_but_the_two_files_is_read(pushed):
    pushed.held("somebody/roads")["setup.py"] = b"raise SystemExit"
    ra.load("hf:somebody/roads")
    asked = [one for one in pushed.asked if "/resolve/" in one]
    assert {one.rpartition("/")[2] for one in asked} == {"model.json", "weights.safetensors"}


def test_predict_takes_it(pushed, tmp_path):
    from PIL import Image

    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    words = ["predict", str(tmp_path / "a.png"), "--model", "hf:somebody/roads"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/a_mask.png").exists()


def test_what_is_no_model_is_refused_and_not_downloaded(pushed):
    files = pushed.held("somebody/roads")
    for change, said in (
        (lambda: pushed.sizes.update({"model.json": 10**9}), "model.json of .* 1.0 GB"),
        (lambda: files.pop("model.json"), "holds no model.json"),
    ):
        pushed.asked.clear()
        change()
        with pytest.raises(DataError, match=said):
            ra.load("hf:somebody/roads")
        assert not any("/resolve/" in one for one in pushed.asked)
    files["model.json"] = json.dumps({"format": "of something else"}).encode()
    pushed.sizes.clear()
    with pytest.raises(DataError):
        ra.load("hf:somebody/roads")


@pytest.mark.parametrize(
    ("name", "said"),
    [("hf:nobody/nothing", "no repository nobody/nothing"), ("hf:somebody/roads@v9", "revision")],
)
def test_what_is_not_there_is_named(pushed, name, said):
    with pytest.raises(DataError, match=said):
        ra.load(name)


@pytest.mark.parametrize("name", ["roads", "a/b/c", "../x", "a/..", "https://hub/a/b", ""])
def test_names_that_are_none_are_refused_before_anything_is_asked(hub, model, name):
    with pytest.raises(OptionError, match="owner/name"):
        ra.load(f"hf:{name}")
    with pytest.raises(OptionError, match="owner/name"):
        model.push_to_hub(name)
    assert hub.asked == []


def test_a_refusal_says_what_is_needed(hub, model):
    hub.refusal = 403
    with pytest.raises(DataError, match=r"403.*a token that may write"):
        model.push_to_hub("somebody/roads")


def test_without_a_connection_a_sentence_says_so(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="cannot be reached for somebody/roads"):
        ra.load("hf:somebody/roads")


def test_without_a_connection_what_was_fetched_before_is_taken(pushed, monkeypatch, caplog):
    before = ra.load("hf:somebody/roads")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = ra.load("hf:somebody/roads")
    assert "cannot be reached; somebody/roads is taken as it was fetched last" in caplog.text
    assert again.describe({}) == before.describe({})
    with pytest.raises(DataError, match="cannot be reached"):
        ra.load("hf:somebody/roads@v9")


@pytest.mark.slow
def test_without_a_connection_a_revision_is_the_commit_that_it_was(pushed, monkeypatch):
    name, held = "hf:somebody/roads", pushed.held("somebody/roads")
    folders, commits = {}, []
    for tag in ("v1", "release/2"):
        held["README.md"] = tag.encode()
        commits.append(pushed.commit("somebody/roads"))
        pushed.names = {tag}
        for revision in (tag, commits[-1][:8], commits[-1]):
            folders[revision] = fetch(f"{name}@{revision}")
    folders[""] = folders["main"] = fetch(name)
    held["README.md"] = b"v1"
    os.utime(fetch(f"{name}@{commits[0]}"))  # touched last, and not the newest
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for revision, folder in folders.items():
        assert fetch(f"{name}@{revision}" if revision else name) == folder
    assert [folder.name for folder in (folders["v1"], folders["release/2"])] == commits
    assert hub_library.try_to_load_from_cache(
        "somebody/roads", "model.json", hub_library.constants.HF_HUB_CACHE, "v1"
    ) == str(folders["v1"] / "model.json")
    for strange in ("v9", "../../../secret", "/etc/passwd"):
        with pytest.raises(DataError, match="cannot be reached"):
            fetch(f"{name}@{strange}")


@pytest.mark.slow
def test_a_model_of_the_hub_is_packed(pushed, tmp_path):
    words = ["pack", "hf:somebody/roads", "--out", str(tmp_path / "packed"), "--limit", "1"]
    assert main([*words, "--data.height", "64", "--data.width", "128"]) == 0
    assert ra.load(tmp_path / "packed").calibration is not None


def test_without_the_library_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"roadanomaly\[hub\]"):
        ra.load("hf:somebody/roads")
