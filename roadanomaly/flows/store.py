"""A flow in a folder: `flow.json`, `weights.safetensors`; no code runs on loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roadanomaly.flows import FLOWS
from roadanomaly.flows.image_flow import ImageFlow
from roadanomaly.store import PartStore

STORE = PartStore(FLOWS, "`roadanomaly flow train`")


def save_flow(flow: ImageFlow, folder: Path, record: dict[str, Any] | None = None) -> None:
    """Write a flow into a folder, whole or not at all; a flow that is there is replaced.

    Raises:
        UserError: the folder cannot be written, or holds files of other kinds.
    """
    STORE.save(flow, flow.options(), folder, record)


def load_flow(folder: str | Path) -> ImageFlow:
    """Load what `save_flow` wrote; a run folder works too.

    Raises:
        DataError: no flow there, or a broken one.
    """
    return STORE.load(folder)
