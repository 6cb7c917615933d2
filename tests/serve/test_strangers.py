"""What strangers try: endless and slow bodies, broken headers and forms, too many at once."""

import json
import socket
import threading
import time

import httpx
import numpy as np
import pytest

from roadanomaly.runtimes import Scores
from roadanomaly.serve import bodies, server, uploads
from roadanomaly.serve.live import Shared
from tests.serve.conftest import WEB, Served
from tests.video.clips import SIZE


@pytest.fixture
def web(served):
    with httpx.Client(base_url=served.address, timeout=60) as client:
        yield client


def port(served):
    return int(served.address.rsplit(":", 1)[1])


def say(served, content):
    """Send bytes as they are; return all that is answered until the connection ends."""
    with socket.create_connection(("127.0.0.1", port(served)), timeout=20) as line:
        line.sendall(content)
        told = b""
        while piece := line.recv(65536):
            told += piece
        return told


JSON = {"content-type": "application/json"}
BOUNDARY = {"content-type": "multipart/form-data; boundary=xyz"}
BEGIN = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


def pieces(begin, piece, most):
    """Give `piece` again and again after `begin`; httpx sends this in chunks, without a length."""
    yield begin
    for _ in range(most):
        yield piece


def test_an_upload_in_chunks_is_cut_off_at_the_limit(web, served, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 200_000)
    given = pieces(BEGIN, bytes(50_000), 40)
    answer = web.post("/api/upload", content=given, headers=BOUNDARY)
    assert answer.status_code == 413
    assert "larger than" in answer.json()["error"]
    assert served.uploads._taken == 0


def test_settings_in_chunks_are_cut_off(web):
    given = pieces(b'{"rate": 0.5, "x": "', b"x" * 10_000, 100)
    answer = web.post("/api/settings", content=given)
    assert answer.status_code == 413
    declared = web.post("/api/seek", content=b" " * 100_000)
    assert declared.status_code == 413
    assert "64 kB" in declared.json()["error"]


@pytest.mark.parametrize("path", ["/api/upload", "/api/settings"])
def test_a_body_that_does_not_arrive_is_given_up(served, monkeypatch, path):
    monkeypatch.setattr(bodies, "SECONDS", 0.3)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    form = "Connection: close\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\r\n"
    told = say(served, (head + form).encode() + BEGIN)
    assert told.startswith(b"HTTP/1.1 408")
    assert served.uploads._taken == 0


@pytest.mark.parametrize("content", [b"", b"GET / HTTP/1.1\r\nHost: 127.0"])
def test_a_connection_that_says_nothing_is_closed(served, monkeypatch, content):
    monkeypatch.setattr(server, "SILENT_S", 0.2)
    assert say(served, content) == b""


@pytest.mark.parametrize("header", ["host", "origin"])
@pytest.mark.parametrize("value", ["http://[::1", "[::1", "http://[x]:y", "http://]["])
def test_broken_addresses_are_the_visitors_mistake(web, header, value):
    answer = web.get("/", headers={header: value})
    assert answer.status_code in (400, 403)
    assert "error" in answer.json()


def test_a_request_without_a_host_is_refused(served):
    assert say(served, b"GET / HTTP/1.0\r\n\r\n").split()[1] == b"403"


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/nothing"])
def test_nothing_is_told_of_how_it_is_built(web, path):
    answer = web.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "Not Found"}


FORMS = [
    ({"content-type": "multipart/form-data"}, b"--xyz\r\n"),
    (BOUNDARY, b""),
    (BOUNDARY, b"no form at all"),
    (BOUNDARY, BEGIN),
    (BOUNDARY, b"--xyz\r\nContent-Disposition\r\n\r\nx\r\n--xyz--\r\n"),
    (BOUNDARY, b'--xyz\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--xyz--\r\n'),
    (BOUNDARY, (BEGIN + b"x\r\n") * 2 + b"--xyz--\r\n"),
    (BOUNDARY, b"--xyz\r\n" + b"A: b\r\n" * 3000 + b"\r\n\r\n--xyz--\r\n"),
    ({"content-type": "multipart/form-data; boundary=" + "z" * 4000}, b"--z\r\n"),
    ({"content-type": "application/x-www-form-urlencoded"}, b"file=" + b"%ff" * 2000),
    ({"content-type": "text/plain"}, b"hello"),
]


@pytest.mark.parametrize(("headers", "content"), FORMS)
def test_broken_forms_are_explained(web, served, headers, content):
    answer = web.post("/api/upload", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert served.uploads._taken == 0


@pytest.mark.parametrize(
    "content",
    [b"[" * 60_000, b"{", b"\xff\xfe", b'{"rate": "much"}', b'{"rate": 1e999}', b'{"rate": NaN}'],
)
def test_broken_settings_are_explained(web, content):
    answer = web.post("/api/settings", content=content, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["NaN", "Infinity", "1e300"])
def test_moments_that_are_none_do_no_harm(web, served, moment):
    answer = web.post("/api/seek", content=f'{{"time_s": {moment}}}', headers=JSON)
    assert answer.status_code == (200 if moment == "1e300" else 400)
    before = served.live.serial
    assert served.becomes(lambda: served.live.serial > before)


def test_more_uploads_than_places_are_told_to_wait_and_the_page_goes_on(web, served, monkeypatch):
    free = threading.Event()

    def score(path):
        free.wait(30)
        return {"id": "1", "file": path.name}

    monkeypatch.setattr(served.uploads, "_score", score)
    answers = []

    def send():
        files = {"file": ("a.png", b"x")}
        answers.append(httpx.post(f"{served.address}/api/upload", files=files, timeout=60))

    senders = [threading.Thread(target=send) for _ in range(uploads.MOST_AT_ONCE)]
    for sender in senders:
        sender.start()
    assert served.becomes(lambda: served.uploads._taken == uploads.MOST_AT_ONCE)
    refused = web.post("/api/upload", files={"file": ("a.png", b"x")})
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    assert "busy" in refused.json()["error"]
    assert web.get("/api/status").status_code == 200
    assert web.get("/picture/overlay").status_code == 200
    free.set()
    for sender in senders:
        sender.join()
    assert [answer.status_code for answer in answers] == [200] * uploads.MOST_AT_ONCE
    assert served.uploads._taken == 0


def test_a_visitor_who_leaves_in_the_middle_gives_the_place_back(served):
    head = "POST /api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n"
    with socket.create_connection(("127.0.0.1", port(served))) as line:
        form = "Content-Type: multipart/form-data; boundary=xyz\r\n\r\n"
        line.sendall((head + form).encode() + BEGIN)
        assert served.becomes(lambda: served.uploads._taken == 1)
    assert served.becomes(lambda: served.uploads._taken == 0)


def test_a_full_disk_is_said(web, served, monkeypatch):
    async def receive(name, chunks):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(served.uploads, "receive", receive)
    answer = web.post("/api/upload", files={"file": ("a.png", b"x")})
    assert answer.status_code == 507
    assert "No space left" in answer.json()["error"]


def test_a_shared_runtime_is_fair():
    """A thread that asks again at once must not go before one that waits."""

    class Slow:
        size, name, precision, keeps_state, about = SIZE, "slow", "f32", False, {}

        def __call__(self, image):
            time.sleep(0.002)
            order.append(int(image[0]))
            return Scores(image, image, image)

    order = []
    shared, over = Shared(Slow()), threading.Event()

    def hog():
        while not over.is_set():
            shared(np.zeros(1))

    thread = threading.Thread(target=hog)
    thread.start()
    for _ in range(10):
        shared(np.ones(1))
    over.set()
    thread.join()
    mine = np.flatnonzero(order)
    assert len(mine) == 10
    assert np.diff(mine).max() <= 3


@pytest.mark.slow
def test_token_from_end_to_end(clip):
    client = pytest.importorskip("websockets.sync.client", reason=WEB)
    closed = pytest.importorskip("websockets.exceptions", reason=WEB)
    served = Served(clip, token="secret")
    assert served.becomes(lambda: served.server.started and served.live.serial > 0)
    address = served.address.replace("http", "ws") + "/ws"
    with httpx.Client(base_url=served.address, timeout=30) as web:
        for path in ("/", "/page/page.js", "/api/status", "/picture/overlay", "/stream/heat"):
            assert web.get(path).status_code == 403
        assert web.post("/api/upload", files={"file": ("a.png", b"x")}).status_code == 403
        assert web.get("/", params={"token": "gehé"}).status_code == 403
        for cookie in (b"roadanomaly_token=geh\xe9im", b"roadanomaly_token=", b"\xff"):
            assert web.get("/", headers=[(b"cookie", cookie)]).status_code == 403
        with pytest.raises(closed.InvalidStatus):
            client.connect(address)
        cookie = {"Cookie": "roadanomaly_token=secret"}
        with client.connect(address, additional_headers=cookie) as figures:
            assert "threshold" in json.loads(figures.recv(timeout=20))
        with pytest.raises(closed.InvalidStatus):
            client.connect(address, additional_headers={**cookie, "Origin": "http://evil.example"})
        assert web.get("/", params={"token": "secret"}).status_code == 303
        assert web.get("/picture/overlay").status_code == 200
        assert web.get("/", headers={"host": "any.name"}).status_code == 200
    served.close()
