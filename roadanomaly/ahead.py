"""Read ahead: what comes next is fetched in threads while the last is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    read: Callable[[T], R], items: Iterable[T], *, threads: int = 1, further: int = 1
) -> Iterator[tuple[T, Future[R]]]:
    """Yield each item, in order, with what is read of it; `result()` waits, and raises its error.

    Args:
        read: called once an item, in one of the threads.
        items: what to read.
        threads: how many read at once.
        further: how many items after the one that is yielded are being read.
    """
    reading = ThreadPoolExecutor(threads)
    coming: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            coming.append((item, reading.submit(read, item)))
            if len(coming) > further:
                yield coming.popleft()
        while coming:
            yield coming.popleft()
    finally:
        reading.shutdown(cancel_futures=True)
