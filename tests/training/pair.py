"""Two processes of one run on this machine, each with an exit code and an output of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys


def pair(*words: object) -> list[tuple[int, str]]:
    """Run `python WORDS` as processes 0 and 1, without a launcher that ends one for the other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "TORCHELASTIC_RUN_ID": "pair", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.getcwd(),  # noqa: PTH109
    }  # fmt: skip
    both = [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            env={**os.environ, **common, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    try:
        outputs = [one.communicate(timeout=300)[0] for one in both]
    finally:
        for one in both:
            one.kill()
    return [(one.returncode, output) for one, output in zip(both, outputs, strict=True)]
