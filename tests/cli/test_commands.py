"""Each command does its job on small data, and refuses mistakes in one paragraph with code 2."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch

import roadanomaly as ra
from roadanomaly.cli.main import COMMANDS
from roadanomaly.data.camvid import CamVid
from roadanomaly.data.streets import Streets
from roadanomaly.metrics import score_frames
from roadanomaly.negatives import NEGATIVES
from roadanomaly.training.loop import Interrupted, Trainer
from roadanomaly.training.validation import Validator
from tests import layouts

STREETS = ("--on", "streets", "--data.split", "test", "--data.count", 3, "--data.height", 64)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples(name, command):
    with pytest.raises(SystemExit) as stop:
        command(name, "--help")
    assert stop.value.code == 0


def test_overview_names_every_command(command):
    code, out, _ = command("--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)


def test_misspelt_command_names_the_nearest(command):
    code, _, err = command("evalute")
    assert code == 2
    assert "`evaluate`" in err


def test_predict_writes_everything_and_goes_on_after_a_broken_image(
    command, model_folder, photos, tmp_path
):
    whole = (photos / "a.jpg").read_bytes()
    (photos / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    code, out, err = command("predict", model_folder, photos, "--out", tmp_path / "found")
    assert code == 2
    assert "broken.jpg" in err
    assert "3 of 4 images" in out
    for name in "abc":
        score = np.load(tmp_path / "found" / f"{name}_score.npy")
        mask = cv2.imread(str(tmp_path / "found" / f"{name}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert score.shape == mask.shape == (48, 64)
        description = json.loads((tmp_path / "found" / f"{name}_components.json").read_text())
        areas = sum(component["area"] for component in description["components"])
        assert areas == (mask > 0).sum()
    drawn = cv2.imread(str(tmp_path / "found/a_classes_colour.png"))
    classes = cv2.imread(str(tmp_path / "found/a_classes.png"), cv2.IMREAD_UNCHANGED)
    legend = cv2.imread(str(tmp_path / "found/classes_legend.png"))
    for number in np.unique(classes).tolist():  # 24 pixels a line
        assert (drawn[classes == number] == legend[24 * number + 12, 12]).all()
    assert [path.name for path in (tmp_path / "found").glob(".*")] == [".roadanomaly.json"]


def test_a_lone_broken_image_leaves_no_folder(command, model_folder, photos, tmp_path):
    whole = (photos / "a.jpg").read_bytes()
    (photos / "a.jpg").write_bytes(whole[: len(whole) // 2])
    code, _, err = command("predict", model_folder, photos / "a.jpg", "--out", tmp_path / "found")
    assert code == 2
    assert "a.jpg" in err
    assert not (tmp_path / "found").exists()


@pytest.mark.slow
def test_results_beside_their_images_are_no_images(command, model_folder, photos, tmp_path):
    told = command("predict", model_folder, photos, "--out", photos)[1]
    before = sorted(photos.iterdir())
    assert command("predict", model_folder, photos, "--out", photos)[1] == told
    assert "3 of 3 images" in told
    assert sorted(photos.iterdir()) == before
    assert "3 of 3 images" in command("predict", model_folder, photos, "--out", tmp_path / "b")[1]
    code, _, err = command("predict", model_folder, photos / "a_heat.png", "--out", photos)
    assert (code, "results of an earlier call" in err) == (2, True)


def test_predict_takes_globs_and_a_stricter_rate(command, model_folder, photos, tmp_path):
    out = tmp_path / "found"
    code, *_ = command("predict", model_folder, f"{photos}/[ab].jpg", "--out", out)
    assert code == 0
    assert not (out / "c_score.npy").exists()
    loose = json.loads((out / "a_components.json").read_text())["threshold"]
    words = ("--false_alarms", 0.001, "--out", out)
    assert command("predict", model_folder, photos / "a.jpg", *words)[0] == 0
    assert json.loads((out / "a_components.json").read_text())["threshold"] > loose


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("predict", "{model}", "{photos}/none*.jpg"), "names no image"),
        (("predict", "{photos}"), "carries no model"),
        (("predict", "runs/none", "{photos}"), "neither as a run nor as an image"),
        (("predict", "{model}", "{photos}", "--otu", "x"), "`--out`"),
        (("predict", "{model}", "{photos}", "--false_alarms", "1e-9"), "cannot be told"),
        (("predict", "{model}", "{photos}", "--device", "cuda:77"), "not usable here"),
        (("predict", "{model}", "{photos}", "--out", "/dev/null/x"), "cannot be written"),
        (("predict", "{model}", "{photos}", "--out", "{photos}/a.jpg"), "(it is a file)"),
        (("predict", "{model}", "{photos}/drive.MP4"), "roadanomaly video"),
        (("predict", "{model}", "{photos}", "--min_area", "2.5"), "`--min_area` is 2.5; it takes"),
        (("predict", "{model}", "{photos}", "--min_area", "many"), "is many; it takes a whole"),
        (("evaluate", "{model}", "--on", "streats"), "`streets`"),
        (("evaluate", "--on", "streets"), "carries no model"),
        (("evaluate", "{model}", "--on", "streets", "--detectors", "enrgy"), "`energy`"),
        (("evaluate", "{model}", "--on", "streets", "--detectors", "densehybrid"), "train"),
        (("evaluate", "{model}", "--on", "streets", "--data.spilt", "test"), "`split`"),
        (("evaluate", "{model}", "--on", "streets", "--track", "anomly"), "anomaly"),
        (("evaluate", "{model}", "--on", "folder", "--data.images", "{photos}"), "no label"),
        (("evaluate", "{model}", "--on", "folder"), "needs the option `images`"),
        (("evaluate", "{model}", "--on", "streets", "--region", "rode"), "'road'"),
        (("evaluate", "{model}", "--on", "streets", "--negatives.name", "pase"), "`paste`"),
        (("predict", "{model}", "{photos}", "--threshold_by", "f2"), "known: conformal, f1, rate"),
        (("predict", "{model}", "{photos}", "--threshold_by", "f1"), "best F1"),
        (("fit", "--data.name", "streets"), "carries no model"),
        (("fit", "--detector.name", "energy", "--data.name", "streets"), "carries no model"),
        (("fit", "--segmenter.name", "espnetv2", "--data.name", "streets"), "--detector.name"),
        (("list", "detektors"), "`detectors`"),
        (("pack", "{model}"), "`--out` (folder to write the model into) must be given"),
        (("data", "chek", "streets"), "data check"),
        (("data", "check", "camvid", "--root", "{photos}"), "images/train/ was looked for"),
    ],
)
def test_mistakes_are_explained(
    words, expected, command, model_folder, photos, empty_box, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"model": model_folder, "photos": photos}
    code, _, err = command(*(word.format(**places) for word in words))
    assert code == 2
    assert expected in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_evaluate_writes_what_the_metrics_say(command, model_folder, tmp_path):
    out = tmp_path / "evaluation"
    words = ("--data.width", 128, "--detectors", "msp,energy", "--pictures", 2, "--out", out)
    code, printed, _ = command("evaluate", model_folder, *STREETS, *words)
    assert code == 0
    assert "msp" in printed
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [row["detector"] for row in rows] == ["energy", "msp"]
    assert len(list((out / "pictures").glob("streets/*/*.png"))) >= 2
    numbers = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)["streets"]
    assert numbers["frames"] == 3
    assert list(numbers["detectors"]) == ["energy", "msp"]
    assert numbers["official"] == numbers["detectors"]["energy"]["official"]
    ways = [row["way"] for row in numbers["detectors"]["energy"]["thresholds"]]
    assert ways == ["best F1", "false-positive rate", "conformal"]
    assert json.loads((out / "record.json").read_text())["config"]["seed"] == 0

    model = ra.load(model_folder)
    frames = [
        (model(frame.image).score, frame.truth.numpy())
        for frame in Streets("test", count=3, height=64, width=128)
    ]
    exact = score_frames(frames, mode="exact")
    halves = score_frames([(s.astype(np.float16), t) for s, t in frames], mode="official")
    assert float(rows[0]["ap_exact"]) == pytest.approx(exact["ap"], abs=1e-6)
    assert float(rows[0]["ap"]) == pytest.approx(halves["ap"], abs=1e-6)
    assert float(rows[0]["f1"]) == pytest.approx(halves["f1"], abs=1e-6)


@pytest.mark.slow
def test_negatives_are_put_into_a_labelled_set_and_scored_on_its_road(
    command, model_folder, tmp_path
):
    """The numbers are those of the frames that a validation in training would make."""
    size = ("--size", "[64,128]", "--data.split", "val", "--data.count", 3)
    shape = ("--data.height", 96, "--data.width", 192)
    made = ("--negatives.name", "shapes", "--negatives.side", "[16,40]", "--region", "road")
    words = ("--on", "streets", *size, *shape, *made, "--detectors", "none", "--pictures", 0)
    code, printed, _ = command("evaluate", model_folder, *words, "--out", tmp_path / "e")
    assert code == 0
    assert "resized to 128×64, with negatives (shapes all), road region" in printed
    model = ra.load(model_folder)
    frames = Validator(
        Streets("val", count=3, height=96, width=192),
        NEGATIVES.build("shapes", {"side": (16, 40)}),
        0,
        (64, 128),
        "road",
    )
    mixed = [frames.mixed(number) for number in range(3)]
    expected = score_frames(
        [(model(frame.image).score, frame.truth.numpy()) for frame in mixed], mode="exact"
    )
    found = json.loads((tmp_path / "e" / "metrics.json").read_text())["streets"]
    (numbers,) = found["detectors"].values()
    assert numbers["exact"]["ap"] == pytest.approx(expected["ap"], abs=1e-6)
    assert any((frame.truth == 255).float().mean() > 0.3 for frame in mixed)


@pytest.mark.slow
def test_two_runs_with_other_weights_are_two_tables_and_a_spread(command, model_folder, tmp_path):
    torch.manual_seed(1)
    other = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    other.save(tmp_path / "run_1")
    words = ("--data.width", 128, "--detectors", "none", "--pictures", 0, "--out", tmp_path / "e")
    code, out, _ = command("evaluate", model_folder, tmp_path / "run_1", *STREETS, *words)
    assert code == 0
    assert "streets: energy (run), 2 runs" in out
    names = json.loads((tmp_path / "e" / "metrics.json").read_text())["streets"]["detectors"]
    assert list(names) == ["energy (run)", "energy (run_1)"]


@pytest.mark.slow
def test_stored_maps_score_as_the_model_that_made_them(command, model_folder, tmp_path):
    model = ra.load(model_folder)
    maps = tmp_path / "energy"
    maps.mkdir()
    for frame in Streets("test", count=3, height=64, width=128):
        np.save(maps / f"{frame.id}.npy", model(frame.image).score)
    words = (*STREETS, "--data.width", 128, "--pictures", 0)
    direct, stored = tmp_path / "direct", tmp_path / "stored"
    names = ("--detectors", "none", "--out", direct)
    assert command("evaluate", model_folder, *words, *names)[0] == 0
    code, out, _ = command("evaluate", "--scores", maps, *words, "--out", stored)
    assert code == 0
    assert "energy" in out
    first, second = (
        next(csv.DictReader((folder / "results.csv").open())) for folder in (direct, stored)
    )
    for key in ("ap", "ap_exact", "fpr95", "auroc", "best_f1", "siou", "ppv", "f1"):
        assert first[key] == second[key]
    (maps / "test_0001.npy").unlink()
    code, _, err = command("evaluate", "--scores", maps, *words, "--out", stored)
    assert code == 2
    assert "test_0001" in err


@pytest.mark.slow
def test_fit_saves_a_model_that_evaluate_takes(command, model_folder, tmp_path):
    small = ("--data.name", "streets", "--data.count", 3, "--data.height", 64, "--data.width", 128)
    words = ("--detector.name", "mahalanobis", "--false_alarms", 0.1, "--out", tmp_path / "fit")
    code, out, _ = command("fit", "--run", model_folder, *small, *words)
    assert code == 0
    assert "10 % of inlier pixels of streets val" in out
    words = ("--data.width", 128, "--detectors", "none", "--pictures", 0, "--out", tmp_path / "e")
    code, out, _ = command("evaluate", tmp_path / "fit", *STREETS, *words)
    assert code == 0
    assert "mahalanobis" in out


@pytest.mark.slow
def test_fit_reads_a_config_file_and_its_record_fits_the_same_again(
    command, model_folder, tmp_path
):
    data = {"name": "streets", "count": 2, "height": 64, "width": 128}
    asked = {"run": str(model_folder), "data": data, "size": [32, 64], "out": str(tmp_path / "a")}
    (tmp_path / "fit.yaml").write_text(json.dumps(asked))  # JSON is YAML
    assert command("fit", tmp_path / "fit.yaml", "--seed", 3)[0] == 0
    first = json.loads((tmp_path / "a" / "model" / "model.json").read_text())
    config = first["record"]["config"]
    assert (config["size"], config["seed"], config["run"]) == ([32, 64], 3, str(model_folder))
    (tmp_path / "again.yaml").write_text(json.dumps({**config, "out": str(tmp_path / "b")}))
    assert command("fit", tmp_path / "again.yaml")[0] == 0
    again = json.loads((tmp_path / "b" / "model" / "model.json").read_text())
    assert again["calibration"] == first["calibration"]


@pytest.mark.slow
def test_fit_at_another_size_says_so_in_the_record(command, model_folder, tmp_path):
    small = ("--data.name", "streets", "--data.count", 2, "--data.height", 64, "--data.width", 128)
    words = ("--detector.name", "mahalanobis", "--size", 96, 160, "--out", tmp_path / "fit")
    assert command("fit", "--run", model_folder, *small, *words)[0] == 0
    record = json.loads((tmp_path / "fit" / "model" / "model.json").read_text())["record"]
    assert record["fit_data"]["size"] == record["calibration_data"]["size"] == [96, 160]
    words = ("--detector.name", "mahalanobis", "--size", 0, 160, "--out", tmp_path / "bad")
    code, _, err = command("fit", "--run", model_folder, *small, *words)
    assert code == 2
    assert "at least 1 pixel" in err


@pytest.mark.slow
def test_fit_puts_negatives_in_and_says_so_in_the_record(command, model_folder, tmp_path):
    small = ("--data.name", "streets", "--data.count", 3, "--data.height", 64, "--data.width", 128)
    words = ("--detector.name", "mahalanobis", "--out", tmp_path / "fit")
    code, _, err = command("fit", "--run", model_folder, *small, *words, "--negatives.name", "flow")
    assert code == 2
    assert "must not learn" in err
    shapes = ("--negatives.name", "shapes", "--negatives.side", "[20, 40]")
    assert command("fit", "--run", model_folder, *small, *words, *shapes)[0] == 0
    record = json.loads((tmp_path / "fit" / "model" / "model.json").read_text())["record"]
    assert record["fit_data"]["negatives"]["name"] == "shapes"


@pytest.mark.slow
def test_fit_refuses_a_share_out_of_range_and_what_is_trained(command, model_folder, tmp_path):
    small = ("--data.name", "streets", "--data.count", 2, "--data.height", 64, "--data.width", 128)
    words = ("fit", "--run", model_folder, *small, "--out", tmp_path / "fit")
    code, _, err = command(*words, "--detector.name", "mahalanobis", "--held_out", 1.5)
    assert code == 2
    assert "`held_out` must lie between 0 and 1, not 1.5" in err
    code, _, err = command(*words, "--detector.name", "embedding_density")
    assert code == 2
    assert "trained, not fitted: `roadanomaly train CONFIG`" in err


def test_list_shows_options(command):
    code, out, _ = command("list", "detectors")
    assert code == 0
    assert "temperature=1.0" in out


def test_data_check_reports_each_broken_frame(command, tmp_path, monkeypatch):
    monkeypatch.setattr(CamVid, "published", {"train": 3})
    root = layouts.camvid(tmp_path / "camvid")
    code, out, _ = command("data", "check", "camvid", "--root", root, "--split", "train")
    assert code == 0
    assert "0 with problems" in out
    image = next((root / "images" / "train").iterdir())
    image.write_bytes(image.read_bytes()[:-20])
    code, out, err = command("data", "check", "camvid", "--root", root, "--split", "train")
    assert code == 2
    assert image.name in out
    assert "1 problems" in err


@pytest.mark.slow
def test_a_demo_that_is_stopped_says_how_to_go_on(command, tmp_path, monkeypatch):
    def stopped(_):
        raise Interrupted

    monkeypatch.delenv("ROADANOMALY_DATA", raising=False)
    monkeypatch.setattr(Trainer, "run", stopped)
    code, _, err = command("demo", "--quick", "--out", tmp_path / "demo")
    assert code == 130
    assert err.splitlines()[-1] == "roadanomaly demo: stopped; the same command goes on from here."


@pytest.mark.slow
def test_demo_runs_from_end_to_end(command, tmp_path, monkeypatch):
    monkeypatch.delenv("ROADANOMALY_DATA", raising=False)
    code, out, _ = command("demo", "--quick", "--out", tmp_path / "demo")
    assert code == 0
    before, after = out.split("\nBEFORE\n")[1].split("\nAFTER\n")
    assert "densehybrid" in before
    assert "densehybrid" in after
    assert "roadanomaly predict YOUR_IMAGE.jpg" in after
    assert cv2.imread(str(tmp_path / "demo" / "before_and_after.png")) is not None


@pytest.mark.slow
def test_thresholds_are_transferred_from_another_set(command, model_folder, tmp_path):
    words = (*STREETS, "--data.width", 128, "--detectors", "none", "--pictures", 0)
    other = ("--validate_on", "folder", "--validation.images", tmp_path / "val" / "images")
    other += ("--validation.labels", tmp_path / "val" / "masks", "--rates", "0.05,0.2")
    layouts.folder(tmp_path / "val")
    code, out, _ = command("evaluate", model_folder, *words, *other, "--out", tmp_path / "e")
    assert code == 0
    assert "validation F1" in out
    numbers = json.loads((tmp_path / "e" / "metrics.json").read_text())["streets"]
    rows = numbers["detectors"]["energy"]["thresholds"]
    named = [(row["way"], row["fitted_on"], row["stated"]) for row in rows]
    for data in ("a black image", "folder all"):
        for way in ("false-positive rate", "conformal"):
            assert {(way, data, 0.05), (way, data, 0.2)} <= set(named)
    assert ("validation F1", "folder all", None) in named


@pytest.mark.slow
def test_fit_keeps_the_best_f1_of_validation_data_and_predict_takes_it(
    command, model_folder, photos, tmp_path
):
    small = ("--data.name", "streets", "--data.count", 2, "--data.height", 64, "--data.width", 128)
    layouts.folder(tmp_path / "val")
    held = ("--validation_data.name", "folder", "--validation_data.root", tmp_path / "val")
    out = tmp_path / "fit"
    assert command("fit", "--run", model_folder, *small, *held, "--out", out)[0] == 0
    wanted = ra.load(out).calibration
    assert wanted.f1_data == "folder all"
    words = (out, photos / "a.jpg", "--threshold_by", "f1", "--out", tmp_path / "found")
    assert command("predict", *words)[0] == 0
    description = json.loads((tmp_path / "found" / "a_components.json").read_text())
    assert description["threshold"] == wanted.f1_threshold
    assert (description["threshold_by"], description["false_alarms"]) == ("validation F1", None)
