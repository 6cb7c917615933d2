"""`--precision` and `--batch`: what is computed, what is said of it, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_curve

import roadanomaly as ra
from roadanomaly.cli import evaluate as evaluate_command
from roadanomaly.data.streets import Streets
from roadanomaly.evaluation.findings import load_findings
from roadanomaly.report.page import report_text

STREETS = ("--on", "streets", "--data.split", "test", "--data.count", 4, "--data.height", 64)
WORDS = (*STREETS, "--data.width", 128, "--detectors", "none", "--pictures", 0)
FRAMES = Streets("test", count=4, height=64, width=128)


def scores_of(folder, precision, frames=FRAMES):
    """Score frames in PyTorch's own words."""
    model = ra.load(folder)
    found = []
    for frame in frames:
        half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
        image = frame.image[None].float() / 255
        with torch.inference_mode(), half:
            seen = model.segmenter(image, model.detector.needs)
            found.append(model.detector.score(seen, image)[0].float().numpy())
    return found


def pooled(scores, frames):
    truths = [frame.truth.numpy() for frame in frames]
    counted = [truth != 255 for truth in truths]
    return (
        np.concatenate([t[c] for t, c in zip(truths, counted, strict=True)]),
        np.concatenate([s[c] for s, c in zip(scores, counted, strict=True)]),
    )


def fpr95(truth, score):
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    return fpr[np.argmax(tpr >= 0.95)]


@pytest.mark.slow
def test_half_precision_says_what_it_changed(command, model_folder, tmp_path):
    out = tmp_path / "e"
    words = ("--precision", "bf16", "--precision_check", 2, "--out", out)
    code, printed, _ = command("evaluate", model_folder, *WORDS, *words)
    assert code == 0
    assert "computed in bf16" in printed
    assert "what bf16 changed on frames that were scored in float32 too" in printed
    numbers = json.loads((out / "metrics.json").read_text())["streets"]["detectors"]["energy"]
    half = scores_of(model_folder, "bf16")
    assert numbers["precision"] == "bf16"
    whole = average_precision_score(*pooled(half, FRAMES))
    assert numbers["exact"]["ap"] == pytest.approx(whole, abs=1e-6)

    showing = [n for n, frame in enumerate(FRAMES) if (frame.truth == 1).any()]
    checked = [showing[0], showing[-1]]
    frames = [FRAMES[number] for number in checked]
    exact, half = scores_of(model_folder, "f32", frames), [half[number] for number in checked]
    effect = numbers["precision_effect"]
    assert effect["frames"] == 2
    for key, scores in (("ap_f32", exact), ("ap", half)):
        assert effect[key] == pytest.approx(average_precision_score(*pooled(scores, frames)))
    for key, scores in (("fpr95_f32", exact), ("fpr95", half)):
        assert effect[key] == pytest.approx(fpr95(*pooled(scores, frames)))
    largest = max(abs(a - b).max() for a, b in zip(exact, half, strict=True))
    assert effect["largest_difference"] == pytest.approx(largest) != 0
    ranks = spearmanr(np.concatenate(exact), np.concatenate(half), axis=None).statistic
    assert effect["rank_correlation"] == pytest.approx(ranks, abs=2e-3)
    change = 100 * (effect["ap"] - effect["ap_f32"])
    assert f"{change:+.2f}" in printed

    (found,) = load_findings(out)
    assert vars(found.precision_effect) == effect
    assert "what bf16 changed" in report_text(out, [found])
    record = json.loads((out / "record.json").read_text())
    assert record["scores"][0]["precision"] == "bf16"
    assert record["batch"] == 1


@pytest.mark.slow
def test_exact_precision_says_nothing_of_it(command, model_folder, tmp_path):
    code, printed, _ = command("evaluate", model_folder, *WORDS, "--out", tmp_path / "e")
    assert code == 0
    assert "f32" not in printed
    assert "precision" not in json.loads((tmp_path / "e" / "metrics.json").read_text())["streets"]


@pytest.mark.slow
def test_frames_of_one_precision_are_not_taken_for_another(
    command, model_folder, tmp_path, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    words = ("evaluate", model_folder, *WORDS, "--out", tmp_path / "e", "--precision_check", 0)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate_command, "_write", stop)
        assert command(*words)[0] == 130
        code, _, err = command(*words)
        assert "4 of 4 frames were scored before" in err
    for more in (("--precision", "bf16"), ("--batch", 2)):
        with monkeypatch.context() as patch:
            patch.setattr(evaluate_command, "_write", stop)
            command(*words)
        code, _, err = command(*words, *more)
        assert code == 0
        assert "4 frames that an earlier, unfinished evaluation scored" in err
        assert "were scored before" not in err


@pytest.mark.slow
def test_a_batch_is_recorded_and_gives_the_numbers_of_one_by_one(command, model_folder, tmp_path):
    numbers = []
    for batch in (1, 3):
        out = tmp_path / str(batch)
        assert command("evaluate", model_folder, *WORDS, "--batch", batch, "--out", out)[0] == 0
        numbers.append(json.loads((out / "metrics.json").read_text())["streets"]["exact"])
        assert json.loads((out / "record.json").read_text())["batch"] == batch
    assert numbers[1]["ap"] == pytest.approx(numbers[0]["ap"], abs=1e-4)


def test_predict_computes_in_half_precision(command, model_folder, photos, tmp_path):
    words = ("predict", model_folder, photos / "a.jpg", "--out", tmp_path / "p")
    assert command(*words, "--precision", "bf16")[0] == 0
    image = ra.data.images.read_image(photos / "a.jpg")
    (expected,) = scores_of(model_folder, "bf16", [ra.Frame("a", image)])
    found = np.load(tmp_path / "p" / "a_score.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_fit_records_precision_and_batch(command, model_folder, tmp_path):
    data = ("--data.name", "streets", "--data.count", 3, "--data.height", 64, "--data.width", 128)
    words = ("--detector.name", "mahalanobis", "--precision", "bf16", "--batch", 2)
    code, *_ = command("fit", "--run", model_folder, *data, *words, "--out", tmp_path / "fit")
    assert code == 0
    record = json.loads((tmp_path / "fit" / "model" / "model.json").read_text())["record"]
    assert (record["precision"], record["batch"]) == ("bf16", 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("evaluate", "{model}", "--on", "streets", "--precision", "bf61"), "bf16"),
        (("evaluate", "{model}", "--on", "streets", "--batch", "0"), "at least 1, or auto"),
        (
            ("evaluate", "{model}", "--on", "streets", "--batch", "many"),
            "is many; give a whole number",
        ),
        (("evaluate", "{model}", "--on", "streets", "--precision_check", "-1"), "at least 0"),
        (("evaluate", "--scores", "x", "--on", "streets", "--precision", "f16"), "of networks"),
        (("predict", "{model}", "{photos}", "--precision", "half"), "f32"),
        (("predict", "{model}", "{photos}", "--batch", "2"), "not an option"),
        (("fit", "--run", "{model}", "--data.name", "streets", "--batch", "-2"), "at least 1"),
        (("fit", "--run", "{model}", "--data.name", "streets", "--precision", "x"), "f32"),
        (
            ("export", "submission", "--scores", "x", "--for", "laf", "--precision", "f16"),
            "networks",
        ),
        (
            ("export", "submission", "{model}", "--for", "laf", "--out", "x", "--precision", "x"),
            "f32",
        ),
    ],
)
def test_mistakes_are_explained(words, expected, command, model_folder, photos):
    code, _, err = command(*(word.format(model=model_folder, photos=photos) for word in words))
    assert code == 2
    assert expected in err
    assert "Traceback" not in err
