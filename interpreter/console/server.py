"""The console's server: its page, its HTTP interface and the WebSockets of all consoles, on a port of its own.

    async with ConsoleServer(settings, desk) as server:
        print(server.link(holder))

No cookies: calls carry a token, WebSockets a ticket. Whatever is served to a browser may load nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from aiohttp import web

from interpreter.console.access import Access, Pass
from interpreter.console.connection import Connection
from interpreter.console.desk import Desk
from interpreter.console.protocol import MAX_MESSAGE_BYTES, Closed, Encoder, Heartbeat, Levels
from interpreter.console.rest import Rest, reply_of
from interpreter.console.topics import Topics
from interpreter.errors import ConfigError
from webrtc.hosted.server import STATIC as HOSTED_STATIC

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
SHARED = tuple(HOSTED_STATIC / name for name in ("base.css", "elements.js", "icon.svg"))
"""What the console's page has in common with the hosted one."""

SUBPROTOCOL = "interpreter.console.1"
TICKET_PREFIX = "ticket."
MAX_BODY_BYTES = 65_536
HARD_LIMIT_FACTOR = 4
"""A message above the protocol's limit is refused in words; above this many times as much it is not even read."""

LEVELS_S, DELTAS_S, HOUSE_S, HEARTBEAT_S = 0.1, 0.2, 1.0, 1.0
LOST_S = 60.0
"""Whoever comes back within it has come back, and is not new."""

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, kw_only=True)
class ConsoleSettings:
    """How and to whom the console is served."""

    passes: tuple[Pass, ...] = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8081
    """0 takes any free one."""

    tls: SSLContext | None = None
    public_url: str | None = None
    """Where operators reach it when that is not the bound address."""

    open_metrics: bool = True
    """Whether metrics are for anybody who reaches the port, without a token."""

    max_consoles: int = 32
    heartbeat_s: float = 10.0
    """Between WebSocket pings; a page that leaves one unanswered for half of it is gone."""


class ConsoleServer:
    """Serves the console while entered.

    Args:
        settings: how and to whom.
        desk: what is seen and done there.
        system: gives what the System page shows, slowly; runs on another thread.
    """

    def __init__(
        self, settings: ConsoleSettings, desk: Desk, system: Callable[[], Mapping[str, Any]] = dict
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._access = Access(settings.passes)
        self._topics = Topics()
        self._encoder = Encoder()
        self._rest = Rest(desk, self._access, self._topics, system, open_metrics=settings.open_metrics)
        self._connections: dict[Connection, asyncio.Event] = {}
        self._ids = itertools.count(1)
        self._lost_s: dict[str, float] = {}  # name of a pass -> when its console went away
        self._tickers: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._url = ""

    @property
    def url(self) -> str:
        """Where operators reach it, without a final slash; empty while it is not served."""
        return self._url

    def link(self, holder: Pass) -> str:
        """The link that somebody opens; a secret, whose token stands where no browser sends it."""
        return f"{self._url}/#token={holder.token}"

    async def __aenter__(self) -> Self:
        """Binds and serves.

        Raises:
            ConfigError: the address is taken or not this machine's.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            for page in self._desk.pages.values():
                await stack.enter_async_context(page)
            # No access log: a line for each call would drown everything else, and tell who looked when.
            runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, settings.host, settings.port, ssl_context=settings.tls)
            try:
                await site.start()
            except OSError as error:
                where = f"{settings.host} port {settings.port}"
                raise ConfigError(
                    f"expected to serve the console on {where} (`console.port`, --console-port), got: "
                    f"{error.strerror or error}"
                ) from error
            self._url = self._public_url(runner.addresses[0][1])
            self._stack = stack.pop_all()
        self._tickers = [
            asyncio.create_task(self._tick(LEVELS_S, self._send_levels), name="console levels"),
            asyncio.create_task(self._tick(DELTAS_S, self._send_rooms), name="console deltas"),
            asyncio.create_task(self._tick(HOUSE_S, self._send_house), name="console house"),
            asyncio.create_task(self._tick(HEARTBEAT_S, self._send_heartbeats), name="console heartbeats"),
        ]
        logger.info("the console is served on %s", self._url)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Tells every page, frees the port."""
        for ticker in self._tickers:
            ticker.cancel()
        for outcome in await asyncio.gather(*self._tickers, return_exceptions=True):
            if isinstance(outcome, Exception) and outcome is not exc:
                logger.error("the console had failed", exc_info=outcome)
        connections = dict(self._connections)
        for connection in connections:
            connection.hang_up(Closed(code="server-closing", message="The server is closing."))
        for ended in connections.values():
            await ended.wait()
        await self._stack.aclose()
        self._url = ""

    def _public_url(self, port: int) -> str:
        settings = self._settings
        if settings.public_url is not None:
            return settings.public_url.rstrip("/")
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
        scheme = "http" if settings.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_errors_as_replies])
        app.on_response_prepare.append(_harden)
        app.router.add_get("/", self._index)
        for shared in SHARED:
            app.router.add_get(f"/static/{shared.name}", partial(_file, shared))
        app.router.add_static("/static/", STATIC)
        for name, page in self._desk.pages.items():
            app.router.add_static(f"/pages/{name}/", page.static)
        app.router.add_get("/api/socket", self._socket)
        self._rest.add_to(app.router)
        return app

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    # WebSockets -----------------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if not self._origin_allowed(request):
            logger.warning("refused a console opened by a page of %a", request.headers.get("Origin"))
            return reply_of("not-allowed", "expected a WebSocket opened by this server's own page")
        holder = self._access.redeem(_ticket(request), time.monotonic())
        if holder is None:
            logger.warning("refused a console without a ticket that holds")
            return reply_of("unauthorized", "expected a ticket that was not used and is not too old")
        if len(self._connections) >= self._settings.max_consoles:
            return reply_of(
                "too-many", f"expected at most {self._settings.max_consoles} consoles, got another"
            )
        # No compression: a small message that inflates to a large one would pass the size limit.
        socket = web.WebSocketResponse(
            protocols=[SUBPROTOCOL],
            heartbeat=self._settings.heartbeat_s,
            max_msg_size=MAX_MESSAGE_BYTES * HARD_LIMIT_FACTOR,
            compress=False,
        )
        await socket.prepare(request)
        connection = Connection(
            f"c{next(self._ids)}", socket, holder, self._desk, self._topics, self._encoder
        )
        ended = self._connections[connection] = asyncio.Event()
        self._note_coming(holder)
        try:
            await connection.run()
        finally:
            del self._connections[connection]
            self._lost_s[holder.name] = time.monotonic()
            ended.set()
        return socket

    def _note_coming(self, holder: Pass) -> None:
        lost_s = self._lost_s.pop(holder.name, None)
        back = lost_s is not None and time.monotonic() - lost_s < LOST_S
        self._desk.telemetry.consoles_back += back
        logger.info("%a (%s) is at the console", holder.name, holder.standing.words)

    def _origin_allowed(self, request: web.Request) -> bool:
        """Whether our own page opened the WebSocket (RFC 6455 section 10.2)."""
        origin = _split(request.headers.get("Origin", ""))
        public = _split(self._settings.public_url or "")
        if origin is None:
            return False
        return origin == public or origin[1] == request.host

    # What is sent by itself -----------------------------------------------------------------------------------------

    async def _tick(self, every_s: float, send: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(every_s)
            if self._connections:
                send()

    def _send_levels(self) -> None:
        watched: dict[str, list[Connection]] = {}
        for connection in self._connections:
            if connection.room is not None:
                watched.setdefault(connection.room, []).append(connection)
        for room, connections in watched.items():
            levels = self._desk.levels(room)
            if levels is not None:
                message = Levels(room=room, levels=levels)
                for connection in connections:
                    connection.deliver(message)

    def _send_rooms(self) -> None:
        watched = dict.fromkeys(one.room for one in self._connections if one.room is not None)
        self._topics.refresh([f"{kind}/{room}" for room in watched for kind in ("room", "notes")])

    def _send_house(self) -> None:
        self._topics.refresh(["house", *(f"page/{name}" for name in self._desk.pages)])

    def _send_heartbeats(self) -> None:
        at = round(self._desk.wall_s(), 3)
        for connection in self._connections:
            connection.deliver(Heartbeat(at=at, topics=self._topics.sequence_numbers(connection)))


def _ticket(request: web.Request) -> str:
    """The ticket among the subprotocols that a page asks for; empty without one."""
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    words = [word.strip() for word in offered.split(",")]
    return next((word.removeprefix(TICKET_PREFIX) for word in words if word.startswith(TICKET_PREFIX)), "")


def _split(url: str) -> tuple[str, str] | None:
    """Scheme and host with port of an http URL; None for anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.scheme, parts.netloc) if parts.scheme in ("http", "https") and parts.netloc else None


async def _file(path: Path, request: web.Request) -> web.StreamResponse:
    return web.FileResponse(path)


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    fixed = request.path.startswith(("/static/", "/pages/"))
    response.headers["Cache-Control"] = "no-cache" if fixed else "no-store"


@web.middleware
async def _errors_as_replies(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refusals of the web server itself, in the form of all others."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return reply_of("too-large", f"expected at most {MAX_BODY_BYTES} bytes, got more")
    except web.HTTPNotFound:
        return reply_of("no-page", "expected an address there is, got another")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        response = reply_of("malformed", f"expected {allowed}, got {request.method[:16]!a}", status=405)
        response.headers["Allow"] = allowed
        return response
