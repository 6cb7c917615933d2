"""A small stand-in of the hub's HTTP interface: what fetching and pushing a model ask of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Hub:
    """Repositories in memory: name to files."""

    def __init__(self):
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.sizes: dict[str, int] = {}
        self.asked: list[str] = []
        self.private: dict[str, bool] = {}
        self.refusal = 0
        self.names: set[str] = set()

    def commit(self, name):
        text = "".join(f"{k}{hashlib.sha1(v).hexdigest()}" for k, v in self.held(name).items())
        return hashlib.sha1(text.encode()).hexdigest()

    def held(self, name):
        return self.repositories[name]


def handler(hub):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            """Keep the tests' output free of requests."""

        def answer(self, code, body=b"", headers=None):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            for key, value in {"Content-Length": len(content), **(headers or {})}.items():
                self.send_header(key, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def missing(self, code="RepoNotFound", status=404):
            self.answer(status, {"error": code}, {"X-Error-Code": code})

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            path = unquote(self.path.split("?")[0])
            hub.asked.append(f"{self.command} {path}")
            if hub.refusal:
                return self.answer(hub.refusal, {"error": "no"})
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
                return self.tell(*found.groups())
            if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self.give(*found.groups())
            return self.answer(404, {"error": path})

        def tell(self, name, revision):
            if name not in hub.repositories:
                return self.missing()
            commit = hub.commit(name)
            if revision not in (None, "main", commit, commit[:8], *hub.names):
                return self.missing("RevisionNotFound")
            files = [
                {"rfilename": file, "size": hub.sizes.get(file, len(data)), "blobId": "0"}
                for file, data in hub.held(name).items()
            ]
            about = {"_id": "1", "id": name, "sha": hub.commit(name), "siblings": files}
            return self.answer(200, {**about, "private": False, "tags": [], "downloads": 0})

        def give(self, name, revision, file):
            data = hub.repositories.get(name, {}).get(file)
            if data is None:
                return self.missing("EntryNotFound")
            tag = f'"{hashlib.sha1(data).hexdigest()}"'
            return self.answer(200, data, {"ETag": tag, "X-Repo-Commit": hub.commit(name)})

        def do_POST(self):
            path = self.path.split("?")[0]
            hub.asked.append(f"POST {path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if hub.refusal:
                return self.answer(hub.refusal, {"error": "no"})
            here = f"http://{self.headers['Host']}"
            if path == "/api/repos/create":
                given = json.loads(body)
                name = "/".join(filter(None, (given.get("organization"), given["name"])))
                hub.repositories.setdefault(name, {})
                hub.private[name] = given.get("private") or given.get("visibility") == "private"
                return self.answer(200, {"url": f"{here}/{name}", "name": name, "id": "1"})
            if path == "/api/validate-yaml":
                return self.answer(200, {"errors": [], "warnings": []})
            name, what = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(\w+)/main", path).groups()
            if what == "preupload":
                files = [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for one in json.loads(body)["files"]
                ]
                return self.answer(200, {"files": files})
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    hub.held(name)[value["path"]] = base64.b64decode(value["content"])
            oid = hub.commit(name)
            told = {"success": True, "commitOid": oid, "commitUrl": f"{here}/{name}/commit/{oid}"}
            return self.answer(200, told)

    return Handler


@contextmanager
def serving():
    """Give a hub and its address."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
