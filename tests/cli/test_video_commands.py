"""`video`, `export model`, `mine` and `serve` on small data, and what they say to mistakes."""

import json
import os
from urllib.parse import urlsplit

import numpy as np
import pytest

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from roadanomaly.cli.serve import _host_and_port
from roadanomaly.data.images import write_image
from tests.mining.test_mine import new_worker
from tests.video.clips import frames_of, write_clip


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", 12, range(3, 10))


def test_video_writes_overlay_events_and_figures(command, model_folder, clip, tmp_path):
    out = {name: tmp_path / "found" / name for name in ("o.mp4", "e.jsonl", "s.json", "c.jsonl")}
    words = ("--out", out["o.mp4"], "--events", out["e.jsonl"], "--stats", out["s.json"])
    code, told, _ = command(
        "video", model_folder, clip, *words, "--components", out["c.jsonl"], "--device", "cpu"
    )
    assert code == 0
    assert "12 frames" in told
    figures = json.loads(out["s.json"].read_text())
    assert figures["frames"] == 12
    assert figures["dropped"] == 0
    assert (figures["backend"], figures["precision"], figures["size"]) == ("torch", "f32", "128x96")
    assert (figures["device"], figures["mode"]) == ("cpu", "eager")
    assert set(figures["latency_ms"]) == {"p50", "p95", "p99"}
    assert figures["fps"] > 0
    assert len(frames_of(out["o.mp4"])) == 12
    assert len(out["c.jsonl"].read_text().splitlines()) == 12
    assert len(out["e.jsonl"].read_text().splitlines()) == figures["events"]


def test_size_is_width_by_height(command, model_folder, clip, tmp_path):
    stats = tmp_path / "s.json"
    words = ("--size", "64x48", "--stats", stats, "--out", tmp_path / "o.mp4", "--truth", "none")
    code, told, _ = command("video", model_folder, clip, *words)
    assert code == 0
    figures = json.loads(stats.read_text())
    assert figures["size"] == "64x48"
    assert figures["truth"]["frames"] == 12
    assert f"{figures['truth']['false_events']} false events" in told
    assert frames_of(tmp_path / "o.mp4")[0][1].shape == (48, 64, 3)


def test_objects_may_be_asked_to_stand_on_the_road(command, model_folder, clip, tmp_path):
    stats = tmp_path / "s.json"
    words = ("--size", "64x48", "--where", "road", "--stats", stats, "--out", tmp_path / "o.mp4")
    assert command("video", model_folder, clip, *words)[0] == 0
    assert json.loads(stats.read_text())["frames"] == 12


def test_video_says_what_is_missing_and_leaves_no_file_of_nothing(command, model_folder, tmp_path):
    clip = write_clip(tmp_path / "clip.mkv", 40)
    content = clip.read_bytes()
    clip.write_bytes(content[: int(len(content) * 0.6)])
    words = {name: tmp_path / "out" / name for name in ("o.mp4", "e.jsonl", "s.json")}
    outs = ("--out", words["o.mp4"], "--events", words["e.jsonl"], "--stats", words["s.json"])
    code, _, err = command("video", model_folder, clip, "--from_s", 9, *outs)
    assert code == 2
    assert "Give an earlier time" in err
    assert not (tmp_path / "out").exists()
    code, told, _ = command("video", model_folder, clip, "--size", "64x48", *outs)
    assert code == 0
    lost = json.loads(words["s.json"].read_text())["lost"]
    assert lost > 10
    assert f"{lost} lost" in told
    assert "are missing" in told


@pytest.mark.slow
def test_several_sources_are_scored_together_as_each_alone(command, model_folder, tmp_path):
    sources = [
        write_clip(tmp_path / "left.mp4", 9, range(2, 8)),
        write_clip(tmp_path / "right.mp4", 14, []),
        write_clip(tmp_path / "rear.mp4", 9, range(9), size=(64, 96)),
    ]
    words = ("--out", "o.mp4", "--events", "e.jsonl", "--components", "c.jsonl", "--device", "cpu")
    (together := tmp_path / "together").mkdir()
    named = [word if word[0] == "-" else together / word for word in words[:-2]]
    stats = ("--stats", together / "s.json", "--truth", "none")
    code, told, err = command("video", model_folder, *sources, *named, *words[-2:], *stats)
    assert code == 0, err
    assert "ready: torch f32, device cpu, mode eager" in err
    for number, source in enumerate(sources, 1):
        (alone := tmp_path / str(number)).mkdir()
        named = [word if word[0] == "-" else alone / word for word in words[:-2]]
        assert command("video", model_folder, source, *named, *words[-2:])[0] == 0
        for name in ("e", "c"):
            found = (together / f"{name}.{number}.jsonl").read_text().splitlines()
            wanted = (alone / f"{name}.jsonl").read_text().splitlines()
            assert len(found) == len(wanted)
            for line, other in zip(map(json.loads, found), map(json.loads, wanted), strict=True):
                assert close(line, other)
        figures = json.loads((together / f"s.{number}.json").read_text())
        assert figures["source"] == str(source)
        assert figures["frames"] == len(frames_of(together / f"o.{number}.mp4"))
        assert figures["truth"]["frames"] == figures["frames"]
        assert figures["frames_a_batch"] >= 1
        assert f"{source}: {figures['frames']} frames" in told


def close(one, other):
    """Say whether two JSON values are equal but for rounding."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, abs=2e-4)


def test_one_source_that_cannot_be_opened_is_told_before_the_work(
    command, model_folder, clip, tmp_path
):
    events = ("--events", tmp_path / "e.jsonl")
    code, _, err = command("video", model_folder, clip, tmp_path / "missing.mp4", *events)
    assert code == 2
    assert "there is no source" in err
    assert not list(tmp_path.glob("*.jsonl"))


@pytest.mark.slow
def test_exported_model_runs_on_video(command, tmp_path):
    """Of few layers, for ESPNetv2's many take an exporter long."""
    pytest.importorskip("onnxruntime")
    clip = write_clip(tmp_path / "clip.mp4", 5)
    segmenter = ra.segmenter("ladder_densenet", blocks=[1, 1, 1, 1], growth=8)
    model = ra.Model(segmenter, ra.detector("energy"))
    score = model(np.zeros((96, 128, 3), np.uint8)).score
    model.calibration = calibrate([score.ravel()], 0.05, "a black image")
    model.save(tmp_path / "model")
    words = ("--to", "onnx", "--size", "96x128", "--limit", 2, "--out", tmp_path / "x")
    code, told, err = command("export", "model", tmp_path / "model", *words)
    assert code == 0, err
    assert "AP on streets" in told
    assert json.loads((tmp_path / "x" / "parity.json").read_text())["passed"]
    assert command("video", tmp_path / "x", clip, "--stats", tmp_path / "s.json")[0] == 0
    figures = json.loads((tmp_path / "s.json").read_text())
    assert (figures["backend"], figures["provider"]) == ("onnxruntime", "cpu")
    code, _, err = command("video", tmp_path / "x", clip, "--provider", "cpu")
    assert code == 0
    assert "ready: onnxruntime f32, provider cpu" in err
    code, _, err = command("video", tmp_path / "x", clip, "--size", "64x64")
    assert code == 2
    assert "give --size 128x96" in err
    assert command("video", tmp_path / "x", clip, "--backend", "openvino")[0] == 2


@pytest.mark.slow
def test_dynamic_export_takes_videos_of_any_size(command, model_folder, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 5)
    words = ("--to", "torchscript", "--dynamic", "--limit", 2, "--out", tmp_path / "x")
    code, told, err = command("export", "model", model_folder, "--size", "96x160", *words)
    assert code == 0, err
    assert told.count("AP on streets") == 3
    for asked, size in (((), "128x96"), (("--size", "90x70"), "90x70")):
        stats = tmp_path / "s.json"
        assert command("video", tmp_path / "x", clip, "--stats", stats, *asked)[0] == 0
        assert json.loads(stats.read_text())["size"] == size
    code, _, err = command("video", tmp_path / "x", clip, "--size", "64x48")
    assert code == 2
    assert "from 64 pixels a side, not 48x64" in err
    code, _, err = command("export", "model", model_folder, "--size", "32x64", *words)
    assert code == 2
    assert "from 64 pixels a side, not 32x64" in err
    assert command("video", tmp_path / "x", clip)[0] == 0  # the earlier export is still there


@pytest.mark.slow
def test_mine_writes_an_index_and_names_broken_clips(command, model_folder, clip, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    words = ("--out", tmp_path / "mined", "--device", "cpu")
    code, told, err = command("mine", model_folder, clip, tmp_path / "broken.mp4", *words)
    assert code == 2
    assert "broken.mp4" in err
    assert "index.parquet" in told
    assert (tmp_path / "mined" / "index.html").exists()
    code, _, err = command("mine", model_folder, clip, *words)
    assert code == 0
    assert "1 of them mined before" in err


@pytest.mark.slow
def test_mine_finds_the_same_in_several_clips_at_a_time(command, model_folder, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for number, count in enumerate((12, 7, 9)):
        write_clip(tmp_path / f"{number}.mp4", count, range(number, 6))
    clips = [tmp_path / f"{number}.mp4" for number in range(3)]
    rows = []
    for at_once in (1, 3):
        out = tmp_path / f"mined{at_once}"
        words = ("--out", out, "--device", "cpu", "--at_once", at_once, "--min_area", 5)
        code, _, err = command("mine", model_folder, *clips, *words)
        assert code == 0, err
        rows.append(parquet.read_table(out / "index.parquet").to_pylist())
        for path in (out / "clips").glob("[!.]*.json"):
            runtime = json.loads(path.read_text())["runtime"]
            assert (runtime["backend"], runtime["device"]) == ("torch", "cpu")
    key = lambda row: (row["clip"], row["id"])  # noqa: E731
    assert close(sorted(rows[0], key=key), sorted(rows[1], key=key))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("video", "{model}", "missing.mp4"), "there is no source"),
        (("video", "/nowhere", "{clip}"), "neither as a run nor as a source"),
        (("video", "{clip}"), "carries no model"),
        (("video", "{model}", "{clip}", "--model", "fast"), "give one of them"),
        (("video", "{model}"), "name at least one source after it"),
        (("serve", "--source", "{clip}"), "carries no model"),
        (
            ("serve", "{model}", "--source", "{clip}", "--sensitivity", "low"),
            "--false_alarms 0.003",
        ),
        (("mine", "{clip}", "--out", "x"), "carries no model"),
        (("export", "model", "--to", "onnx", "--size", "64x64", "--out", "x"), "carries no model"),
        (("video", "{model}", "{clip}", "--size", "big"), "give WxH"),
        (("video", "{model}", "{clip}", "--out", "a.avi"), "ends in .mp4"),
        (("video", "{model}", "{clip}", "--out", "{clip}"), "same file"),
        (("video", "{model}", "{clip}", "--backend", "opnvino"), "`openvino`"),
        (("video", "{model}", "{clip}", "--precision", "f8"), "does not compute in"),
        (("video", "{model}", "{clip}", "--mode", "cuda_grph"), "`cuda_graph`"),
        (("video", "{model}", "{clip}", "--provider", "cdua"), "`cuda`"),
        (("video", "{model}", "{clip}", "--provider", "cuda"), "add --backend onnxruntime"),
        (("mine", "{model}", "{clip}", "--provider", "cuda", "--out", "x"), "add --backend"),
        (("serve", "{model}", "--source", "{clip}", "--provider", "cuda"), "add --backend"),
        (("video", "{model}", "{clip}", "{clip}", "--truth", "boxes.csv"), "--truth"),
        (("video", "{model}", "{clip}", "{clip}.1.mp4", "--out", "{clip}.mp4"), "same file"),
        (("video", "{model}", "{clip}", "{clip}", "--stats", "/dev/stdout"), "is no file"),
        (("video", "{model}", "{clip}", "{clip}", "--events", "."), "is no file"),
        (("video", "{model}", "{clip}", "--backend", "onnxruntime", "--mode", "eagre"), "`eager`"),
        (("video", "{model}", "{clip}", "--backend", "openvino", "--mode", "compile"), "torch's"),
        (("serve", "{model}", "--source", "{clip}", "--mode", "eagre"), "`eager`"),
        (("video", "{model}", "{clip}", "--live", "maybe"), "`--live` is maybe; it takes bool or"),
        (("mine", "{model}", "{clip}", "--out", "x", "--at_once", "2.5"), "it takes int or null"),
        (("video", "{model}", "{clip}", "--events", "/dev/null/x"), "cannot be written"),
        (("video", "{model}", "{clip}", "--false_alarms", "1e-9"), "cannot be told"),
        (("video", "{model}", "{clip}", "--start_frames", "0"), "--start_frames"),
        (("video", "{model}", "{clip}", "--widen", "0.2"), "--widen"),
        (("export", "modle", "{model}"), "`model`"),
        (("export", "model", "{model}", "--to", "onxn", "--size", "64x64", "--out", "x"), "`onnx`"),
        (("export", "model", "{model}", "--to", "onnx", "--size", "9", "--out", "x"), "give HxW"),
        (
            (
                *("export", "model", "/nowhere", "--to", "openvino", "--size", "64x64"),
                *("--out", "x", "--quantise_on", "quiet"),
            ),
            "--precision is f32: add --precision int8",
        ),
        (("mine", "{model}", "/nowhere", "--out", "x"), "names no clip"),
        (("mine", "{model}", "{clip}", "--top", "0", "--out", "x"), "--top"),
        (("mine", "{model}", "{clip}", "--at_once", "0", "--out", "x"), "--at_once"),
        (("serve", "{model}", "--source", "missing.mp4"), "there is no source"),
        (("serve", "{model}", "--source", "-"), "--source - is a pipe, which can be read once"),
        (("serve", "{model}", "--source", "{pipe}"), "pipe is a pipe, which can be read once"),
        (("serve", "{model}", "--source", "{clip}", "--loop", "7"), "`--loop` is not an option"),
        (("video", "{model}", "{clip}", "--device", "meta"), "--device meta: not usable here"),
        (("video", "{model}", "{clip}", "--truth", "b.csv", "--from_s", "1"), "from the start of"),
        (("video", "{model}", "{clip}", "--truth", "b.csv", "--loop", "0"), "leave out --from_s"),
        (("video", "{model}", "{dot}", "--out", "o.mp4"), "frames of 1x1 pixels cannot be written"),
        (("video", "{model}", "{dot}", "--score_video", "o.mp4"), "give at least 2 a side"),
    ],
)
def test_mistakes_are_explained(
    words, expected, command, model_folder, clip, tmp_path, monkeypatch, empty_box
):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    write_image(tmp_path / "dot.png", np.zeros((1, 1, 3), np.uint8))
    values = {"model": model_folder, "clip": clip}
    values |= {"pipe": tmp_path / "pipe", "dot": tmp_path / "dot.png"}
    code, _, err = command(*(str(word).format(**values) for word in words))
    assert code == 2
    assert expected in err
    assert err.splitlines()[-1].startswith(f"roadanomaly {words[0]}")
    assert "Traceback" not in err


@pytest.mark.parametrize("provider", ["tensorrt", "cuda", "openvino"])
def test_a_provider_that_is_not_installed_says_what_to_install(
    provider, command, model_folder, clip
):
    here = pytest.importorskip("onnxruntime").get_available_providers()
    if any(name.lower().startswith(provider) for name in here):
        pytest.skip(f"{provider} is installed")
    words = ("--backend", "onnxruntime", "--provider", provider)
    for command_words in (("video", model_folder, clip), ("serve", model_folder, "--source", clip)):
        code, _, err = command(*command_words, *words)
        assert code == 2
        assert "pip install onnxruntime-" in err
        assert "Traceback" not in err


def test_an_output_that_cannot_be_written_leaves_the_others_alone(
    command, model_folder, clip, tmp_path
):
    (tmp_path / "e.jsonl").write_text("of an earlier run\n")
    (tmp_path / "x.mp4").mkdir()
    for place in ("/dev/null/x.mp4", tmp_path / "x.mp4"):
        for name in ("--out", "--stats", "--components"):
            outs = ("--events", tmp_path / "e.jsonl", "--score_video", tmp_path / "s.mp4")
            code, _, err = command("video", model_folder, clip, *outs, name, place)
            assert code == 2
            assert str(place) in err
            assert (tmp_path / "e.jsonl").read_text() == "of an earlier run\n"
            assert not (tmp_path / "s.mp4").exists()


@pytest.mark.parametrize("token", ["", "schlüssel", "two words", "a;b"])
def test_a_token_that_opens_for_all_or_none_is_refused(command, model_folder, clip, token):
    words = ("--source", clip, "--host", "0.0.0.0", "--token", token)
    code, _, err = command("serve", model_folder, *words)
    assert code == 2
    assert "--token" in err


def test_serve_says_that_a_port_is_taken(command, model_folder, clip):
    import socket

    pytest.importorskip("fastapi")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = command("serve", model_folder, "--source", clip, "--port", port)
    assert code == 2
    assert "cannot listen" in err


def test_the_index_holds_what_earlier_calls_found(
    command, model_folder, clip, tmp_path, monkeypatch
):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("roadanomaly.cli.mine._worker", lambda *_: new_worker())
    other, out = write_clip(tmp_path / "other.mp4", 30, range(5, 25)), tmp_path / "mined"
    for number, one in enumerate((write_clip(clip, 30, range(2, 20)), other), 1):
        code, told, err = command("mine", model_folder, one, "--out", out)
        assert code == 0, err
        assert f"{number} events from {number} clips" in told
        assert "1 clips, 0 of them mined before" in err
    rows = parquet.read_table(out / "index.parquet").to_pylist()
    assert {row["clip"] for row in rows} == {str(clip), str(other)}
    assert (out / "index.html").read_text().count("<img") == 2


def test_the_page_s_help_names_what_it_heeds_alone(command, capsys):
    with pytest.raises(SystemExit):
        command("serve", "--help")
    told = capsys.readouterr().out
    assert not [one for one in ("--loop", "--realtime", "--from_s", "--guard_s") if one in told]
    assert "standard input" not in told


@pytest.mark.parametrize(("host", "wanted"), [("::1", "[::1]:80"), ("127.0.0.1", "127.0.0.1:80")])
def test_an_address_is_one_that_a_browser_takes(host, wanted):
    assert _host_and_port(host, 80) == wanted
    assert urlsplit(f"http://{wanted}/").hostname == host
