"""`roadanomaly serve`: a small web page that shows a live source and what is found in it."""

from __future__ import annotations

import re
import secrets
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from roadanomaly.cli import video_options as options
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.cli.thresholds import check_thresholds
from roadanomaly.cli.which_model import the_model
from roadanomaly.errors import OptionError
from roadanomaly.extras import require
from roadanomaly.video.judge import Judge
from roadanomaly.video.source import REOPENED, Source
from roadanomaly.video.sources import open_source

EXAMPLES = """
roadanomaly serve --source camera:0
roadanomaly serve runs/a --source drive.mp4
roadanomaly serve runs/a --source rtsp://camera/street --backend openvino --size 640x360
roadanomaly serve runs/a --source camera:0 --device cuda --precision bf16
roadanomaly serve exported --source camera:0 --provider cuda
roadanomaly serve exported --source camera:0 --host 0.0.0.0 --token SECRET
"""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def run(arguments: Sequence[str]) -> None:
    """Serve until Ctrl-C."""
    parser = new_parser("serve", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly serve [RUN] --source SOURCE [--host HOST] [--port PORT] [options]"
    parser.add_argument("run", nargs="?", help="folder of a run, a saved model or an export")
    parser.add_argument("--source", type=str, required=True, help=REOPENED)
    parser.add_argument("--host", type=str, default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument(
        "--token", type=str, default=None, help="asked of visitors; made up for other addresses"
    )
    options.add_model_options(parser, guarded=False)
    options.add_source_options(parser)
    given = parse(parser, arguments)
    _check_token(given.token)
    _check_source(given.source)
    check_thresholds(given)
    given.model = the_model(given.run, given.model)
    for package in ("uvicorn", "fastapi", "multipart", "websockets"):
        require(package, "`serve`")
    from roadanomaly.serve.app import build_app
    from roadanomaly.serve.live import Live, Shared
    from roadanomaly.serve.server import Server
    from roadanomaly.serve.uploads import Uploads

    reading = replace(options.reading(given), realtime=True)

    def source_at(time_s: float) -> Source:
        return open_source(given.source, replace(reading, start_s=time_s))

    first = source_at(0.0)
    opened = options.open_model(given)
    size = options.scored_size(given, opened, first.size)
    first.close()
    rules = options.rules(given, opened)
    listener = _listen(given.host, given.port)
    sys.stderr.write("preparing the model\n")
    runtime = Shared(opened.runtime(size))
    sys.stderr.write(options.readiness(runtime))
    live = Live(source_at, runtime, opened.calibration, rules, given.widen)
    uploads = Uploads(runtime, lambda: Judge(live.rules()))
    token = given.token
    if token is None and given.host not in LOOPBACK:
        token = secrets.token_urlsafe(12)
    address = f"http://{_host_and_port(given.host, listener.getsockname()[1])}/"
    sys.stdout.write(f"open {address}{f'?token={token}' if token else ''}\n")
    sys.stdout.flush()
    try:
        Server(build_app(live, uploads, token), live).run([listener])
    finally:
        live.close()
        uploads.close()


def _check_token(token: str | None) -> None:
    """Refuse a token that no address or cookie can hold; an empty one would let everybody in.

    Raises:
        OptionError: says which characters are taken.
    """
    if token is not None and not re.fullmatch(r"[A-Za-z0-9_.~-]+", token):
        msg = (
            f"--token {token!r} is not taken: give letters a to z, digits and any of - _ . ~, "
            "without spaces; or leave --token out, and one is made up where it is needed."
        )
        raise OptionError(msg)


def _check_source(word: str) -> None:
    """Refuse what can be read once: the page begins a source again at its end, and seeks in it.

    Raises:
        OptionError: says what to give instead.
    """
    if word == "-" or Path(word).is_fifo():
        msg = (
            f"--source {word} is a pipe, which can be read once, and the page opens its source "
            f"again and again; give {REOPENED}, or write the pipe to a file first."
        )
        raise OptionError(msg)


def _host_and_port(host: str, port: int) -> str:
    """Write both as in an address, where IPv6 has brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _listen(host: str, port: int) -> socket.socket:
    """Open the port before the model is made ready.

    Raises:
        OptionError: it is taken, or the address is not of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = str(error).rstrip(".")
        where = _host_and_port(host, port)
        msg = f"cannot listen on {where}: {reason}; give another --port, or 0 for a free one."
        raise OptionError(msg) from error
