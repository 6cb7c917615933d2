"""Two processes of one run on this machine, each with an exit code and an output of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.processes import Begun


def pair(work: Callable[..., int | None], *given: object) -> list[tuple[int, str]]:
    """Run a function as processes 0 and 1, without a launcher that ends one for the other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "TORCHELASTIC_RUN_ID": "pair", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0",
    }  # fmt: skip
    both = [Begun(work, *given, **common, RANK=rank, LOCAL_RANK=rank) for rank in "01"]
    try:
        outputs = ["".join(one.communicate()) for one in both]
    finally:
        for one in both:
            one.kill()
    return [(one.returncode, output) for one, output in zip(both, outputs, strict=True)]


def trained(*words: object) -> list[tuple[int, str]]:
    """Run `roadanomaly train WORDS` as two processes."""
    return pair(_train, *map(str, words))


def _train(*words: str) -> int:
    from roadanomaly.cli.main import main

    return main(["train", *words])
