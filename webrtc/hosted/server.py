"""The server of hosted rooms: the page, its files, and the signalling WebSocket of every participant.

    async with HostedServer(settings) as server:
        async with server.add_room("clinic") as room:
            print(server.link(room))

No cookies: whoever has a room's link may join, whoever has its host link is a host there, and the WebSocket is a
participant's identity.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import secrets
import socket
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, quote, urlsplit

import ifaddr
from aiohttp import web

from webrtc.errors import LocalError
from webrtc.hosted import protocol
from webrtc.hosted.connection import Connection
from webrtc.hosted.doors import Doors
from webrtc.hosted.protocol import MAX_HOST_KEY_CHARACTERS, Closed
from webrtc.hosted.room import HostedRoom, Language, PeerFactory
from webrtc.hosted.tls import Tls, server_context, utc_now
from webrtc.hosted.whip import Door, Invitee
from webrtc.peer import IceSettings, Peer
from webrtc.room import Stored
from webrtc.tracks import Fill

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
DEFAULT_LANGUAGES = (Language(tag="en", label="English"), Language(tag="es", label="español"))
HARD_LIMIT_FACTOR = 4
"""A message above `max_message_bytes` is refused in words; above this many times as much it is not even read."""

MIN_HOST_TOKEN_CHARACTERS = 16

WELL_KNOWN = re.compile(r"/\.well-known/[A-Za-z0-9][A-Za-z0-9._-]*")
"""Paths of documents that belong to the server as a whole (RFC 8615)."""

# OWASP's HTTP headers cheat sheet; the token is in the address, so no other site may learn the address.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """Something public to serve to anybody who asks, such as keys."""

    path: str
    """Below `/.well-known/`."""

    text: str
    """JSON; nothing here looks into it."""

    content_type: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class HostedSettings:
    """How and to whom hosted rooms are served."""

    host: str = "127.0.0.1"
    """Address or host name to bind."""

    port: int = 0
    """TCP port; 0 takes any free one."""

    tls: Tls | None = None
    """None serves plain http."""

    insecure: bool = False
    """Allows plain http beyond this machine, for a proxy that adds TLS: without it pages get no microphone."""

    public_url: str | None = None
    """Where people reach the server (`https://meet.example.org`), when that is not the bound address."""

    ice: IceSettings = field(default_factory=IceSettings)
    """STUN and TURN, for us and for the pages."""

    max_participants: int = 64
    """Seats of each room."""

    max_message_bytes: int = 65_536
    """Longest signalling message; an offer with many candidates has some 5 kB."""

    languages: tuple[Language, ...] = DEFAULT_LANGUAGES
    """What people may choose."""

    join_timeout_s: float = 30.0
    """From the opening of a WebSocket to the offer; the page gathers its candidates in this time."""

    documents: tuple[Document, ...] = ()
    """Served beside the rooms, each at its own path."""

    call_origins: tuple[str, ...] = ()
    """Sites whose pages may call by WHIP and WHEP, such as `https://studio.example.org`; `*` for all."""

    heartbeat_s: float = 10.0
    """Between WebSocket pings; a page that leaves one unanswered for half of it is gone."""


class HostedServer:
    """Serves rooms while entered."""

    def __init__(self, settings: HostedSettings, make_peer: PeerFactory | None = None) -> None:
        """Checks the settings.

        Args:
            settings: how to serve.
            make_peer: makes each participant's peer; None for real ones.

        Raises:
            LocalError: the settings contradict each other.
        """
        _check(settings)
        self._settings = settings
        self._make_peer: PeerFactory = make_peer or partial(Peer, ice=settings.ice, fill=Fill.COMFORT_NOISE)
        self._rooms: dict[str, HostedRoom] = {}
        self._doors = Doors(settings.ice.servers, settings.call_origins)
        self._connections: set[Connection] = set()
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """Where people reach the server, without a final slash.

        Raises:
            LocalError: the server is not running.
        """
        if self._url is None:
            raise LocalError("expected a running server, got one that is not entered")
        return self._url

    def add_room(
        self,
        name: str,
        token: str | None = None,
        *,
        stored: tuple[Stored, ...] | None = None,
        host_token: str | None = None,
        people: tuple[Invitee, ...] = (),
    ) -> HostedRoom:
        """A new room, into which pages may come while it is entered.

        Args:
            name: for people and logs.
            token: the secret part of its link, URL-safe; None makes an unguessable one.
            stored: what is kept of the meeting, told to people before they join; None tells nothing.
            host_token: the further secret of the host's link, URL-safe, of 16 characters or more, since it may be
                guessed at; None makes an unguessable one.
            people: who may come by WHIP and WHEP, at `call_url`.

        Raises:
            LocalError: a token is taken or cannot stand in a link, or people cannot be told apart.
        """
        token = token if token is not None else secrets.token_urlsafe(16)
        host_token = host_token if host_token is not None else secrets.token_urlsafe(24)
        _check_token(token, "a room token")
        _check_token(host_token, "a host token", MIN_HOST_TOKEN_CHARACTERS, MAX_HOST_KEY_CHARACTERS)
        if host_token == token:
            raise LocalError("expected a host token other than the room's, got the same")
        if token in self._rooms:
            raise LocalError("expected each room to have its own token, got one twice")
        room = HostedRoom(
            name=name,
            token=token,
            host_token=host_token,
            languages=self._settings.languages,
            max_participants=self._settings.max_participants,
            make_peer=self._make_peer,
            ice_servers=self._settings.ice.servers,
            stored=stored,
        )
        if people:
            self._doors.open(room, people)
        self._rooms[token] = room
        return room

    def link(self, room: HostedRoom) -> str:
        """The link people open to join `room`; a secret."""
        return f"{self.url}/r/{room.token}"

    def host_link(self, room: HostedRoom) -> str:
        """The link a host opens to join and lead `room`; a secret of its own, for hosts alone.

        Its second secret stands in the fragment, which no browser sends in a request: no proxy and no log sees it.
        """
        return f"{self.link(room)}#host={room.host_token}"

    def call_url(self, room: HostedRoom, door: Door) -> str:
        """Where invited people come into `room` by WHIP or WHEP; no secret."""
        return f"{self.url}/{door.value}/{quote(room.name, safe='')}"

    async def __aenter__(self) -> Self:
        """Binds and serves.

        Raises:
            LocalError: the address is taken or not this machine's, or a TLS file cannot be used.
        """
        settings = self._settings
        tls = settings.tls
        context = server_context(tls, certificate_names(settings), utc_now()) if tls is not None else None
        # No access log: request lines hold the rooms' tokens. Handlers end with their connections, below.
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.host, settings.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{settings.host} port {settings.port}"
            raise LocalError(f"expected to listen on {where}, got: {error.strerror or error}") from error
        self._url = self._public_url(self._runner.addresses[0][1])
        logger.info("serving on %s", self._url)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes every room, tells every page, frees the port."""
        for room in self._rooms.values():
            await room.close()
        connections = list(self._connections)
        for connection in connections:
            connection.hang_up(Closed(code="server-closing", message="The server is closing."))
        for connection in connections:
            await connection.ended.wait()  # all at the same time, each within its farewell's limit
        if self._runner is not None:
            await self._runner.cleanup()
        self._url = None

    def _public_url(self, port: int) -> str:
        if self._settings.public_url is not None:
            return self._settings.public_url.rstrip("/")
        scheme = "http" if self._settings.tls is None else "https"
        host = self._settings.host
        if _is_wildcard(host):  # people cannot open 0.0.0.0
            host = next(iter(_own_addresses()), "127.0.0.1")
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def _app(self) -> web.Application:
        app = web.Application()
        app.on_response_prepare.append(_harden)
        app.router.add_get("/", self._no_room)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/r/{token}", self._page)
        app.router.add_get("/r/{token}/", self._page)  # links gain a slash on their way through mail and chat
        app.router.add_get("/r/{token}/room.json", self._room_facts)
        app.router.add_get("/r/{token}/signalling", self._signalling)
        app.router.add_static("/static/", STATIC)
        app.router.add_routes(self._doors.routes())
        for document in self._settings.documents:
            app.router.add_get(document.path, partial(_serve_document, document))
        return app

    def _room(self, request: web.Request) -> HostedRoom | None:
        room = self._rooms.get(request.match_info["token"])
        return room if room is not None and room.is_open else None

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _no_room(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "no-room.html", status=404)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if self._room(request) is None:
            return await self._no_room(request)
        return web.FileResponse(STATIC / "index.html")

    async def _room_facts(self, request: web.Request) -> web.Response:
        """What the page shows before anybody joins."""
        room = self._room(request)
        if room is None:
            return web.json_response({"code": "unknown-room"}, status=404)
        languages = [{"tag": language.tag, "label": language.label} for language in room.languages]
        stored = None if room.stored is None else [kept.value for kept in room.stored]
        return web.json_response({"room": room.name, "languages": languages, "stored": stored})

    async def _signalling(self, request: web.Request) -> web.WebSocketResponse:
        if not self._origin_allowed(request):
            logger.warning("refused a WebSocket opened by a page of %a", request.headers.get("Origin"))
            raise web.HTTPForbidden(text="expected a WebSocket opened by this server's own page")
        # No compression: a small message that inflates to a large one would pass the size limit.
        websocket = web.WebSocketResponse(
            heartbeat=self._settings.heartbeat_s,
            max_msg_size=self._settings.max_message_bytes * HARD_LIMIT_FACTOR,
            compress=False,
        )
        await websocket.prepare(request)
        room = self._room(request)
        if room is None:  # said inside the WebSocket: a page cannot read why one was not opened
            logger.warning("refused a WebSocket for a room that there is not")
            unknown = Closed(code="unknown-room", message="There is no such room.")
            await websocket.send_str(protocol.encode(unknown))
            await websocket.close()
            return websocket
        await self._serve(websocket, request.transport, room)
        return websocket

    async def _serve(
        self, websocket: web.WebSocketResponse, transport: asyncio.Transport | None, room: HostedRoom
    ) -> None:
        connection = Connection(
            websocket,
            transport,
            room,
            join_timeout_s=self._settings.join_timeout_s,
            max_message_bytes=self._settings.max_message_bytes,
        )
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _origin_allowed(self, request: web.Request) -> bool:
        """Whether our own page opened the WebSocket (RFC 6455 section 10.2)."""
        origin = _split(request.headers.get("Origin", ""))
        if origin is None:
            return False
        public = _split(self._settings.public_url or "")
        if public is not None and (origin.scheme, origin.netloc) == (public.scheme, public.netloc):
            return True
        return origin.netloc == request.host


def certificate_names(settings: HostedSettings) -> frozenset[str]:
    """Host names and addresses under which a self-signed certificate should be valid."""
    names = {"localhost", "127.0.0.1", socket.gethostname()}
    names.update(_own_addresses() if _is_wildcard(settings.host) else (settings.host,))
    public = _split(settings.public_url or "")
    if public is not None and public.hostname is not None:
        names.add(public.hostname)
    return frozenset(names)


def _is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::", "")


def _own_addresses() -> list[str]:
    """This machine's IPv4 addresses, loopback left out, in the order of its interfaces."""
    addresses = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return [str(address) for address in addresses if not str(address).startswith("127.")]


async def _serve_document(document: Document, request: web.Request) -> web.Response:
    response = web.Response(text=document.text, content_type=document.content_type)
    response.headers["Access-Control-Allow-Origin"] = "*"  # what is public may be read by any page
    return response


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    fixed = request.path.startswith("/static/")
    response.headers["Cache-Control"] = "no-cache" if fixed else "no-store"


def _check_token(token: str, what: str, least: int = 1, most: int | None = None) -> None:
    if not all(c.isascii() and (c.isalnum() or c in "-_") for c in token):
        raise LocalError(f"expected {what} of letters, digits, - and _, got another character")
    if len(token) < least or (most is not None and len(token) > most):
        longest = f" to {most}" if most is not None else " or more"
        raise LocalError(f"expected {what} of {least}{longest} characters, got {len(token)}")


def _check(settings: HostedSettings) -> None:
    if settings.tls is None and not settings.insecure and not _is_loopback(settings.host):
        raise LocalError(
            f"expected TLS to serve beyond this machine, got plain http on {settings.host}: browsers give no "
            "microphone without TLS (a self-signed certificate will do; `insecure` is for use behind a TLS proxy)"
        )
    if settings.public_url is not None and _split(settings.public_url) is None:
        raise LocalError(f"expected a public URL like https://meet.example.org, got {settings.public_url!r}")
    if not settings.languages:
        raise LocalError("expected at least one language to offer, got none")
    paths = [document.path for document in settings.documents]
    for path in paths:
        if not WELL_KNOWN.fullmatch(path) or paths.count(path) > 1:
            raise LocalError(f"expected a path of its own below /.well-known/ for a document, got {path!a}")
    if settings.max_participants < 1:
        raise LocalError(f"expected room for at least one participant, got {settings.max_participants}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str) -> SplitResult | None:
    """The parts of an http or https URL, or None when it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname is not None
        return parts if usable and parts.port != 0 else None
    except ValueError:
        return None
