"""What a score rests on: drawn on a sheet, kept for the page, written by the commands."""

import json

import cv2
import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.cli.main import main
from roadanomaly.data.class_names import CITYSCAPES
from roadanomaly.data.image_arrays import write_image
from roadanomaly.data.streets import Streets
from roadanomaly.detectors.explanation import Explanation
from roadanomaly.negatives.label_swap import LabelSwap
from roadanomaly.report.explanation_sheet import explanation_sheet
from roadanomaly.report.page_data import pictures_of
from roadanomaly.report.pictures import heat
from roadanomaly.report.thumbnails import read_explanation, write_explanation, write_thumbnails
from roadanomaly.training.validation import Validator
from roadanomaly.types import ASSUMED, NEGATIVE
from tests.contracts.built import detector_options
from tests.report.made import make_findings, make_frames, make_scores

STREETS = {"split": "test", "count": 2, "height": 64, "width": 96}


def small_model(name="synboost"):
    model = ra.Model(
        ra.segmenter("espnetv2", scale=0.5), ra.detector(name, **detector_options(name))
    )
    model.detector.ready = True
    return model


def test_a_sheet_shows_each_part_in_its_place():
    image = np.full((60, 80, 3), (10, 200, 30), np.uint8)
    classes = np.zeros((60, 80), np.uint8)
    classes[:, 40:] = 7
    half = np.full((30, 40), 0.5, np.float32)
    drawn = np.full((12, 16, 3), (250, 0, 250), np.uint8)
    found = Explanation(classes, {"resynthesis": drawn, "entropy": half, "energy": half * 10})
    sheet = explanation_sheet(image, found, np.zeros((60, 80), np.float32), CITYSCAPES)
    height, width = 22 + 300, 400
    assert sheet.shape == (2 * height + 4, 3 * width + 2 * 4, 3)

    def middle(number, part=0.25):
        top, left = (number // 3) * (height + 4), (number % 3) * (width + 4)
        return sheet[top + 22 + 150, left + int(part * width)]

    assert (middle(0) == (10, 200, 30)).all()
    assert (middle(1) == (128, 64, 128)).all()
    assert (middle(1, 0.75) == (220, 220, 0)).all()
    assert (middle(2) == (250, 0, 250)).all()
    assert (middle(3) == heat(np.array([[0.5]]), 0, 1)[0, 0]).all()  # on 0..1, not on its own range


def test_sheets_are_kept_for_the_page_and_stay_small(tmp_path):
    frames = make_frames(2)
    scores = make_scores(frames, 2.0)
    findings = [make_findings(frames, scores, detector="a b")]
    for frame in frames:
        write_thumbnails(tmp_path, "roadanomaly", frame, {"a b": scores[frame.id]})
    noise = np.random.default_rng(0).integers(0, 255, (650, 1612, 3), dtype=np.uint8)
    write_explanation(tmp_path, "roadanomaly", "a b", frames[1].id, noise)
    kept = read_explanation(tmp_path, "roadanomaly", "a b", frames[1].id)
    assert len(kept) < noise.size / 8
    assert cv2.imdecode(np.frombuffer(kept, np.uint8), 1).shape == noise.shape
    assert read_explanation(tmp_path, "roadanomaly", "a b", frames[0].id) is None
    ids = [frame.id for frame in frames]
    held = pictures_of(tmp_path, findings, ids, 10_000_000)["explained"]
    assert list(held["a b"]) == [frames[1].id]


@pytest.mark.slow
def test_predict_explains(tmp_path, capsys):
    small_model().save(tmp_path / "run")
    photo = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    words = [str(tmp_path / "run"), str(tmp_path / "a.png"), "--out", str(tmp_path / "found")]
    assert main(["predict", *words]) == 0
    assert not (tmp_path / "found/a_explained.png").exists()
    assert main(["predict", *words, "--explain"]) == 0
    sheet = cv2.imread(str(tmp_path / "found/a_explained.png"))
    assert sheet.shape[1] == 4 * 400 + 3 * 4  # image, labels, resynthesis, three priors, ...
    shown = cv2.resize(photo, (400, 300), interpolation=cv2.INTER_AREA)
    assert np.abs(sheet[22:322, :400].astype(int) - shown).max() <= 1
    capsys.readouterr()


def test_predict_refuses_to_explain_what_has_nothing_to_show(tmp_path, capsys):
    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))
    model.save(tmp_path / "run")
    write_image(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    assert main(["predict", str(tmp_path / "run"), str(tmp_path), "--explain"]) == 2
    said = capsys.readouterr().err
    assert "`energy`" in said
    assert "synboost" in said


@pytest.mark.slow
def test_evaluation_shows_it_for_the_frames_that_it_pictures(tmp_path):
    small_model("image_resynthesis").save(tmp_path / "run")
    options = [f"--data.{key}={value}" for key, value in STREETS.items()]
    words = ["evaluate", str(tmp_path / "run"), "--on", "streets", *options, "--pictures", "1"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    drawn = sorted(path.name for path in (tmp_path / "out/pictures/streets/run").iterdir())
    first = Streets(**STREETS)[0].id
    assert drawn == [f"{first}.png", f"{first}_image_resynthesis.png"]
    page = (tmp_path / "out/report.html").read_text()
    start = page.index('"explained":') + len('"explained":')
    held = json.JSONDecoder().raw_decode(page[start:])[0]
    assert list(held["image_resynthesis"]) == [first]


def test_validation_scores_what_is_assumed_and_shows_it():
    """With swapped labels as negatives, the same image is drawn from other labels."""
    model, asked = small_model("image_resynthesis"), []
    draw = model.detector.generator.synthesise

    def synthesise(labels, size):
        asked.append(labels.clone())
        return draw(labels, size)

    model.detector.generator.synthesise = synthesise
    source = LabelSwap(swap=list(range(19)), share=[1, 1], min_area=20)
    validator = Validator(Streets(**{**STREETS, "split": "val"}), source, 1)
    found = validator.run(model)
    batch = validator.mixed_batch(0)
    wrong = batch.label == NEGATIVE
    assert wrong.any()
    assert (asked[0][wrong] == batch.note(ASSUMED)[wrong]).all()
    assert found.explained.ndim == 3
    assert "ap" in found.values
