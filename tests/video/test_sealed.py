"""A stranger's file opens nothing else: playlists and session descriptions are refused unread."""

import socket
import threading

import pytest

from roadanomaly.errors import DataError
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from tests.video.clips import write_clip

SEALED = Reading(sealed=True, stall_s=1)
PLAYLIST = (
    "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2,\n{at}\n#EXT-X-ENDLIST\n"
)
TEXTS = {
    "playlist": PLAYLIST,
    "playlist in playlist": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{at}\n",
    "playlist with key": PLAYLIST.replace(
        "#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="{at}"\n#EXTINF'
    ),
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "list of files": "ffconcat version 1.0\nfile '{at}'\n",
    "manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">'
    '<Representation id="1"><BaseURL>{at}</BaseURL></Representation></AdaptationSet>'
    "</Period></MPD>",
    "reference": "[Reference]\nRef1={at}\n",
}


@pytest.fixture
def ears():
    """A port that notes who calls."""
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen():
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                calls.append(line)
                line.close()

        threading.Thread(target=listen, daemon=True).start()
        yield listener.getsockname()[1], calls
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_name_addresses_and_files_are_refused(tmp_path, ears, name, suffix):
    port, calls = ears
    write_clip(tmp_path / "secret.ts", 12)
    for at in (f"http://127.0.0.1:{port}/a.ts", f"tcp://127.0.0.1:{port}", "secret.ts"):
        text = TEXTS[name].format(at=at, port=port)
        (tmp_path / f"upload{suffix}").write_text(text)
        with pytest.raises(DataError, match="cannot be opened"):
            open_source(str(tmp_path / f"upload{suffix}"), SEALED)
    assert not calls


def test_what_is_refused_would_have_been_opened(tmp_path):
    """So that the test above can fail: FFmpeg alone follows a playlist of this kind."""
    write_clip(tmp_path / "secret.ts", 12)
    (tmp_path / "list.m3u8").write_text(PLAYLIST.format(at="secret.ts"))
    assert len(list(open_source(str(tmp_path / "list.m3u8")).frames((32, 32)))) == 12
    with pytest.raises(DataError, match="cannot be opened"):
        open_source(str(tmp_path / "list.m3u8"), SEALED)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts", "avi"])
def test_plain_containers_are_taken(tmp_path, kind):
    clip = write_clip(tmp_path / f"clip.{kind}", 12, codec="mpeg4" if kind == "avi" else "libx264")
    assert len(list(open_source(str(clip), SEALED).frames((32, 32)))) == 12


def test_frames_that_are_too_large_are_refused_by_their_header(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 2)
    with pytest.raises(DataError, match=r"have 128x96 pixels.*at most 0.01 million"):
        open_source(str(clip), Reading(most_pixels=10_000))
    assert open_source(str(clip), Reading(most_pixels=128 * 96)).size == (96, 128)
