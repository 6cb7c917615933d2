"""Models on the Hugging Face hub: fetched as data, looked at before and after; and put there.

Of a repository two files are read, `model.json` and `weights.safetensors`: numbers and words,
checked as those of a folder are. Nothing else is downloaded, and nothing is executed.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from roadanomaly.errors import DataError, OptionError, UserError
from roadanomaly.extras import require
from roadanomaly.files import in_words, write_text

PREFIX = "hf:"
MOST = {"model.json": 16_000_000, "weights.safetensors": 16_000_000_000}
"""Files of a model, and the bytes from which on they cannot be those of one."""

MAIN = "main"
"""The branch that the newest commit is of."""

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


class Unreachable(DataError):
    """No connection to the hub."""


def is_on_hub(model: str | Path) -> bool:
    """Return whether a model is named as one of the hub: `hf:owner/name`."""
    return str(model).startswith(PREFIX)


def fetch(model: str) -> Path:
    """Download a model, unless it is in the library's cache, and return its folder.

    Without a connection it is the commit that the revision was when it was fetched last, and a
    warning says so.

    Args:
        model: `hf:owner/name`, with `@revision` (a branch, tag or commit) where not the newest.

    Raises:
        MissingExtra: `huggingface_hub` is not installed.
        OptionError: not such a name.
        DataError: no connection and nothing fetched before, no such repository or revision, none
            that may be read, or one without a model.
    """
    name, _, revision = model.removeprefix(PREFIX).partition("@")
    repository = checked_name(name)
    hub = require("huggingface_hub", f"the model {model}")
    try:
        with _told(repository):
            found = _api(hub).model_info(repository, revision=revision or None, files_metadata=True)
    except Unreachable:
        paths = _kept(hub, repository, revision)
        if not paths:
            raise
        log.warning(
            "the hub cannot be reached; %s is taken as it was fetched last, from %s",
            repository,
            paths[0].parent,
        )
    else:
        _refuse_strange(repository, {one.rfilename: one.size for one in found.siblings or ()})
        with _told(repository):
            paths = [
                Path(hub.hf_hub_download(repository, one, revision=found.sha, endpoint=_endpoint()))
                for one in MOST
            ]
        _remember(_held(hub, repository), revision, found.sha)
    _refuse_strange(repository, {path.name: path.stat().st_size for path in paths})
    return paths[0].parent


def _held(hub: ModuleType, repository: str) -> Path:
    """Return where the library's cache keeps a repository."""
    return Path(hub.constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def _remember(held: Path, revision: str, commit: str) -> None:
    """Write down which commit a branch, tag or short commit was, where the library keeps it too."""
    place = _reference(held, revision)
    if place is not None and revision != commit:
        with suppress(UserError):  # a cache that others filled; it is needed offline alone
            write_text(place, commit)


def _reference(held: Path, revision: str) -> Path | None:
    """Return the file that says which commit a revision was; None for what Git would not call so.

    >>> _reference(Path("held"), "").as_posix()
    'held/refs/main'
    >>> _reference(Path("held"), "../other")
    """
    if revision.startswith("/") or any(one in revision for one in ("..", "\\", ":")):
        return None
    return held / "refs" / (revision or MAIN)


def _commit(held: Path, revision: str) -> str:
    """Return the commit that a revision was when it was fetched; else the revision as it is."""
    place = _reference(held, revision)
    try:
        return revision if place is None else place.read_text().strip()
    except (OSError, ValueError):
        return revision


def _kept(hub: ModuleType, repository: str, revision: str) -> list[Path]:
    """Return a model's files as they were fetched last, or of a revision; none where none were."""
    held = _held(hub, repository)
    wanted = _commit(held, revision)
    whole = [
        one for one in (held / "snapshots").glob("*") if all((one / name).exists() for name in MOST)
    ]
    commits = [one for one in whole if one.name == wanted]
    if not commits and not revision:
        commits = whole
    if not commits:
        return []
    newest = max(commits, key=lambda one: one.stat().st_mtime)
    return [newest / name for name in MOST]


def push(folder: Path, repository: str, private: bool) -> str:
    """Put a saved model's folder into a repository, which is made where there is none.

    Args:
        folder: that `Model.save` wrote.
        repository: `owner/name`.
        private: of a repository that is made.

    Returns:
        its address.

    Raises:
        MissingExtra: `huggingface_hub` is not installed.
        OptionError: not such a name.
        DataError: no connection, or not allowed.
    """
    checked_name(repository)
    hub = require("huggingface_hub", "`push_to_hub`")
    api = _api(hub)
    with _told(repository):
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=["README.md", *MOST],
            commit_message="A road-anomaly model of roadanomaly",
        )
    return str(address)


def checked_name(repository: str) -> str:
    """Return a repository's name.

    Raises:
        OptionError: it is not `owner/name`.
    """
    if not _NAME.fullmatch(repository) or ".." in repository or "--" in repository:
        msg = (
            f"{repository!r} is no repository of the hub; one is `owner/name`, of letters, digits, "
            "`-`, `_` and `.`, and is loaded by `hf:owner/name` or `hf:owner/name@revision`."
        )
        raise OptionError(msg)
    return repository


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")


def _api(hub: ModuleType) -> Any:
    return hub.HfApi(endpoint=_endpoint(), library_name="roadanomaly")


def _refuse_strange(repository: str, sizes: Mapping[str, int | None]) -> None:
    """Refuse a repository that holds no model, or files of sizes that no model has."""
    for name, most in MOST.items():
        if name not in sizes:
            msg = (
                f"{repository} on the hub holds no {name}, so it is no model of roadanomaly. "
                "`Model.push_to_hub` writes such repositories."
            )
            raise DataError(msg)
        size = sizes[name]
        if size is not None and not 0 < size <= most:
            msg = (
                f"{name} of {repository} on the hub has {in_words(size)}; a model's has at most "
                f"{in_words(most)} and is not empty. It is not read."
            )
            raise DataError(msg)


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """Turn what the library raises into a sentence."""
    hub = require("huggingface_hub.errors", "a model on the hub")
    try:
        yield
    except UserError:
        raise
    except hub.GatedRepoError as error:
        msg = (
            f"{repository} on the hub is open to those alone who accepted its terms: do so on its "
            "page, then log in by `hf auth login`."
        )
        raise DataError(msg) from error
    except hub.RepositoryNotFoundError as error:
        msg = (
            f"there is no repository {repository} on the hub, or it is private. Check the name; "
            "a private one needs `hf auth login` or the variable HF_TOKEN."
        )
        raise DataError(msg) from error
    except hub.RevisionNotFoundError as error:
        msg = f"{repository} on the hub has no such revision; leave `@...` out for the newest."
        raise DataError(msg) from error
    except hub.HfHubHTTPError as error:
        code = error.response.status_code if error.response is not None else "nothing"
        hint = (
            "it needs a token that may write: `hf auth login`, or the variable HF_TOKEN."
            if code in (401, 403)
            else "try again later."
        )
        msg = f"the hub answered {code} for {repository}: {hint}"
        raise DataError(msg) from error
    except (hub.HTTPError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = (
            f"the hub cannot be reached for {repository} ({reason}). Check the connection, or load "
            "a folder instead: `roadanomaly.load(FOLDER)`."
        )
        raise Unreachable(msg) from error
