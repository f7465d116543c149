"""A model hub on this machine: the part of its HTTP interface that a download needs, and ways to misbehave.

Large files are redirected to a second host as the real hub does, where no token must arrive.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/some-model"
_LARGE_BYTES = 1000


@dataclass
class FakeHub:
    """What the hub holds and has seen."""

    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = COMMIT
    gated: bool = False
    down: bool = False
    busy_times: int = 0
    """The file store answers so often that it is busy."""

    token: str | None = None
    """The only token it takes; None for taking everybody."""

    cut_after: list[int] = field(default_factory=list)
    """The next connections break after so many bytes of content."""

    ignores_ranges: bool = False
    claimed_size: int | None = None
    """Announced of every file, in place of its own."""

    damaged: bool = False
    ranges: list[str] = field(default_factory=list)
    """`Range` of every GET so far, with the file's name."""

    tokens_at_store: list[str | None] = field(default_factory=list)
    """`Authorization` of every request at the second host."""

    requests: int = 0
    endpoint: str = ""
    store: str = ""

    def etag(self, name: str) -> str:
        content = self.files[name]
        if len(content) >= _LARGE_BYTES:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def fake_hub(**options: Any) -> Iterator[FakeHub]:
    """A hub and its file store, each on a port of its own of 127.0.0.1."""
    hub = FakeHub(**options)
    servers = [_serve(hub, handler) for handler in (_HubHandler, _StoreHandler)]
    hub.endpoint, hub.store = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _serve(hub: FakeHub, handler: type[_Handler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def refuse(self, status: int, code: str, message: str = "") -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        if message:
            self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_content(self, name: str) -> None:
        hub, content = self.hub, self.hub.files[name]
        size, start = len(content), 0
        if self.command == "GET":
            wanted = self.headers.get("Range", "bytes=0-")
            hub.ranges.append(f"{name} {wanted}")
            start = 0 if hub.ignores_ranges else int(wanted.removeprefix("bytes=").rstrip("-"))
        elif hub.claimed_size is not None:
            size = hub.claimed_size
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", f'"{hub.etag(name)}"')
        self.send_header("X-Repo-Commit", hub.commit)
        self.end_headers()
        if self.command == "GET":
            body = content[start:] if not hub.damaged else b"?" * len(content[start:])
            with suppress(ConnectionError):  # a client that had enough
                self.wfile.write(body[: hub.cut_after.pop(0)] if hub.cut_after else body)


class _HubHandler(_Handler):
    def do_GET(self) -> None:
        hub = self.hub
        hub.requests += 1
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        repository, _, rest = unquote(self.path[1:]).partition("/resolve/")
        revision, _, name = rest.partition("/")
        if hub.down:
            self.refuse(503, "")
        elif given and hub.token is not None and given != hub.token:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif repository != REPOSITORY:
            self.refuse(401, "RepoNotFound")
        elif hub.gated and not given:
            self.refuse(401, "GatedRepo")
        elif revision not in ("main", hub.commit):
            self.refuse(404, "RevisionNotFound")
        elif name not in hub.files:
            self.refuse(404, "EntryNotFound")
        elif len(hub.files[name]) >= _LARGE_BYTES:
            self.redirect(name)
        else:
            self.send_content(name)

    def redirect(self, name: str) -> None:
        size = len(self.hub.files[name]) if self.hub.claimed_size is None else self.hub.claimed_size
        self.send_response(302)
        self.send_header("Location", f"{self.hub.store}/{name}")
        self.send_header("X-Linked-Etag", f'"{self.hub.etag(name)}"')
        self.send_header("X-Linked-Size", str(size))
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _StoreHandler(_Handler):
    def do_GET(self) -> None:
        self.hub.tokens_at_store.append(self.headers.get("Authorization"))
        if self.hub.busy_times:
            self.hub.busy_times -= 1
            self.refuse(503, "")
            return
        self.send_content(unquote(self.path[1:]))
