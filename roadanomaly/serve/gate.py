"""Who may speak to the page: this machine, or who knows the token; no other site's page."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "roadanomaly_token"
LOCAL = {"127.0.0.1", "localhost", "::1", "testserver"}
FREE = "/healthz"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
REFUSED_SOCKET = 1008


class Gate:
    """Lets nobody in without the token, and no other site's page speak for a visitor.

    Args:
        app: what lies behind it.
        token: taken from `?token=` once and kept in a cookie; None lets this machine in alone.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app = app
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at the gate, or let the request through."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        answer = self._answer(HTTPConnection(scope))
        if answer is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "http":
            await answer(scope, receive, _with_headers(send))
        else:
            await send({"type": "websocket.close", "code": REFUSED_SOCKET})

    def _answer(self, asked: HTTPConnection) -> Response | None:
        """Return what the gate itself says, or None to let a visitor in."""
        if asked.scope["path"] == FREE:
            return None
        given = asked.query_params.get("token")
        if self.token is not None and given is not None and _same(given, self.token):
            welcome = RedirectResponse(asked.scope["path"], status_code=303)
            welcome.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return welcome
        try:
            allowed = self._allowed(asked)
        except ValueError:
            return JSONResponse({"error": "the Host or Origin is no address."}, 400)
        return None if allowed else JSONResponse({"error": "the token is missing or wrong."}, 403)

    def _allowed(self, asked: HTTPConnection) -> bool:
        """Check token, host name (against DNS rebinding) and origin (against other sites).

        Raises:
            ValueError: Host or Origin is no address.
        """
        host, origin = asked.headers.get("host", ""), asked.headers.get("origin")
        name = urlsplit(f"//{host}").hostname
        if origin is not None and urlsplit(origin).netloc != host:
            return False
        if self.token is None:
            return name in LOCAL
        return _same(asked.cookies.get(COOKIE, ""), self.token)


def _same(given: str, token: str) -> bool:
    """Compare in constant time, as bytes: what a stranger sends may be no ASCII."""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
