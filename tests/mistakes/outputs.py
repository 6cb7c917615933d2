"""What is wrong with the place that results go to: none, or one of other things."""

from __future__ import annotations

import json
from pathlib import Path

from tests import layouts
from tests.mistakes.bench import Bench, Words, case, halves, write_map

EMPTY = ("is empty", "Is a variable of the shell not set?")
FOREIGN = ("which this command would replace",)


def mine_alone(folder: Path, name: str) -> Path:
    """Put a file of the user's own into a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"of the user")
    return folder


def words(*given: object) -> Words:
    return [str(one) for one in given]


def photo(bench: Bench) -> Path:
    return bench.track / "images" / "validation0000.jpg"


@case("evaluate: --out is empty", "`--out`", *EMPTY)
def evaluate_into_nothing(bench):
    return bench.stored("--out", "")


@case("evaluate: --out is blank", "`--out`", *EMPTY)
def evaluate_into_blanks(bench):
    return bench.stored("--out", "  ")


@case("predict: --out is empty", "`--out`", *EMPTY)
def predict_into_nothing(bench):
    return words("predict", bench.model, photo(bench), "--out", "")


@case("label: --out is empty", "`--out`", *EMPTY)
def label_into_nothing(bench):
    return words("label", photo(bench), "--segmenter.name", "espnetv2", "--out", "")


@case("fit: --out is empty", "`--out`", *EMPTY)
def fit_into_nothing(bench):
    return words("fit", "--run", bench.model, "--data.name", "streets", "--out", "")


def config(bench: Bench) -> Path:
    path = bench.root.parent / "config.yaml"
    data = "{name: streets, count: 4, height: 64, width: 96"
    path.write_text(
        f"train_data: {data}, split: train}}\nval_data: {data}, split: val}}\n"
        "segmenter: {name: espnetv2, scale: 0.5}\ndetector: {name: densehybrid}\n"
        "negatives: {name: noise}\ncrop: [32, 32]\nsteps: 1\n"
    )
    return path


@case("train: --out is empty", "`--out`", *EMPTY)
def train_into_nothing(bench):
    return words("train", config(bench), "--out", "")


@case("train: out is empty in the config", "`--out`", *EMPTY)
def train_into_nothing_by_config(bench):
    path = config(bench)
    path.write_text(path.read_text() + 'out: ""\n')
    return words("train", path)


@case("flow sample: --out is empty", "`--out`", *EMPTY)
def sample_into_nothing(bench):
    return words("flow", "sample", bench.model, "--out", "")


@case("export model: --out is empty", "`--out`", *EMPTY)
def export_into_nothing(bench):
    return words("export", "model", bench.model, "--to", "onnx", "--size", "64x96", "--out", "")


@case("export submission: --out is empty", "`--out`", *EMPTY)
def submit_into_nothing(bench):
    return words("export", "submission", bench.model, "--for", "smiyc-anomaly", "--out", "")


@case("compare: --out is empty", "`--out`", *EMPTY)
def compare_into_nothing(bench):
    return words("compare", bench.out, "--out", "")


@case("compare: a table's name is empty", "`--table`", *EMPTY)
def compare_into_no_table(bench):
    return words("compare", bench.out, "--table", "a.md", "")


@case("mine: --out is empty", "`--out`", *EMPTY)
def mine_into_nothing(bench):
    return words("mine", bench.model, bench.maps, "--out", "")


@case("video: --out is empty", "`--out`", *EMPTY)
def video_into_nothing(bench):
    return words("video", bench.model, bench.maps, "--out", "")


@case("video: --events is empty", "`--events`", *EMPTY)
def events_into_nothing(bench):
    return words("video", bench.model, bench.maps, "--events", "")


@case("demo: --out is empty", "`--out`", *EMPTY)
def demo_into_nothing(bench):
    return words("demo", "--out", "")


@case("segmenter check: --out is empty", "`--out`", *EMPTY)
def check_into_nothing(bench):
    return words("segmenter", "check", "espnetv2", "--out", "")


@case("serve: the source is empty", "`--source`", *EMPTY)
def serve_nothing(bench):
    return words("serve", bench.model, "--source", "")


@case("predict: an image's name is empty", "`images`", *EMPTY)
def predict_nothing(bench):
    return words("predict", bench.model, "")


@case("evaluate: a run's name is empty", "`runs`", *EMPTY)
def evaluate_nothing(bench):
    return words("evaluate", "", "--on", "smiyc-anomaly", "--out", bench.out)


@case("evaluate: --root is empty", "`--root`", *EMPTY)
def evaluate_in_no_root(bench):
    return words("evaluate", bench.model, "--on", "smiyc-anomaly", "--root", "")


@case("evaluate: --out holds pictures of one's own", "pictures/holiday.jpg", *FOREIGN)
def evaluate_onto_pictures(bench):
    return bench.stored("--out", mine_alone(bench.root / "own", "pictures/holiday.jpg"))


@case("evaluate: --out holds frames of one's own", "frames/1/holiday.jpg", *FOREIGN)
def evaluate_onto_frames(bench):
    return bench.stored("--out", mine_alone(bench.root / "own", "frames/1/holiday.jpg"))


@case("evaluate: --out holds findings of one's own", "findings/a/b.json", *FOREIGN)
def evaluate_onto_findings(bench):
    return bench.stored("--out", mine_alone(bench.root / "own", "findings/a/b.json"))


@case("evaluate: --out holds a report of one's own", "report.html", *FOREIGN)
def evaluate_onto_a_report(bench):
    return bench.stored("--out", mine_alone(bench.root / "own", "report.html"))


@case("evaluate: --out holds results of one's own", "results.csv", *FOREIGN)
def evaluate_onto_results(bench):
    return bench.stored("--out", mine_alone(bench.root / "own", "results.csv"))


@case("evaluate: a file was put into an earlier result", "pictures/notes.txt", *FOREIGN)
def evaluate_onto_notes(bench):
    return bench.stored("--out", mine_alone(bench.out, "pictures/notes.txt"))


@case("evaluate: a hidden folder of one's own is in the way", "holds a folder .partial")
def evaluate_onto_a_hidden_folder(bench):
    folder = bench.root / "own"
    (folder / ".partial").mkdir(parents=True)
    (folder / ".partial" / "film").write_text("half")
    return bench.stored("--out", folder)


@case("predict: a photograph has the name of a result", "validation0000_heat.png", *FOREIGN)
def predict_onto_a_photograph(bench):
    out = mine_alone(bench.root / "own", "validation0000_heat.png")
    return words("predict", bench.model, photo(bench), "--out", out)


@case("predict: the folder of photographs is --out", "a_heat.png", *FOREIGN)
def predict_into_photographs(bench):
    for name in ("a.png", "a_heat.png"):
        layouts.write_photo(bench.root / "own" / name, 1)
    return words("predict", bench.model, bench.root / "own", "--out", bench.root / "own")


@case("label: the photographs would be replaced by their labels", "a.png", *FOREIGN)
def label_onto_photographs(bench):
    layouts.write_photo(bench.root / "own" / "a.png", 1)
    own = bench.root / "own"
    names = ("--segmenter.name", "espnetv2", "--segmenter.scale", "0.5")
    return words("label", own, *names, "--out", own)


@case("segmenter check: a picture of that name is there", "espnetv2.png", *FOREIGN)
def check_onto_a_picture(bench):
    return words("segmenter", "check", "espnetv2", "--out", mine_alone(bench.root, "espnetv2.png"))


@case("mine: a page of one's own is there", "index.html", *FOREIGN)
def mine_onto_a_page(bench):
    mine_alone(bench.root / "clips", "a.mp4")
    out = mine_alone(bench.root / "own", "index.html")
    return words("mine", bench.model, bench.root / "clips", "--out", out)


@case("train: a config of one's own is there", "config.yaml", *FOREIGN)
def train_onto_a_config(bench):
    return words("train", config(bench), "--out", mine_alone(bench.root / "own", "config.yaml"))


@case("train: a board of one's own is there", "tensorboard/events", *FOREIGN)
def train_onto_a_board(bench):
    out = mine_alone(bench.root / "own", "tensorboard/events")
    return words("train", config(bench), "--out", out)


@case("fit: the model's folder holds a thesis", "holds other files (thesis.tex)")
def fit_onto_a_thesis(bench):
    mine_alone(bench.root / "own", "model/thesis.tex")
    data = ("--data.name", "streets", "--data.count", "2", "--size", "64", "96")
    return words("fit", "--run", bench.model, *data, "--out", bench.root / "own")


@case("fit: the model's folder is a file", "it is a file")
def fit_onto_a_file(bench):
    mine_alone(bench.root / "own", "model")
    data = ("--data.name", "streets", "--data.count", "2", "--size", "64", "96")
    return words("fit", "--run", bench.model, *data, "--out", bench.root / "own")


@case("demo: an evaluation's place holds pictures of one's own", "pictures/a.jpg", *FOREIGN)
def demo_onto_pictures(bench):
    mine_alone(bench.root / "own", "before/pictures/a.jpg")
    return words("demo", "--quick", "--out", bench.root / "own")


@case("export submission: a submission.json of one's own is restarted", "was not written by")
def restart_onto_a_card(bench):
    out = bench.root / "own"
    out.mkdir()
    precious = mine_alone(bench.root / "precious", "thesis.tex")
    (out / "submission.json").write_text(json.dumps({"plan": {"contents": [str(precious)]}}))
    for name in layouts.ANOMALY_TEST:
        write_map(bench.maps / f"{name}.hdf5", halves(24, 32))
    given = ("--scores", bench.maps, "--for", "smiyc-anomaly", "--root", bench.root)
    trial = ("--method", "m", "--incomplete", "--restart")
    return words("export", "submission", *given, *trial, "--out", out)


@case("compare: the page would replace a picture", "--out photo.jpg", "ends in .html")
def compare_onto_a_picture(bench):
    return words("compare", bench.out, "--out", "photo.jpg")


@case("compare: a table and another's differences are one file", "two outputs are the same file")
def compare_onto_differences(bench):
    return words("compare", bench.out, "--table", "a.md", "a_differences.md")


@case("video: the events would replace the truth", "two outputs, or an output and the source")
def events_onto_the_truth(bench):
    truth = bench.root / "boxes.csv"
    truth.write_text("frame,x0,y0,x1,y1\n0,1,1,5,5\n")
    source = bench.track / "images"
    return words("video", bench.model, source, "--truth", truth, "--events", truth)


@case("video: the events would empty a photograph", "text is written", "ends in .jsonl")
def events_onto_a_photograph(bench):
    photo = next((bench.track / "images").iterdir())
    return words("video", bench.model, bench.track / "images", "--events", photo)


@case("video: the overlay would replace the source by a link", "an output and the source")
def overlay_onto_the_source(bench):
    mine_alone(bench.root, "drive.mp4")
    (bench.root / "link.mp4").symlink_to(bench.root / "drive.mp4")
    return words("video", bench.model, bench.root / "drive.mp4", "--out", bench.root / "link.mp4")
