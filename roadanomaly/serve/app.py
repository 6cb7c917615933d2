"""The web server: one page, the picture as MJPEG, figures by WebSocket, settings, uploads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import Body, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.responses import StreamingResponse as Streaming
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as WebError
from starlette.requests import ClientDisconnect

from roadanomaly.errors import UserError
from roadanomaly.serve import uploads as limits
from roadanomaly.serve.bodies import MOST_WORDS, Bodies
from roadanomaly.serve.gate import Gate
from roadanomaly.serve.live import VIEWS, Live
from roadanomaly.serve.uploads import Busy, TooLarge, Uploads

PAGE = Path(__file__).parent / "page"
CHUNK = 1 << 16
UPLOAD = "/api/upload"


def build_app(live: Live, uploads: Uploads, token: str | None = None) -> FastAPI:
    """Return the application.

    Args:
        live: started and closed with it.
        uploads: closed with it.
        token: that every visitor must know, or None on this machine alone (`Gate`).
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        live.start()
        yield
        live.close()
        uploads.close()

    app = FastAPI(
        title="roadanomaly", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.add_middleware(Bodies, most=_most_bytes)
    app.add_middleware(Gate, token=token)  # the last one added is asked first
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    _add_refusals(app)
    _add_pictures(app, live)
    _add_controls(app, live)
    _add_uploads(app, uploads)
    return app


def _most_bytes(path: str) -> int:
    return limits.MOST_BYTES + CHUNK if path == UPLOAD else MOST_WORDS


def _add_refusals(app: FastAPI) -> None:
    """Answer every mistake with one sentence in `error`."""

    @app.exception_handler(UserError)
    async def refused(_: Request, error: UserError) -> Response:
        status = {Busy: 503, TooLarge: 413}.get(type(error), 400)
        again = {"Retry-After": "5"} if status == 503 else None
        return JSONResponse({"error": str(error)}, status, again)

    @app.exception_handler(WebError)
    async def unknown(_: Request, error: WebError) -> Response:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        faults = (f"`{fault['loc'][-1]}`: {fault['msg']}" for fault in error.errors())
        return JSONResponse({"error": f"{'; '.join(faults)}."}, 400)

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)

    @app.exception_handler(OSError)
    async def no_room(_: Request, error: OSError) -> Response:
        text = f"the server cannot store this: {error.strerror or type(error).__name__}."
        return JSONResponse({"error": text}, 507)

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}


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
    while not live.over.is_set():
        serial = live.serial
        if serial == shown:
            await asyncio.sleep(0.01)
            continue
        shown = serial
        content = await asyncio.to_thread(live.picture, view)
        length = f"Content-Length: {len(content)}\r\n\r\n".encode()
        yield b"--frame\r\nContent-Type: image/jpeg\r\n" + length + content + b"\r\n"


def _add_controls(app: FastAPI, live: Live) -> None:
    @app.post("/api/settings")
    def settings(
        rate: float | None = Body(None),
        opacity: float | None = Body(None),
        paused: bool | None = Body(None),
    ) -> dict[str, Any]:
        given = {"rate": rate, "opacity": opacity, "paused": paused}
        live.change(**{key: value for key, value in given.items() if value is not None})
        return live.status()

    @app.post("/api/turn")
    def turn() -> dict[str, Any]:
        live.turn()
        return live.status()

    @app.post("/api/seek")
    def seek(time_s: float = Body(embed=True)) -> dict[str, Any]:
        live.seek(time_s)
        return {"time_s": time_s}

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        return live.status()

    @app.websocket("/ws")
    async def figures(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while not live.over.is_set():
                await socket.send_json(await asyncio.to_thread(live.status))
                await asyncio.sleep(0.25)


def _add_uploads(app: FastAPI, uploads: Uploads) -> None:
    @app.post(UPLOAD)
    async def upload(request: Request) -> dict[str, Any]:
        with uploads.place():  # before anything of it is read
            path = await _store(request, uploads)
            found = await uploads.scored(path)
        return {**found, "address": f"/results/{found['id']}/{found['file']}"}

    @app.get("/results/{number}/{name}")
    def result(number: str, name: str) -> Response:
        path = uploads.result(number, name)
        if path is None:
            return Response(status_code=404)
        name = uploads.saved_name(path)  # the header encodes it: any language, no line breaks
        return FileResponse(path, filename=name, content_disposition_type="inline")


async def _store(request: Request, uploads: Uploads) -> Path:
    """Read the one file of a form into a folder of its own.

    Raises:
        UserError: the form holds no file.
        WebError: the form is broken.
    """
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            msg = "send one file, as the field `file` of a form (multipart/form-data)."
            raise UserError(msg)

        async def chunks() -> AsyncIterator[bytes]:
            while chunk := await file.read(CHUNK):
                yield chunk

        return await uploads.receive(file.filename or "", chunks())
