"""The server's manners: visitors that say nothing are shown out, and it ends in peace."""

from __future__ import annotations

import logging
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from roadanomaly.serve.live import Live

SILENT_S = 10.0
"""Seconds that a connection may last without a request in work."""

MOST_CONNECTIONS = 200


class Impatient(H11Protocol):
    """Closes a connection on which for some time no request was begun or worked on."""

    def connection_made(self, transport: Any) -> None:
        """Begin to watch."""
        super().connection_made(transport)
        self.loop.call_later(SILENT_S, self._look, None)

    def _look(self, before: object) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return  # gone, or a web socket now
        cycle = self.cycle
        if (cycle is None or cycle.response_complete) and cycle is before:
            self.transport.close()
        else:
            self.loop.call_later(SILENT_S, self._look, cycle)


class Server(uvicorn.Server):
    """Serves the page until a signal; then endless pictures end, and nothing is told of it.

    Args:
        app: from `build_app`.
        live: the video behind the page.
    """

    def __init__(self, app: FastAPI, live: Live) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Impatient,
                log_level="error",
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )
        self._live = live

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Let the endless answers end, so that none must be broken off."""
        self._live.over.set()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        super().handle_exit(sig, frame)
