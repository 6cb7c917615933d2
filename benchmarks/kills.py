"""Kill commands at random moments, start them again, and compare with runs that nobody disturbed.

    python benchmarks/kills.py --count 60 --seed 0
    python benchmarks/kills.py --count 24 --signals INT TERM

Each trial starts a command, sends a signal (SIGKILL unless told otherwise) somewhere between its
first and its last change of the disk, starts it again (and perhaps disturbs it once more), and
compares all that it leaves at the end. After SIGINT and SIGTERM a command must also have ended by
itself, with exit code 130 and a sentence. It needs no data set. The last line counts trials and
differences; the exit code is 1 where one was found.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
STREETS = "{name: streets, count: 6, height: 64, width: 96, split: "
CONFIG = f"""\
train_data: {STREETS}train}}
val_data: {STREETS}val}}
segmenter: {{name: espnetv2, scale: 0.5}}
detector: {{name: densehybrid}}
negatives: {{name: noise}}
crop: [64, 64]
batch_size: 1
steps: 12
workers: 0
checkpoint_every: 1
validate_every: 4
val_frames: 2
accelerator: cpu
"""
PATIENCE_S = 300
CHANGING = ("started", "command", "config", "ms", "machine", "revision", "record", "packages")
"""Keys of records that differ between two runs of the same work."""


@dataclass(frozen=True)
class Trial:
    """A command that may be killed.

    Args:
        words: of its command line, given the place of its output.
        look: returns what it left there, as plain values that can be compared.
        again: words that are added when it goes on, given that place.
    """

    words: Callable[[Path], list[str]]
    look: Callable[[Path], dict[str, object]]
    again: Callable[[Path], list[str]] = lambda _: []


def start(words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "roadanomaly", *words]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # some runners ignore it
    )


Begin = Callable[[list[str]], subprocess.Popen[str]]
"""How a command is started; tests start one more cheaply."""


def finish(words: list[str], begin: Begin) -> None:
    process = begin(words)
    _, err = process.communicate(timeout=PATIENCE_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)}\nends with {process.returncode}: {err}")


def first_change(process: subprocess.Popen, place: Path) -> float:
    """Wait until a command writes, or ends; return when."""
    while process.poll() is None and not any(place.rglob("*")):
        time.sleep(0.005)
    return time.monotonic()


def undisturbed(trial: Trial, place: Path, begin: Begin = start) -> tuple[dict[str, object], float]:
    """Return what a command leaves, and the seconds from its first change to its end."""
    place.mkdir(parents=True)
    process = begin(trial.words(place))
    begun = first_change(process, place)
    _, err = process.communicate(timeout=PATIENCE_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(trial.words(place))}\n{err}")
    return trial.look(place), time.monotonic() - begun


def killed(
    trial: Trial,
    place: Path,
    whole: tuple[dict[str, object], float],
    rng: random.Random,
    signals: Sequence[signal.Signals] = (signal.SIGKILL,),
    begin: Begin = start,
) -> tuple[int, list[str]]:
    """Run a command to its end through one signal or two.

    Args:
        trial: the command.
        place: of its output.
        whole: what `undisturbed` returned of it.
        rng: draws the moments and signals.
        signals: to draw from.
        begin: starts it.

    Returns:
        how many hit it at work, and what was wrong with how it ended.
    """
    place.mkdir(parents=True)
    hits, wrong = 0, []
    expected, seconds = whole
    for _ in range(rng.choice((1, 1, 2))):
        process = begin(trial.words(place) + (trial.again(place) if hits else []))
        if not hits:
            first_change(process, place)
        time.sleep(rng.uniform(0, seconds))
        sent = rng.choice(signals)
        if process.poll() is None:
            process.send_signal(sent)
            hits += 1
        _, err = process.communicate(timeout=PATIENCE_S)
        late = process.returncode == -sent and finished(trial, place, expected)
        if sent != signal.SIGKILL and not late:
            wrong += badly_ended(process.returncode, err)
    if hits:
        finish(trial.words(place) + trial.again(place), begin)
    return hits, wrong


def finished(trial: Trial, place: Path, expected: dict[str, object]) -> bool:
    """Tell whether all is there: a signal may come while Python itself shuts down."""
    try:
        return not differing(expected, trial.look(place))
    except (OSError, KeyError, ValueError):
        return False


def badly_ended(code: int, err: str) -> list[str]:
    """Return what is wrong with how a command ended that was asked to stop, or had ended before."""
    if code == 0:
        return []
    said = err.strip().splitlines()[-1:]
    told = bool(said) and said[0].startswith("roadanomaly ") and "Traceback" not in err
    return [] if code == 130 and told else [f"exit code {code}, {' '.join(said)!r}"]


def files(folder: Path) -> dict[str, object]:
    """Return every visible file's bytes; of JSON the values without what changes."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts):
            content = path.read_bytes()
            found[name] = repr(steady(json.loads(content))) if path.suffix == ".json" else content
    return found


def steady(value: object) -> object:
    """Drop the entries that differ between two runs of the same work."""
    if isinstance(value, dict):
        return {key: steady(one) for key, one in value.items() if key not in CHANGING}
    return [steady(one) for one in value] if isinstance(value, list) else value


def evaluation(place: Path) -> dict[str, object]:
    found = files(place / "out")
    page = found["report.html"].decode()
    found["report.html"] = re.sub(r'<section id="record">.*?</section>', "", page, flags=re.DOTALL)
    arrays = {name: place / "out" / name for name in found if name.endswith(".npz")}
    return found | {
        name: {key: repr(one.tolist()) for key, one in np.load(path).items()}
        for name, path in arrays.items()
    }


def run(place: Path) -> dict[str, object]:
    kept = ("model/model.json", "model/weights.safetensors", "metrics.csv", "validation.csv")
    found = files(place / "out")
    return {
        name: re.sub(rb"\d+\.\d+(?=\r?\n)", b"", found[name])
        if name == "metrics.csv"
        else found[name]
        for name in kept
    }


def events(place: Path) -> dict[str, object]:
    import av

    with av.open(str(place / "overlay.mp4")) as video:
        frames = sum(1 for _ in video.decode(video=0))
    return {"events": (place / "events.jsonl").read_text(), "frames": frames}


def mined(place: Path) -> dict[str, object]:
    import pyarrow.parquet as parquet

    found = files(place / "out")
    found["index.parquet"] = parquet.read_table(place / "out" / "index.parquet").to_pylist()
    return found


def exported(place: Path) -> dict[str, object]:
    found = files(place / "out")
    graph = found.pop("graph.pt")
    return {**found, "graph": len(graph)}


def trials(base: Path) -> dict[str, Trial]:
    """Make models, score maps and clips, and return the commands."""
    import roadanomaly as ra
    from roadanomaly.calibration import calibrate
    from roadanomaly.scores.write import write_hdf5
    from roadanomaly.video.writer import VideoWriter
    from tests.layouts import smiyc_anomaly

    model = ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"), min_area=5)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    model.calibration = calibrate([model(noise).score.ravel()], 0.2, "noise")
    model.save(base / "model")
    (base / "config.yaml").write_text(CONFIG)
    root = smiyc_anomaly(base / "root")
    images = sorted((root / "dataset_AnomalyTrack" / "images").iterdir())
    for place, chosen in (("all", images), ("public", images)):
        for path in chosen:
            if place == "all" or path.stem.startswith("validation"):
                score = rng.normal(size=(24, 32)).astype(np.float16)
                write_hdf5(base / place / f"{path.stem}.hdf5", score)
    for name in ("a", "b", "c"):
        writer = VideoWriter(base / "clips" / f"{name}.mp4", (64, 96), 10)
        for number in range(12):
            writer.write(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8), number / 10)
        writer.close()
    saved, clips, on = str(base / "model"), base / "clips", ["--root", str(root)]
    evaluate = ["evaluate", "--scores", str(base / "public"), "--on", "smiyc-anomaly", *on]
    submit = ["export", "submission", "--scores", str(base / "all"), "--for", "smiyc-anomaly", *on]
    submit.append("--incomplete")
    graph = ["export", "model", saved, "--to", "torchscript", "--size", "64x96", "--limit", "4"]
    loose = ["--start_s", "0", "--start_frames", "1"]

    def out(place: Path) -> list[str]:
        return ["--out", str(place / "out")]

    def resume(place: Path) -> list[str]:
        return ["--resume"] if (place / "out" / "checkpoints" / "last.pt").exists() else []

    return {
        "evaluate": Trial(lambda p: [*evaluate, "--pictures", "4", *out(p)], evaluation),
        "train": Trial(lambda p: ["train", str(base / "config.yaml"), *out(p)], run, resume),
        "export submission": Trial(lambda p: [*submit, *out(p)], lambda p: files(p / "out")),
        "export model": Trial(lambda p: [*graph, *out(p)], exported),
        "mine": Trial(lambda p: ["mine", saved, str(clips), *loose, *out(p)], mined),
        "video": Trial(
            lambda p: [
                *["video", saved, str(clips / "a.mp4"), *loose],
                *["--events", str(p / "events.jsonl"), "--out", str(p / "overlay.mp4")],
            ],
            events,
        ),
    }


def differing(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return sorted(name for name in one | other if one.get(name) != other.get(name))


def main(
    count: int,
    seed: int,
    only: Sequence[str] = (),
    signals: Sequence[signal.Signals] = (signal.SIGKILL,),
    begin: Begin = start,
) -> int:
    """Run the trials in turn; return how many left something else than an undisturbed run."""
    rng = random.Random(seed)
    wrong = kills = 0
    base = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        known = {name: one for name, one in trials(base).items() if not only or name in only}
        whole = {
            name: undisturbed(one, base / "whole" / name, begin) for name, one in known.items()
        }
        for number in range(count):
            name = list(known)[number % len(known)]
            place = base / str(number)
            hits, ends = killed(known[name], place, whole[name], rng, signals, begin)
            kills += hits
            found = ends + differing(whole[name][0], known[name].look(place))
            wrong += bool(found)
            shown = f"differs in {', '.join(found[:4])}" if found else "equal"
            sys.stdout.write(f"{number:3d} {name:18} {hits} signals: {shown}\n")
            sys.stdout.flush()
            shutil.rmtree(place)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.stdout.write(f"{count} trials, {kills} signals at work, {wrong} with another result\n")
    return wrong


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="trials")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="some of the commands")
    parser.add_argument("--signals", nargs="+", default=["KILL"], help="KILL, INT, TERM")
    given = parser.parse_args()
    sent = [signal.Signals[f"SIG{name}"] for name in given.signals]
    sys.exit(1 if main(given.count, given.seed, given.only, sent) else 0)
