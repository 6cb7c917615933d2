"""The `roadanomaly` command: finds the sub-command, and turns users' mistakes into one line."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import signal
import sys
import threading
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from io import TextIOWrapper
from types import FrameType

from roadanomaly.errors import UserError, nearest
from roadanomaly.heap import keep_freed
from roadanomaly.locks import torchrun_rank

COMMANDS: dict[str, str] = {
    "train": "train a detector, a segmenter alone, or a generator, from a config",
    "flow": "train a normalizing flow on inlier crops, and draw from one",
    "adapt": "teach a trained model what is ordinary on your own roads, from drives without labels",
    "fit": "fit a detector's statistics, and calibrate its threshold, on inlier frames",
    "evaluate": "score detectors on a labelled set as the benchmarks do",
    "leaderboard": "train, fit and score many recipes under equal conditions, as one table",
    "worlds": "score models on held-out worlds, by which a recipe is chosen",
    "compare": "put evaluations side by side, with intervals over frames",
    "predict": "write score, mask, overlay and components of images",
    "label": "write class maps of unlabelled images, to train on more inliers",
    "export": "write a model for another runtime, or what a benchmark accepts",
    "pack": "write a saved model in half precision, to pass it on",
    "video": "find anomalies in a camera, a stream, a file or a folder of frames",
    "serve": "show a live source on a small web page",
    "mine": "search many hours of video for the strangest events",
    "demo": "the main job from end to end: train, compare before and after, draw pictures",
    "list": "show what a config can name (segmenters, detectors, generators, ...), with options",
    "segmenter": "check a network: what it offers and costs, and one picture",
    "data": "check a data set on disk",
}
TOLD = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EISDIR,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
"""What the system refuses that a user can do something about: a sentence, and no traceback."""
USER_MISTAKE = 2
INTERRUPTED = 130


def usage() -> str:
    """Return the page that `roadanomaly --help` shows."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return (
        "usage: roadanomaly COMMAND ... | roadanomaly --version\n\n"
        f"Find what does not belong on a road.\n\ncommands:\n{lines}\n\n"
        "`roadanomaly COMMAND --help` shows a command's options with examples.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return 0, 2 for a user's mistake, 130 when interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if not given or given[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if given else USER_MISTAKE
    if given[0] in ("-V", "--version"):
        sys.stdout.write(f"roadanomaly {metadata.version('roadanomaly')}\n")
        return 0
    name, rest = given[0], given[1:]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrows
    try:
        with _terminated_like_interrupted():
            _run(name, rest)
            sys.stdout.flush()
    except (UserError, ArgumentError) as error:
        return _fail(name, str(error), USER_MISTAKE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in TOLD:
            raise
        what = error.filename or "a file"
        return _fail(name, f"{what}: {error.strerror}. Give another place or name.", USER_MISTAKE)
    except MemoryError as error:
        text = f"there is not enough memory ({error}). Give smaller numbers, or fewer at a time."
        return _fail(name, text, USER_MISTAKE)
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        text = (
            f"the GPU has not enough memory ({_asked_for(error)}). Give `--size HEIGHT WIDTH`, "
            "`--precision bf16` or `--device cpu` where the command takes them; else smaller "
            "numbers, or fewer at a time."
        )
        return _fail(name, text, USER_MISTAKE)
    except KeyboardInterrupt as stop:
        if _is_further():
            return INTERRUPTED  # the first of several processes says it
        return _fail(name, str(stop) or "interrupted.", INTERRUPTED)
    return 0


def _is_further() -> bool:
    """Tell whether several processes share the command, and this is not the first."""
    try:
        return torchrun_rank()[0] > 0
    except UserError:
        return False


def _out_of_memory(error: RuntimeError) -> bool:
    """Tell whether a GPU had no room; where torch was not imported, nothing asked one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def _asked_for(error: RuntimeError) -> str:
    """Return what could not be had: torch's first two sentences, without its advice."""
    return ". ".join(str(error).split(". ")[:2]).rstrip(".")


def _run(name: str, rest: Sequence[str]) -> None:
    if name not in COMMANDS:
        msg = f"no command is called {name!r}; {nearest(name, COMMANDS)}"
        raise UserError(msg)
    importlib.import_module(f"roadanomaly.cli.{name}").run(rest)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that it tidies up; its children it just ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = os.getpid()

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() == own:
            msg = "stopped by SIGTERM."
            raise KeyboardInterrupt(msg)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(command: str, text: str, code: int) -> int:
    sys.stderr.write(f"roadanomaly {command}: {text}\n")
    return code


def script() -> None:
    """Entry point of the installed command."""
    keep_freed()
    sys.exit(main())
