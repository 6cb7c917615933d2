"""What the server answers: pictures, settings at once, seeking, uploads with limits, tokens."""

import http.client
from email.message import Message
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from roadanomaly.calibration import calibrate
from roadanomaly.data.images import write_image
from roadanomaly.serve import uploads
from roadanomaly.serve.app import PAGE
from roadanomaly.serve.live import Live, Shared
from roadanomaly.video.judge import Judge, Rules
from tests.serve.conftest import Served
from tests.video.clips import RedIsStrange, picture, write_clip


@pytest.fixture
def web(served):
    with httpx.Client(base_url=served.address, timeout=200) as client:
        yield client


def decoded(answer):
    assert answer.status_code == 200
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_page_and_health(web):
    assert web.get("/healthz").json() == {"status": "ok"}
    page = web.get("/")
    assert "roadanomaly" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for name in ("page.css", "page.js"):
        assert web.get(f"/page/{name}").status_code == 200


def test_pictures_are_the_frame_and_its_rarity(web):
    assert decoded(web.get("/picture/overlay")).shape == (96, 128, 3)
    assert decoded(web.get("/picture/heat")).shape == (96, 128, 3)
    assert web.get("/picture/depth").status_code == 404


def test_stream_gives_picture_after_picture(web):
    with web.stream("GET", "/stream/overlay") as answer:
        assert answer.headers["content-type"].startswith("multipart/x-mixed-replace")
        got = b""
        for chunk in answer.iter_bytes():
            got += chunk
            if got.count(b"--frame") >= 3:
                break
    assert got.count(b"\xff\xd8\xff") >= 2


def test_threshold_changes_the_mask_at_once_even_of_a_standing_picture(web, served):
    assert served.becomes(lambda: served.live.status()["mask_share"] > 0)
    web.post("/api/settings", json={"paused": True, "rate": 0.5})
    assert served.becomes(lambda: served.live.status()["settings"]["paused"])
    before = web.get("/api/status").json()
    loose = web.post("/api/settings", json={"rate": 0.9}).json()
    strict = web.post("/api/settings", json={"rate": 0.001}).json()
    assert loose["threshold"] < before["threshold"] < strict["threshold"]
    assert loose["mask_share"] > 0 == strict["mask_share"]
    assert web.post("/api/settings", json={"paused": False, "rate": 0.5}).status_code == 200


def test_settings_out_of_range_are_refused(web):
    assert "opacity" in web.post("/api/settings", json={"opacity": 2}).json()["error"]
    assert "cannot be told" in web.post("/api/settings", json={"rate": 1e-9}).json()["error"]


def test_events_are_listed_with_thumbnails_and_lead_to_their_moment(web, served):
    assert served.becomes(lambda: any(not e["on"] for e in served.live.status()["events"]))
    events = web.get("/api/status").json()["events"]
    done = next(event for event in events if not event["on"])
    assert decoded(web.get(f"/events/{done['key']}.jpg")).shape == (90, 160, 3)
    assert web.post("/api/seek", json={"time_s": 2.0}).status_code == 200
    assert served.becomes(lambda: 1.9 < served.live.time_s < 3)


@pytest.mark.slow
def test_a_fault_is_gone_once_there_is_a_new_picture(web, served):
    web.post("/api/seek", json={"time_s": 1e6})
    assert served.becomes(lambda: served.live.fault is not None)
    told = web.get("/api/status").json()
    assert "nothing is left" in told["fault"]
    assert served.becomes(lambda: served.live.serial > told["serial"])
    assert served.live.fault is None


def upload(web, name, content):
    return web.post("/api/upload", files={"file": (name, content)})


@pytest.mark.slow
def test_uploaded_image_and_clip_are_scored(web, tmp_path):
    write_image(tmp_path / "a.png", picture(30))
    answer = upload(web, "a.png", (tmp_path / "a.png").read_bytes())
    found = answer.json()
    assert answer.status_code == 200, found
    assert len(found["components"]) == 1
    assert decoded(web.get(found["address"])).shape == (96, 128, 3)
    clip = write_clip(tmp_path / "c.mp4", 40, range(5, 35))
    found = upload(web, "c.mp4", clip.read_bytes()).json()
    assert (found["frames"], len(found["events"]), found["cut_after"]) == (40, 1, None)
    assert web.get(found["address"]).content[4:8] == b"ftyp"


def test_boxes_of_an_uploaded_image_are_in_its_own_pixels(tmp_path):
    """The network sees it five times smaller, at 96 by 128 pixels."""
    rules = Rules(high=7, low=7, min_area=20, smooth_s=0)
    one = uploads.Uploads(Shared(RedIsStrange()), lambda: Judge(rules))
    image = np.zeros((480, 640, 3), np.uint8)
    image[200:300, 150:250, 0] = 200
    write_image(tmp_path / "image.png", image)
    found = one._image(tmp_path)
    one.close()
    assert cv2.imread(str(tmp_path / "overlay.png")).shape == (480, 640, 3)
    (component,) = found["components"]
    assert component["box"] == pytest.approx([150, 200, 250, 300], abs=5)
    assert component["area"] == pytest.approx(100 * 100, rel=0.1)


@pytest.mark.slow
def test_a_long_clip_is_told_to_be_cut(web, tmp_path):
    clip = write_clip(tmp_path / "c.mpeg", 260, [], codec="mpeg1video", kind="mpeg")
    found = upload(web, clip.name, clip.read_bytes()).json()
    assert (found["frames"], found["cut_after"]) == (250, 250)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Straße_Öl", "طريق 'a' <b>&#1; %2F", "\u202egnp"])
def test_a_result_is_saved_under_the_name_of_its_upload(web, tmp_path, name):
    write_image(tmp_path / "a.png", picture(30))
    found = upload(web, f"{name}.png", (tmp_path / "a.png").read_bytes()).json()
    answer = web.get(found["address"])
    header = answer.headers["content-disposition"]
    assert header.isascii()
    told = Message()
    told["content-disposition"] = header
    assert told.get_filename() == found["name"]
    assert found["name"] == f"{name.strip().lstrip(chr(0x202E))}_overlay.png"
    assert told.get_content_disposition() == "inline"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.png", b"no image", "cannot be used"),
        ("a.mp4", b"\0" * 5000, "cannot be used"),
        ("a.exe", b"MZ", "is not taken"),
        ("../../a", b"x", "is not taken"),
    ],
)
def test_bad_uploads_are_explained_and_the_server_lives(web, name, content, expected):
    answer = upload(web, name, content)
    assert answer.status_code == 400
    assert expected in answer.json()["error"]
    assert "/tmp" not in answer.json()["error"]
    assert web.get("/healthz").status_code == 200


def test_large_uploads_are_refused(web, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    answer = upload(web, "a.png", b"\0" * 5000)
    assert answer.status_code == 413
    assert "larger" in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["/results/1/overlay.png", "/results/..%2f/x", "/page/../app.py", "/page/%2e%2e/app.py"]
)
def test_nothing_else_is_given_away(served, path):
    """Asked without a client that tidies the path up; `app.py` lies beside the page's folder."""
    assert (PAGE / ".." / "app.py").exists()
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=30)
    connection.request("GET", path)
    assert connection.getresponse().status in (404, 400)
    connection.close()


def test_results_are_given_by_number_and_name_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one = uploads.Uploads(None, None)
    folder = Path(one._root.name) / "000001"
    folder.mkdir()
    for path in (tmp_path / "overlay.png", folder.parent / "overlay.png", folder / "overlay.png"):
        path.write_bytes(b"picture")
    (folder / "upload.png").write_bytes(b"upload")
    assert one.result("000001", "overlay.png") == folder / "overlay.png"
    asked = [("..", "overlay.png"), (".", "overlay.png"), ("000001", "upload.png")]
    asked += [("000001", "../overlay.png"), ("000001/..", "overlay.png"), ("000002", "overlay.png")]
    assert [one.result(*names) for names in asked] == [None] * len(asked)
    one.close()


def test_other_hosts_and_origins_are_refused(web):
    assert web.get("/", headers={"host": "evil.example"}).status_code == 403
    answer = web.post("/api/seek", json={"time_s": 0}, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403


def test_token_opens_the_door_once(clip):
    served = Served(clip, token="secret")
    assert served.becomes(lambda: served.server.started)
    with httpx.Client(base_url=served.address, timeout=30) as client:
        assert client.get("/").status_code == 403
        assert client.get("/?token=wrong").status_code == 403
        assert client.get("/healthz").status_code == 200
        assert client.get("/?token=secret").status_code == 303
        assert client.get("/").status_code == 200
    served.close()


def test_the_slider_moves_a_threshold_that_was_set_by_f1():
    values = np.random.default_rng(0).normal(size=100_000)
    calibration = calibrate([values], 0.01, "normal").with_f1(1.0, "other").at(way="f1")
    live = Live(None, None, calibration, Rules(high=9, low=9))
    share = live.settings.rate
    assert share == pytest.approx((values > 1).mean(), rel=0.15)
    for rate in (share, 0.001, 0.1):
        live.change(rate=rate)
        rules = live.rules()
        assert (values > rules.high).mean() == pytest.approx(rate, rel=0.15)
        assert (values > rules.low).mean() == pytest.approx(3 * rate, rel=0.15)
