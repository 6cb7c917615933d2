"""The process that decodes what strangers send: light, and bounded before it decodes."""

import struct
import subprocess
import sys
import zlib
from unittest import mock

import numpy as np
import pytest

from roadanomaly.data.image_arrays import read_array, write_image
from roadanomaly.errors import DataError, UserError
from roadanomaly.serve import decode_worker
from roadanomaly.serve.uploads import Uploads
from tests.video.clips import frames_of, write_clip


@pytest.mark.slow
def test_it_starts_without_a_network_library():
    code = (
        "import sys, roadanomaly.serve.decode_worker; "
        "print([m for m in ('torch', 'torchvision', 'timm', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def png(width, height):
    """Make a PNG that says it is so large, and holds next to nothing."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("size", [(8000, 8000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_that_unfolds_is_refused_by_its_header(tmp_path, size, monkeypatch):
    def decode(*_):
        pytest.fail("it was decoded")

    monkeypatch.setattr("cv2.imdecode", decode)
    (tmp_path / "bomb.png").write_bytes(png(*size))
    with pytest.raises(DataError, match=r"at most 50 million"):
        read_array(tmp_path / "bomb.png", decode_worker.MOST_PIXELS)


def test_a_picture_within_the_limit_is_read(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", picture)
    assert np.array_equal(read_array(tmp_path / "a.png", 600), picture)
    with pytest.raises(DataError, match="has 30x20 pixels"):
        read_array(tmp_path / "a.png", 599)


def test_it_is_started_with_a_limit_that_its_decoder_heeds(tmp_path, monkeypatch):
    """OpenCV reads its limit once, when it is loaded."""
    started = mock.MagicMock()
    worker = started.return_value.__enter__.return_value
    worker.communicate.return_value = "", ""
    worker.returncode = 0
    monkeypatch.setattr(subprocess, "Popen", started)
    one = Uploads(None, None)
    one._decode(tmp_path / "a.png", tmp_path)
    one.close()
    monkeypatch.undo()
    environment = started.call_args.kwargs["env"]
    code = (
        "import cv2, numpy as np, sys\n"
        "for width in (7000, 7200):\n"
        "    try: found = cv2.imdecode(cv2.imencode('.png', np.zeros((7100, width), 'u1'))[1], 0)\n"
        "    except cv2.error: found = None\n"
        "    print(None if found is None else found.size)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(7000 * 7100), "None"]


@pytest.mark.parametrize(
    ("most", "kept", "cut"), [(12, 12, True), (20, 20, False), (30, 20, False)]
)
def test_it_says_whether_it_leaves_frames_out(tmp_path, monkeypatch, most, kept, cut):
    monkeypatch.setattr(decode_worker, "MOST_FRAMES", most)
    monkeypatch.setattr(decode_worker, "LIMITS", {})
    clip = write_clip(tmp_path / "given.mkv", 20)
    assert decode_worker.main(clip, tmp_path) == cut
    assert len(frames_of(tmp_path / "clip.mp4")) == kept


def test_a_copy_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    def fails(self, picture, stamp):
        raise OSError(27, "File too large")

    monkeypatch.setattr("roadanomaly.video.writer.VideoWriter._encode", fails)
    monkeypatch.setattr(decode_worker, "LIMITS", {})
    clip = write_clip(tmp_path / "given.mkv", 5)
    with pytest.raises(UserError, match=r"cannot be kept: clip\.mp4 stops at 0\.00 s: File too"):
        decode_worker.main(clip, tmp_path)


@pytest.mark.parametrize(("said", "cut"), [(decode_worker.CUT, True), ("", False)])
def test_what_it_says_is_heard(tmp_path, monkeypatch, said, cut):
    started = mock.MagicMock()
    worker = started.return_value.__enter__.return_value
    worker.communicate.return_value = said, ""
    worker.returncode = 0
    monkeypatch.setattr(subprocess, "Popen", started)
    one = Uploads(None, None)
    assert one._decode(tmp_path / "a.mp4", tmp_path) is cut
    one.close()
