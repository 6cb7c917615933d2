"""Bounded queues between the stages: full ones hold a stage back, or drop the oldest frame."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The lane gives nothing any more."""


class Lane(Generic[T]):
    """A queue between two threads.

    Args:
        size: how many items it holds.
        drop: when full, throw the oldest away instead of waiting.

    Attributes:
        dropped: how many were thrown away.
        deepest: most items that it held.
    """

    def __init__(self, size: int, *, drop: bool = False) -> None:
        self.size = size
        self.drop = drop
        self.dropped = 0
        self.deepest = 0
        self._puts = 0
        self._depths = 0
        self._items: deque[T] = deque()
        self._closed = False
        self._changed = threading.Condition()

    @property
    def mean_depth(self) -> float:
        """Items in it when one was added, that one included."""
        return self._depths / self._puts if self._puts else 0.0

    def put(self, item: T) -> None:
        """Add an item; waits, or drops the oldest, where the lane is full.

        Raises:
            Closed: nobody takes from it any more.
        """
        with self._changed:
            while len(self._items) >= self.size and not self._closed and not self.drop:
                self._changed.wait()
            if self._closed:
                raise Closed
            if len(self._items) >= self.size:
                self._items.popleft()
                self.dropped += 1
            self._items.append(item)
            self._puts += 1
            self._depths += len(self._items)
            self.deepest = max(self.deepest, len(self._items))
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> T:
        """Remove the oldest item; waits for one.

        Raises:
            Closed: it is empty and was closed.
            TimeoutError: none came in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout):
                raise TimeoutError
            if not self._items:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Let the taker have what is left, and no more be added."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
