"""The web server: one page, the picture as MJPEG, figures by WebSocket, settings, uploads."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import Body, FastAPI, File, Request, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.responses import StreamingResponse as Streaming
from fastapi.staticfiles import StaticFiles

from roadanomaly.errors import UserError
from roadanomaly.serve import uploads as limits
from roadanomaly.serve.live import VIEWS, Live
from roadanomaly.serve.uploads import TooLarge, Uploads

PAGE = Path(__file__).parent / "page"
COOKIE = "roadanomaly_token"
LOCAL = {"127.0.0.1", "localhost", "::1", "testserver"}
CHUNK = 1 << 16
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Handler = Callable[[Request], Awaitable[Response]]


def build_app(live: Live, uploads: Uploads, token: str | None = None) -> FastAPI:
    """Return the application.

    Args:
        live: started and closed with it.
        uploads: closed with it.
        token: that every visitor must know, or None on this machine alone. It is taken from
            `?token=` once and kept in a cookie.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live.start()
        yield
        live.close()
        uploads.close()

    app = FastAPI(title="roadanomaly", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    _guard(app, token)
    _add_pictures(app, live)
    _add_controls(app, live, token)
    _add_uploads(app, uploads)
    return app


def _guard(app: FastAPI, token: str | None) -> None:
    """Let nobody in without the token, and no other site's page speak for a visitor."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Handler) -> Response:
        if request.url.path == "/healthz":
            return await call_next(request)
        given = request.query_params.get("token")
        if token is not None and given is not None and hmac.compare_digest(given, token):
            welcome = RedirectResponse(request.url.path, status_code=303)
            welcome.set_cookie(COOKIE, token, httponly=True, samesite="strict")
            return welcome
        if not _allowed(request.headers, request.cookies, token):
            return JSONResponse({"error": "the token is missing or wrong."}, 403)
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(UserError)
    async def refused(_: Request, error: UserError) -> Response:
        return JSONResponse({"error": str(error)}, 413 if isinstance(error, TooLarge) else 400)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}


def _allowed(headers: object, cookies: object, token: str | None) -> bool:
    """Check token, host name (against DNS rebinding) and origin (against other sites)."""
    host = headers.get("host", "")  # type: ignore[attr-defined]
    origin = headers.get("origin")  # type: ignore[attr-defined]
    if origin is not None and urlsplit(origin).netloc != host:
        return False
    if token is None:
        return urlsplit(f"//{host}").hostname in LOCAL
    return hmac.compare_digest(cookies.get(COOKIE, ""), token)  # type: ignore[attr-defined]


def _add_pictures(app: FastAPI, live: Live) -> None:
    @app.get("/")
    def page() -> Response:
        return FileResponse(PAGE / "index.html")

    @app.get("/picture/{view}")
    def picture(view: str) -> Response:
        content = live.picture(view) if view in VIEWS else b""
        return Response(content, 200 if content else 404, media_type="image/jpeg")

    @app.get("/stream/{view}")
    async def stream(view: str) -> Response:
        if view not in VIEWS:
            return Response(status_code=404)
        kind = "multipart/x-mixed-replace; boundary=frame"
        return Streaming(_parts(live, view), media_type=kind)

    @app.get("/events/{key}.jpg")
    def thumbnail(key: str) -> Response:
        content = live.event_picture(key)
        return Response(content or b"", 200 if content else 404, media_type="image/jpeg")


async def _parts(live: Live, view: str) -> AsyncIterator[bytes]:
    """Yield each new picture as a part of a multipart answer."""
    shown = -1
    while True:
        serial = live.serial
        if serial == shown:
            await asyncio.sleep(0.01)
            continue
        shown = serial
        content = await asyncio.to_thread(live.picture, view)
        length = f"Content-Length: {len(content)}\r\n\r\n".encode()
        yield b"--frame\r\nContent-Type: image/jpeg\r\n" + length + content + b"\r\n"


def _add_controls(app: FastAPI, live: Live, token: str | None) -> None:
    @app.post("/api/settings")
    def settings(
        rate: float | None = Body(None),
        opacity: float | None = Body(None),
        paused: bool | None = Body(None),
    ) -> dict:
        given = {"rate": rate, "opacity": opacity, "paused": paused}
        live.change(**{key: value for key, value in given.items() if value is not None})
        return live.status()

    @app.post("/api/turn")
    def turn() -> dict:
        live.turn()
        return live.status()

    @app.post("/api/seek")
    def seek(time_s: float = Body(embed=True)) -> dict:
        live.seek(time_s)
        return {"time_s": time_s}

    @app.get("/api/status")
    def status() -> dict:
        return live.status()

    @app.websocket("/ws")
    async def figures(socket: WebSocket) -> None:
        if not _allowed(socket.headers, socket.cookies, token):
            await socket.close(1008)
            return
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await socket.send_json(await asyncio.to_thread(live.status))
                await asyncio.sleep(0.25)


def _add_uploads(app: FastAPI, uploads: Uploads) -> None:
    @app.middleware("http")
    async def limit(request: Request, call_next: Handler) -> Response:
        declared = request.headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > limits.MOST_BYTES + CHUNK:
            error = f"the file is larger than {limits.MOST_BYTES >> 20} MB."
            return JSONResponse({"error": error}, 413)
        return await call_next(request)

    @app.post("/api/upload")
    async def upload(file: UploadFile = File()) -> dict:  # noqa: B008 (FastAPI's way)
        async def chunks() -> AsyncIterator[bytes]:
            while chunk := await file.read(CHUNK):
                yield chunk

        path = await uploads.receive(file.filename or "", chunks())
        found = await asyncio.to_thread(uploads.score, path)
        return {**found, "address": f"/results/{found['id']}/{found['file']}"}

    @app.get("/results/{number}/{name}")
    def result(number: str, name: str) -> Response:
        path = uploads.result(number, name)
        return FileResponse(path) if path is not None else Response(status_code=404)
