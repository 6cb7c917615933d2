"""A part that has to be prepared before it can be used; what it knows of itself is plain."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Prepared(nn.Module):
    """A module whose saved state says whether it is ready.

    The flag is a plain value and not a buffer, so that asking it waits for no device and a traced
    graph holds no question. A subclass may keep further flags and counts in the same way.

    Args:
        ready: from the start, as of a part that learns nothing; then no state is saved.

    Attributes:
        ready: whether the preparation has happened.
    """

    def __init__(self, ready: bool) -> None:
        super().__init__()
        self._plain: tuple[str, ...] = () if ready else ("ready",)
        self.ready = ready

    def keep_plain(self, *names: str) -> None:
        """Keep attributes that are flags or whole numbers in the saved state, under their names."""
        self._plain = (*self._plain, *names)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self._plain:
            destination[f"{prefix}{name}"] = torch.tensor(getattr(self, name))

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for name in self._plain:
            key = f"{prefix}{name}"
            if key in state_dict:
                kind = type(getattr(self, name))
                setattr(self, name, kind(state_dict.pop(key)))
            else:
                missing_keys.append(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
