"""A bank of feature vectors: a bounded sample of all that passed, thinned, and searched."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from roadanomaly.detectors.coreset import greedy_centres
from roadanomaly.detectors.neighbours import nearest_rows


class FeatureBank(nn.Module):
    """Vectors that follow their module from device to device, and are saved with it.

    Args:
        size: greatest number of rows that `add` keeps; their memory is taken at the first one.
        saved: whether the state holds the rows; False for a bank that only serves a fit.
    """

    store: Tensor
    keys: Tensor

    def __init__(self, size: int, *, saved: bool = True) -> None:
        super().__init__()
        self.size, self.saved = size, saved
        self.register_buffer("store", torch.zeros(0, 0), persistent=False)
        self.register_buffer("keys", torch.zeros(0, dtype=torch.float64), persistent=False)
        self.clear()

    def __len__(self) -> int:
        return self.count

    @property
    def rows(self) -> Tensor:
        """`(N, ...)` float32, N at most `size`, in no order that means anything."""
        return self.store[: self.count]

    def add(self, rows: Tensor) -> None:
        """Show rows to the bank, which keeps a uniform sample without replacement of all it saw.

        Every row gets a random key from the processor's generator, so the torch seed decides on
        any device; the `size` smallest keys stay.

        Args:
            rows: `(M, ...)`, of the same shape in every call.

        Raises:
            ValueError: the bank was thinned or loaded: `clear` it first.
        """
        if self.complete:
            msg = "rows cannot be added to a bank that was thinned or loaded: clear it first."
            raise ValueError(msg)
        device = self.store.device
        keys = torch.rand(len(rows), dtype=torch.float64).to(device)
        with torch.inference_mode(False), torch.no_grad():
            if not self.count:
                self.store = torch.empty(self.size, *rows.shape[1:], device=device)
                self.keys = torch.empty(self.size, dtype=torch.float64, device=device)
            first, free = self.count, min(self.size - self.count, len(rows))
            self.count += free
            self.store[first : self.count] = rows[:free].to(device)
            self.keys[first : self.count] = keys[:free]
            if free < len(rows):
                self._replace(rows[free:].to(device), keys[free:])

    def _replace(self, rows: Tensor, keys: Tensor) -> None:
        """Put rows of small keys in the places of those with larger ones; the bank is full."""
        stays = torch.zeros(self.size + len(rows), dtype=torch.bool, device=keys.device)
        stays[torch.cat([self.keys, keys]).topk(self.size, largest=False).indices] = True
        places = (~stays[: self.size]).nonzero()[:, 0]
        entering = stays[self.size :].nonzero()[:, 0]
        self.store[places] = rows[entering].to(self.store.dtype)
        self.keys[places] = keys[entering]

    def clear(self) -> None:
        """Forget all rows."""
        self.count, self.complete = 0, False
        with torch.inference_mode(False):
            self.store, self.keys = self.store.new_zeros(0, 0), self.keys.new_zeros(0)

    def thin(self, count: int, dimensions: int = 0) -> None:
        """Keep `count` rows that cover the others well; see `greedy_centres`.

        Args:
            count: of rows to keep; all stay if there are fewer.
            dimensions: of the random projection on which distances are taken; 0 for none.
        """
        kept = greedy_centres(self.rows.flatten(1), min(count, len(self)), dimensions)
        self._hold(self.rows[kept])

    def nearest(self, queries: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
        """Find the nearest rows of a bank of vectors; see `nearest_rows`.

        Args:
            queries: `(..., C)` on the bank's device.
            k: of neighbours, 1 to `len(self)`.

        Returns:
            Euclidean distances `(..., k)` float32, rising, and numbers of the rows `(..., k)`.

        Raises:
            ValueError: there are not `k` rows.
        """
        return nearest_rows(self.rows, queries, k)

    def _hold(self, rows: Tensor) -> None:
        """Hold these rows and take no others."""
        with torch.inference_mode(False), torch.no_grad():
            self.store = torch.empty(rows.shape, device=self.store.device).copy_(rows)
            self.keys = self.keys.new_zeros(0)
        self.count, self.complete = len(rows), True

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put the rows into a state."""
        del keep_vars
        if self.saved:
            destination[f"{prefix}rows"] = self.rows

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, _: Any, __: bool, missing_keys: list[str], *others: Any
    ) -> None:
        """Take as many rows as a state holds."""
        del others
        if not self.saved:
            return
        if f"{prefix}rows" in state_dict:
            self._hold(state_dict[f"{prefix}rows"])
        else:
            missing_keys.append(f"{prefix}rows")
