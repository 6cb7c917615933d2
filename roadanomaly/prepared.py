"""A part that has to be prepared before it can be used, and remembers whether it was."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Prepared(nn.Module):
    """A module whose saved state says whether it is ready.

    The flag is a plain value and not a buffer, so that asking it waits for no device and a traced
    graph holds no question.

    Args:
        ready: from the start, as of a part that learns nothing; then no state is saved.

    Attributes:
        ready: whether the preparation has happened.
    """

    def __init__(self, ready: bool) -> None:
        super().__init__()
        self._saves_ready = not ready
        self.ready = ready

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._saves_ready:
            destination[f"{prefix}ready"] = torch.tensor(self.ready)

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
        key = f"{prefix}ready"
        if self._saves_ready and key in state_dict:
            self.ready = bool(state_dict.pop(key))
        elif self._saves_ready:
            missing_keys.append(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
