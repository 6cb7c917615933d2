"""What tells one set of weights from another."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names and bytes of a module's state, first 16 digits."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
