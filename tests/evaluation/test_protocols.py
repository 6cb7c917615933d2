"""Every protocol on its generated layout: the metrics' own numbers, or the reason why not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from roadanomaly.data import DATASETS
from roadanomaly.data.derived import Resized
from roadanomaly.data.doctor import diagnose
from roadanomaly.data.labelled import LabelledSet
from roadanomaly.errors import DataError
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.protocols import PROTOCOLS
from roadanomaly.evaluation.sources import FrameScores
from roadanomaly.metrics import score_frames
from roadanomaly.metrics.component import label_components
from roadanomaly.metrics.instance import Instances, PredictedInstance
from roadanomaly.metrics.open_set import OpenSet, halve, threshold_at_tpr
from roadanomaly.metrics.size_ranges import SizeRange
from tests import layouts
from tests.evaluation.scenes import Drawn

BENCHMARKS = tuple(
    name
    for name in PROTOCOLS
    if name not in ("streets", "camvid", "cityscapes", "folder")
    and not issubclass(DATASETS.get(name), LabelledSet)
)


def opened(name: str, root: Path, split: str | None = None):
    """Make a layout and open its set."""
    getattr(layouts, name)(root)
    options = {"root": str(root)} | ({"split": split} if split else {})
    return DATASETS.build(name, options)


def evaluated(name, frames, source=None, **options):
    source = source or Drawn(size=12)
    return evaluate(Job(source, frames, PROTOCOLS[name], **options))[0], source


def test_every_set_has_a_protocol_of_its_name():
    assert set(PROTOCOLS) | {"union"} == set(DATASETS)
    assert all(name == one.name for name, one in PROTOCOLS.items())


def test_every_protocol_stands_in_the_documentation_s_table():
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    rows = [line for line in page.split("## Official")[0].splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(PROTOCOLS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_generated_layout_is_scored(name, tmp_path):
    frames = opened(name, tmp_path)
    found, source = evaluated(name, frames)
    track = PROTOCOLS[name].track
    ordered = sorted(frames, key=lambda frame: frame.id)
    scored = [(source.score(frame).scores["drawn"], frame.truth.numpy()) for frame in ordered]
    halves = [(score.astype(np.float16), truth) for score, truth in scored]
    np.testing.assert_equal(found.official, score_frames(halves, track, "official"))
    exact = score_frames(scored, track, "exact")
    for key, value in exact.items():
        np.testing.assert_allclose(found.exact[key], value, rtol=0, atol=1e-12)
    assert (found.set, found.track, found.frames) == (name, track, len(frames))
    assert found.averaging == PROTOCOLS[name].averaging


@pytest.mark.parametrize(("name", "split"), [("smiyc-anomaly", "test"), ("smiyc-obstacle", "all")])
def test_hidden_truth_is_refused_before_anything_is_scored(name, split, tmp_path):
    frames = opened(name, tmp_path, split)
    source = Drawn()
    with pytest.raises(DataError, match="keeps it on the benchmark's server"):
        evaluated(name, frames, source)
    assert source.scored == []


@pytest.mark.parametrize("name", ["smiyc-anomaly", "laf", "issu", "streethazards"])
def test_data_check_looks_at_the_same_frames(name, tmp_path):
    """`data check` counts in the split what `evaluate` scores."""
    frames = opened(name, tmp_path)
    found, _ = evaluated(name, frames)
    lines = diagnose(DATASETS.get(name), tmp_path, split=frames.split).lines
    assert any(line.startswith(f"split {frames.split}: {found.frames} of") for line in lines)


@pytest.mark.parametrize("name", ["streethazards", "bdd-anomaly"])
def test_means_over_images_stand_beside_the_pooled_numbers(name, tmp_path):
    frames = opened(name, tmp_path)
    found, source = evaluated(name, frames)
    values = []
    for frame in frames:
        truth, score = frame.truth.numpy(), source.score(frame).scores["drawn"]
        if (truth == 1).any():
            values.append(scikit_learn_of(truth[truth < 255], score[truth < 255]))
    assert found.extra["per image"].keys() == {"ap", "auroc", "fpr95"}
    for key, mean in zip(("ap", "auroc", "fpr95"), np.mean(values, axis=0), strict=True):
        assert found.extra["per image"][key] == pytest.approx(mean, abs=1e-12)


def scikit_learn_of(truth, score):
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    return (
        average_precision_score(truth, score),
        roc_auc_score(truth, score),
        fpr[np.argmax(tpr >= 0.95)],
    )


class Pair(Drawn):
    """A second detector beside the drawn one, of the same scores and the next class."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.supervision, self.calibrations = {"drawn": "none", "next": "none"}, {}

    def score(self, frame):
        first = super().score(frame)
        second = ((first.classes["drawn"] + 1) % len(self.classes)).astype(np.uint8)
        return FrameScores(
            dict.fromkeys(self.supervision, first.scores["drawn"]),
            dict.fromkeys(self.supervision, 1.5),
            {"drawn": first.classes["drawn"], "next": second},
        )


@pytest.mark.parametrize("place", [0, 1])
def test_open_miou_takes_each_threshold_from_the_other_town(place, tmp_path):
    frames = opened("streethazards", tmp_path)
    source = Pair(classes=frames.classes, size=12)
    found = evaluate(Job(source, frames, PROTOCOLS["streethazards"]))[place]
    towns = {
        town: [(f, source.score(f)) for f in frames if f.id.startswith(town)]
        for town in ("t5_", "t6_")
    }
    means, weights = [], []
    for town, other in (("t5_", "t6_"), ("t6_", "t5_")):
        positives = []
        for frame, scored in towns[other]:
            score, truth = halve(scored.scores["drawn"], frame.truth.numpy())
            positives.append(score[truth == 1])
        counted = OpenSet(frames.classes, threshold_at_tpr(np.concatenate(positives)))
        for frame, scored in towns[town]:
            counted.update(
                scored.classes[found.detector], scored.scores["drawn"], frame.label.numpy()
            )
        means.append(counted.compute().open_miou)
        weights.append(len(towns[town]))
    expected = np.average(means, weights=weights)
    assert found.extra["open set"]["open_miou"] == pytest.approx(expected, abs=1e-12)
    assert 0 < found.extra["open set"]["open_miou"] < found.extra["open set"]["closed_miou"]


def test_one_town_alone_has_no_open_miou_and_says_why(tmp_path):
    frames = opened("streethazards", tmp_path, "t5")
    found, _ = evaluated("streethazards", frames, Drawn(classes=frames.classes))
    assert "open set" not in found.extra
    assert any("no open-mIoU" in text for text in found.warnings)


def test_issu_states_tpr_at_a_fixed_fpr_and_ranges_of_sizes(tmp_path):
    frames = opened("issu", tmp_path)
    found, source = evaluated("issu", frames)
    truth = np.concatenate([f.truth.numpy().ravel() for f in frames])
    score = np.concatenate([source.score(f).scores["drawn"].ravel() for f in frames])
    fpr, tpr, _ = roc_curve(truth[truth < 255], score[truth < 255], drop_intermediate=False)
    expected = tpr[np.argmax(fpr >= 0.05)]
    assert found.extra["TPR at 5 % FPR"]["exact"] == pytest.approx(expected, abs=1e-12)
    assert {"small components", "medium components", "large components"} <= set(found.extra)


def test_ranges_of_sizes_part_the_components(tmp_path):
    frames = opened("issu", tmp_path)
    protocol = PROTOCOLS["issu"]
    sizes = [s for f in frames for s in label_components(f.truth.numpy() == 1)[1][1:]]
    middle = SizeRange(min(sizes), max(sizes) + 1)
    every = replace(protocol, size_ranges={"all": middle, "none": SizeRange(max(sizes) + 1)})
    (found,) = evaluate(Job(Drawn(size=12), frames, every))
    assert found.extra["none components"]["siou"] != found.extra["none components"]["siou"]
    assert 0 <= found.extra["all components"]["siou"] <= 1


def test_frames_without_an_instance_map_are_told(tmp_path):
    frames = opened("oodis-fishyscapes", tmp_path, "test")
    found, _ = evaluated("oodis-fishyscapes", frames)
    assert not any("instance AP" in text for text in found.warnings)
    found, _ = evaluated("oodis-fishyscapes", Resized(frames, (32, 64)))
    assert "instances" not in found.extra
    (said,) = (text for text in found.warnings if "instance AP" in text)
    assert said.startswith("no instance AP: 4 of 4 frames have no instance map. ")
    assert "`--size`" in said
    next(tmp_path.rglob("*_instanceIds.png")).unlink()
    partly = DATASETS.build("oodis-fishyscapes", {"root": str(tmp_path), "split": "test"})
    found, _ = evaluated("oodis-fishyscapes", partly)
    assert set(found.extra["instances"]) == {"ap", "ap50"}
    (said,) = (text for text in found.warnings if "instance AP" in text)
    assert said.startswith("instance AP is of 3 of 4 frames: 1 of 4 frames have no instance map.")


def test_oodis_judges_components_as_instances(tmp_path):
    frames = opened("oodis-fishyscapes", tmp_path, "test")
    found, source = evaluated("oodis-fishyscapes", frames, Drawn(size=30))
    threshold = np.float16(found.official["best_f1_threshold"])
    metric = Instances()
    for frame in frames:
        score = source.score(frame).scores["drawn"]
        numbers, sizes = label_components(score.astype(np.float16) > threshold)
        predicted = [
            PredictedInstance(numbers == n, float(score[numbers == n].mean(dtype=np.float64)))
            for n in range(1, len(sizes))
            if sizes[n] >= 50
        ]
        instances = frames.instances(frame.id).numpy()
        metric.update(frame.id, predicted, instances, instances == 0)
    expected = metric.compute()
    assert expected.predictions > 0
    np.testing.assert_allclose(
        [found.extra["instances"][key] for key in ("ap", "ap50")],
        [expected.ap, expected.ap50],
        atol=1e-12,
    )
