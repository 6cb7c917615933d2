"""Keep what was read last in memory, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar


class Sized(Protocol):
    """Something that knows its memory, as an array does."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""


T = TypeVar("T", bound=Sized)


class Memory(Generic[T]):
    """The most recently used of what a function reads, for any number of threads.

    A copy in another process starts empty.

    Args:
        limit: bytes; what was used longest ago is dropped above it.
    """

    def __init__(self, limit: int = 512 * 2**20) -> None:
        self.limit = limit
        self.used = 0
        self._kept: OrderedDict[Hashable, T | None] = OrderedDict()
        self._turn = Lock()

    def get(self, key: Hashable, read: Callable[[], T | None]) -> T | None:
        """Return what `read` gave for `key`, reading only what is not kept; None is kept too."""
        with self._turn:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = read()
        with self._turn:
            if key in self._kept:  # read by another thread meanwhile
                return value
            self._kept[key] = value
            self.used += 0 if value is None else value.nbytes
            while self.used > self.limit:
                _, oldest = self._kept.popitem(last=False)
                self.used -= 0 if oldest is None else oldest.nbytes
        return value

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the content behind."""
        return type(self), (self.limit,)
