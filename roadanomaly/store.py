"""A catalogue's network in a folder: `<kind>.json`, `weights.safetensors`; data, no code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from roadanomaly.catalogue import Catalogue
from roadanomaly.errors import DataError
from roadanomaly.folders import standing, write_folder
from roadanomaly.model_folder import read_description
from roadanomaly.saved_model import require_finite

FORMAT = 1
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class PartStore(Generic[M]):
    """Saves and loads networks of one catalogue, each with its options.

    Args:
        catalogue: of the networks; its kind names file, key and folder within a run.
        origin: what writes such folders, for the message when there is none.
    """

    catalogue: Catalogue[M]
    origin: str

    def save(
        self, part: M, options: dict[str, Any], folder: Path, record: dict[str, Any] | None = None
    ) -> None:
        """Write a network into a folder, whole or not at all; one that is there is replaced.

        Args:
            part: out of the catalogue.
            options: that rebuild it.
            folder: where to.
            record: how it came about.

        Raises:
            UserError: the folder cannot be written, or holds files of other kinds.
        """
        kind = self.catalogue.kind
        description = {
            "format": FORMAT,
            kind: {"name": self.catalogue.name_of(part), **options},
            "record": record or {},
        }
        weights = {key: value.contiguous().cpu() for key, value in part.state_dict().items()}
        write_folder(
            folder,
            {
                f"{kind}.json": (json.dumps(description, indent=1) + "\n").encode(),
                "weights.safetensors": save(weights),
            },
        )

    def load(self, folder: str | Path) -> M:
        """Load what `save` wrote, in inference mode; a run folder works too.

        Raises:
            DataError: nothing there, or something broken.
        """
        kind, path = self.catalogue.kind, self._place(folder)
        file = f"{kind}.json"
        try:
            description = read_description(path / file)
            weights = load_file(path / "weights.safetensors", device="cpu")
            options = dict(description[kind])
            if description["format"] != FORMAT:
                msg = f"its format is {description['format']!r}, and this version reads {FORMAT}"
                raise ValueError(msg)
            part = self.catalogue.build(options.pop("name"), options)
            part.to(_precision(weights)).load_state_dict(weights)
        except FileNotFoundError as error:
            msg = (
                f"no {kind} at {path}: {Path(error.filename or path).name} is missing. Give the "
                f"folder that {self.origin} wrote, or a run that trained a {kind}."
            )
            raise DataError(msg) from error
        except (ValueError, KeyError, TypeError, RuntimeError, OSError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            msg = f"the {kind} at {path} is broken: {reason}. Save it again, or use an older one."
            raise DataError(msg) from error
        require_finite(weights, path)
        return part.eval()

    def record(self, folder: str | Path) -> dict[str, Any]:
        """Return how a network that can be loaded came about, as `save` was told."""
        held = read_description(self._place(folder) / f"{self.catalogue.kind}.json")
        return dict(held.get("record", {}))

    def _place(self, folder: str | Path) -> Path:
        """Return the folder that holds the network: this one, or a run's below it."""
        path = standing(Path(folder))
        file, below = f"{self.catalogue.kind}.json", standing(path / self.catalogue.kind)
        return below if not (path / file).exists() and (below / file).exists() else path


def _precision(weights: dict[str, Tensor]) -> torch.dtype:
    return next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32)
