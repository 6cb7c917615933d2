"""What the Dockerfile says, done without Docker: its files, install, start and health check."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import time
import zipfile

import pytest
from packaging.requirements import Requirement

from tests.packaging.conftest import ROOT, SOURCE, wanted
from tests.video.clips import write_clip


def instructions() -> list[tuple[str, str]]:
    """Return name and rest of each instruction."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def rest_of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def test_it_copies_what_a_build_reads_and_nothing_is_kept_from_it():
    copied = [word for rest in rest_of("COPY") for word in rest.split()[:-1]]
    assert sorted(copied) == sorted([*SOURCE, "configs", "roadanomaly"])
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{one}" for one in copied} <= set(allowed)


@pytest.mark.slow
def test_it_installs_the_package_with_extras_that_there_are(wheel):
    (install,) = (shlex.split(rest) for rest in rest_of("RUN") if "pip install" in rest)
    assert install[:4] == ["python", "-m", "pip", "install"]
    one = Requirement(install[-1].replace(".", "roadanomaly", 1))
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (one for one in packed.namelist() if one.endswith(".dist-info/METADATA"))
        about = packed.read(name).decode()
    for extra in one.extras:
        assert f"Provides-Extra: {extra}\n" in about
        needs = map(Requirement, re.findall(r"^Requires-Dist: (.+)$", about, re.MULTILINE))
        assert any(wanted(need, {extra}) and not wanted(need, set()) for need in needs)


def test_it_does_not_run_as_root():
    order = [name for name, _ in instructions()]
    assert rest_of("USER") == ["driver"]
    assert order.index("USER") > max(n for n, name in enumerate(order) if name == "RUN")


@pytest.mark.slow
def test_it_starts_and_its_health_check_tells(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clip = write_clip(tmp_path / "drive.mp4", 10, range(0))
    (entry,), (words,) = (map(json.loads, rest_of(name)) for name in ("ENTRYPOINT", "CMD"))
    assert entry == ["roadanomaly"]
    words = [str(clip) if word == "/data/drive.mp4" else word for word in words]
    check = json.loads(rest_of("HEALTHCHECK")[0].split(" CMD ")[1])
    check = [sys.executable, *(word.replace("8000", str(port)) for word in check[1:])]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 1
    started = [sys.executable, "-m", *entry, *words, "--port", str(port)]
    with subprocess.Popen(started, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        try:
            until = time.monotonic() + 240
            while subprocess.run(check, capture_output=True, check=False).returncode:
                assert server.poll() is None, server.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.5)
        finally:
            server.terminate()
