"""Graphs that are written once, where several tests read them."""

from __future__ import annotations

import shutil

import pytest

from roadanomaly.runtimes.export import write_onnx


@pytest.fixture(scope="module")
def written_once(tmp_path_factory):
    """Return a `write_onnx` that writes a model's graph of a size once, and copies it after."""
    folder, known = tmp_path_factory.mktemp("graphs"), {}

    def write(model, size, path, dynamic=False):
        key = (model, size, dynamic)
        if key not in known:
            known[key] = folder / f"{len(known)}.onnx"
            write_onnx(model, size, known[key], dynamic)
        shutil.copy(known[key], path)

    return write


@pytest.fixture
def one_onnx(written_once, monkeypatch):
    """Let both runtimes that read ONNX read the same file."""
    for user in ("exported", "ready"):
        monkeypatch.setattr(f"roadanomaly.runtimes.{user}.write_onnx", written_once)
