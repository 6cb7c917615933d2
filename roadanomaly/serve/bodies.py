"""How much a visitor may send, and how slowly: counted as it arrives, whatever was announced."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_WORDS = 1 << 16
"""Bytes of a request that is no upload."""

SECONDS = 60.0
"""In which a request must have arrived."""


class Refused(Exception):
    """A body that is too large or too slow; ends the reading of it."""


class Bodies:
    """Refuses bodies that are too large (413) or take too long to arrive (408).

    The count is of the bytes that arrive, so a body sent in chunks, which announces no length, is
    cut off like any other. What the application answers to a body that was cut off is dropped.

    Args:
        app: what lies behind it.
        most: of a path, how many bytes it takes.
    """

    def __init__(self, app: ASGIApp, most: Callable[[str], int]) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(self.most(scope["path"]), receive, send)
        declared = Headers(scope=scope).get("content-length", "0")
        with contextlib.suppress(Refused):
            if not declared.isdigit() or int(declared[:20]) > body.most:
                body.refuse(413)
            await self.app(scope, body.receive, body.send)
        if body.answer is not None and not body.started:
            await body.answer(scope, receive, send)


class _Body:
    """One request's body on its way in, and the answer on its way out."""

    def __init__(self, most: int, receive: Receive, send: Send) -> None:
        self.most = most
        self.answer: JSONResponse | None = None
        self.started = False
        self._receive, self._send = receive, send
        self._size = 0
        self._whole = False
        self._until = time.monotonic() + SECONDS

    def refuse(self, status: int) -> None:
        """Raise `Refused`, and keep what is to be answered."""
        size = f"{self.most >> 20} MB" if self.most >> 20 else f"{self.most >> 10} kB"
        error = {
            408: f"it did not arrive within {SECONDS:g} s.",
            413: f"it is larger than {size}, the most that is taken.",
        }[status]
        self.answer = JSONResponse({"error": error}, status)
        raise Refused

    async def receive(self) -> Message:
        """Wait for the next piece."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._until - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            self.refuse(408)
        self._size += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._size > self.most:
            self.refuse(413)
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on, unless the body was refused."""
        if self.answer is None or self.started:
            self.started = True
            await self._send(message)
