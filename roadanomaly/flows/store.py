"""A flow in a folder: `flow.json`, `weights.safetensors`; no code runs on loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from roadanomaly.errors import DataError
from roadanomaly.files import write_folder
from roadanomaly.flows import FLOWS
from roadanomaly.flows.image_flow import ImageFlow

FORMAT = 1


def save_flow(flow: ImageFlow, folder: Path, record: dict[str, Any] | None = None) -> None:
    """Write a flow into a folder, whole or not at all; a flow that is there is replaced.

    Raises:
        UserError: the folder cannot be written, or holds files of other kinds.
    """
    description = {
        "format": FORMAT,
        "flow": {"name": FLOWS.name_of(flow), **flow.options()},
        "record": record or {},
    }
    weights = {key: value.contiguous().cpu() for key, value in flow.state_dict().items()}
    write_folder(
        folder,
        {
            "flow.json": (json.dumps(description, indent=1) + "\n").encode(),
            "weights.safetensors": save(weights),
        },
    )


def load_flow(folder: str | Path) -> ImageFlow:
    """Load what `save_flow` wrote; a run folder works too.

    Raises:
        DataError: no flow there, or a broken one.
    """
    path = Path(folder)
    if not (path / "flow.json").exists() and (path / "flow" / "flow.json").exists():
        path = path / "flow"
    try:
        description = json.loads((path / "flow.json").read_text())
        weights = load_file(path / "weights.safetensors", device="cpu")
        options = dict(description["flow"])
        if description["format"] != FORMAT:
            msg = f"its format is {description['format']!r}, and this version reads {FORMAT}"
            raise ValueError(msg)
        flow = FLOWS.build(options.pop("name"), options)
        flow.to(_precision(weights)).load_state_dict(weights)
    except FileNotFoundError as error:
        msg = (
            f"no flow at {path}: {Path(error.filename or path).name} is missing. Give the folder "
            "that `roadanomaly flow train` wrote, or a run that trained a flow."
        )
        raise DataError(msg) from error
    except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        msg = f"the flow at {path} is broken: {reason}. Save it again, or use an older one."
        raise DataError(msg) from error
    return flow.eval()


def _precision(weights: dict[str, torch.Tensor]) -> torch.dtype:
    return next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32)
