"""What tells one network from another: its weights, its class and its options."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from torch import nn


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names and bytes of a module's state, first 16 digits."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def spelled(part: Any) -> str:
    """Return the class of a part and the options that rebuild it, as one line.

    Args:
        part: segmenter, detector or refiner. One that was loaded gives the same line as one that
            was built from the same options.
    """
    options = json.dumps(part.options(), sort_keys=True, default=str)
    return f"{type(part).__module__}:{type(part).__qualname__} {options}"


def network_key(network: Any) -> str:
    """Return one word for all that a network's answers depend on.

    Args:
        network: a segmenter; weights alone do not tell a window, a normalisation or class names.
    """
    return hashlib.sha256(f"{weights_hash(network)} {spelled(network)}".encode()).hexdigest()[:16]
