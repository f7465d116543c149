"""The translation service that Jitsi's bridges connect to: a WebSocket server with one room for each meeting.

    async with TranslateService(settings, admit) as service:
        ...

A bridge comes with the meeting's id in the path and, where a token is configured, the token in a header. Whoever runs
the service decides what becomes of a meeting when it first appears, by `admit`.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

from aiohttp import WSMsgType, web

from webrtc.errors import LocalError, Refused, SignallingError
from webrtc.jitsi import mediajson
from webrtc.jitsi.mediajson import MAX_MESSAGE_CHARACTERS, MAX_NAME_CHARACTERS, Ping, SessionEnd
from webrtc.jitsi.translate_room import GRACE_S, Link, TranslateRoom

logger = logging.getLogger(__name__)

APPLICATION = "meeting-interpreter"

MAX_WAITING_MESSAGES = 1_024
"""A bridge that is further behind than this, seconds of everything, is disconnected: old sound helps nobody."""

MAX_BAD_MESSAGES = 100
"""A connection that says more of what cannot be read is not a bridge."""

CLOSE_TIMEOUT_S = 3.0

Host = Callable[[TranslateRoom], Coroutine[Any, Any, None]]
"""Holds the meeting in a room from its first connection on; ends when the room does, or ends it."""


class Admit(Protocol):
    """Decides what becomes of a meeting when its first connection appears."""

    def __call__(self, meeting_id: str, headers: Mapping[str, str]) -> Host:
        """Who holds the meeting.

        Args:
            meeting_id: as Jitsi names it; printable, untrusted.
            headers: of the connection, with names in any case.

        Raises:
            Refused: nobody does, and why.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TranslateSettings:
    """How and to whom the service is offered."""

    host: str = "127.0.0.1"
    """Address to bind."""

    port: int = 0
    """TCP port; 0 takes any free one."""

    tls: ssl.SSLContext | None = None
    """None serves plain WebSockets."""

    insecure: bool = False
    """Allows plain WebSockets beyond this machine: on a network of the bridges' own, or behind a proxy with TLS."""

    token: str | None = field(default=None, repr=False)
    """What bridges must show, alone or after `Bearer`; None lets in whoever reaches this machine's loopback address."""

    header: str = "Authorization"
    """In which they show it."""

    max_meetings: int = 32
    max_connections: int = 512
    max_sources: int = 128
    """People of each meeting who can be listened to."""

    grace_s: float = GRACE_S
    """For how long a lost connection counts."""

    linger_s: float = 45.0
    """For how long a meeting without connections goes on: a bridge tries again after 30 seconds at most."""

    heartbeat_s: float = 20.0
    """Between WebSocket pings; who leaves one unanswered for half of it is gone."""


@dataclass(eq=False, kw_only=True)
class _Meeting:
    """A meeting that is being held."""

    room: TranslateRoom
    task: asyncio.Task[None]
    ending: asyncio.TimerHandle | None = None


class TranslateService:
    """Serves bridges while entered.

    Args:
        settings: how.
        admit: decides on meetings.
        version: of the application, for the bridges' logs.

    Raises:
        LocalError: the settings would let strangers listen.
    """

    def __init__(self, settings: TranslateSettings, admit: Admit, version: str = "") -> None:
        _check(settings)
        self._settings = settings
        self._admit = admit
        self._version = version
        self._meetings: dict[str, _Meeting] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._draining = False

    @property
    def url(self) -> str:
        """Where bridges connect, with Jitsi's own placeholder for the meeting."""
        scheme = "ws" if self._settings.tls is None else "wss"
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"{scheme}://{host}:{self._port}/translate/{{{{MEETING_ID}}}}"

    @property
    def meetings(self) -> int:
        """How many are being held."""
        return len(self._meetings)

    @property
    def silent(self) -> bool:
        """Whether nothing is being said in any meeting."""
        return all(meeting.room.silent for meeting in self._meetings.values())

    def drain(self) -> None:
        """Lets nobody in any more and hears nobody, so that what is being said comes to an end."""
        self._draining = True
        for meeting in self._meetings.values():
            meeting.room.stop_listening()

    async def __aenter__(self) -> Self:
        """Binds and serves.

        Raises:
            LocalError: the address is taken or not this machine's.
        """
        settings = self._settings
        app = web.Application()
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/translate/{meeting_id}", self._translate)
        # No access log: bridges come and go often, and are logged by their meetings.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, settings.host, settings.port, ssl_context=settings.tls)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            where = f"{settings.host} port {settings.port}"
            raise LocalError(f"expected to listen on {where}, got: {error.strerror or error}") from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends every meeting, disconnects every bridge, frees the port."""
        self._draining = True
        tasks = [*self._ended, *(meeting.task for meeting in self._meetings.values())]
        for meeting_id in list(self._meetings):
            self._end(meeting_id, "the service is closing")
        await asyncio.gather(*tasks, return_exceptions=True)  # what went wrong was logged when it did
        for connection in list(self._connections):
            connection.hang_up("the service is closing")
            await connection.closed.wait()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        status = "draining" if self._draining else "ok"
        return web.json_response({"status": status, "meetings": self.meetings})

    async def _translate(self, request: web.Request) -> web.WebSocketResponse:
        self._check_token(request)
        meeting = self._meeting(request)
        websocket = web.WebSocketResponse(
            heartbeat=self._settings.heartbeat_s,
            max_msg_size=4 * MAX_MESSAGE_CHARACTERS,  # of UTF-8
            compress=False,  # Opus does not get smaller, and a small message must not become a large one
            timeout=CLOSE_TIMEOUT_S,
        )
        connection = _Connection(websocket, request.transport)
        self._connections.add(connection)
        try:
            await websocket.prepare(request)
            await self._serve(connection, meeting, request.match_info["meeting_id"])
        finally:
            self._connections.discard(connection)
            connection.closed.set()
        return websocket

    def _check_token(self, request: web.Request) -> None:
        token = self._settings.token
        if token is None:
            return
        shown = request.headers.get(self._settings.header, "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), token.encode()):
            logger.warning("refused a bridge without the token")
            raise web.HTTPUnauthorized(
                text=f"expected the service's token in the header {self._settings.header}"
            )

    def _meeting(self, request: web.Request) -> _Meeting:
        """The meeting that is asked for, begun if this is its first connection."""
        meeting_id = request.match_info["meeting_id"]
        if not meeting_id.isprintable() or len(meeting_id) > MAX_NAME_CHARACTERS:
            raise web.HTTPBadRequest(
                text=f"expected a meeting's id of at most {MAX_NAME_CHARACTERS} printable characters"
            )
        if self._draining:
            raise web.HTTPServiceUnavailable(text="this service is closing")
        if len(self._connections) >= self._settings.max_connections:
            raise web.HTTPServiceUnavailable(
                text=f"expected at most {self._settings.max_connections} connections, got another"
            )
        meeting = self._meetings.get(meeting_id)
        if meeting is not None:
            return meeting
        if len(self._meetings) >= self._settings.max_meetings:
            raise web.HTTPServiceUnavailable(
                text=f"expected at most {self._settings.max_meetings} meetings, got another"
            )
        try:
            host = self._admit(meeting_id, request.headers)
        except Refused as refusal:
            logger.warning("refused meeting %a: %s", meeting_id, refusal)
            raise web.HTTPBadRequest(text=str(refusal)) from None
        return self._begin(meeting_id, host)

    def _begin(self, meeting_id: str, host: Host) -> _Meeting:
        settings = self._settings
        room = TranslateRoom(meeting_id, max_sources=settings.max_sources, grace_s=settings.grace_s)
        task = asyncio.create_task(host(room), name=f"meeting {meeting_id}")
        meeting = self._meetings[meeting_id] = _Meeting(room=room, task=task)
        task.add_done_callback(partial(self._held, meeting_id, meeting))
        logger.info("meeting %a begins", meeting_id)
        return meeting

    def _held(self, meeting_id: str, meeting: _Meeting, task: asyncio.Task[None]) -> None:
        """A meeting is over; one that failed begins again with the bridges' next connections."""
        self._ended.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("meeting %a has failed", meeting_id, exc_info=task.exception())
        if self._meetings.get(meeting_id) is meeting:
            self._end(
                meeting_id, "the meeting has failed" if meeting.room.is_open else "the meeting has ended"
            )

    def _end(self, meeting_id: str, reason: str) -> None:
        meeting = self._meetings.pop(meeting_id)
        if meeting.ending is not None:
            meeting.ending.cancel()
        if not meeting.task.done():
            self._ended.add(meeting.task)
        meeting.room.close(reason)
        logger.info("meeting %a ends: %s", meeting_id, reason)

    async def _serve(self, connection: _Connection, meeting: _Meeting, meeting_id: str) -> None:
        room = meeting.room
        if not room.is_open:  # it ended while the WebSocket was being opened
            await connection.websocket.close(code=1012)
            return
        if meeting.ending is not None:
            meeting.ending.cancel()
            meeting.ending = None
        link = room.attach(connection)
        connection.send(mediajson.info(APPLICATION, self._version))
        over = False
        try:
            over = await connection.run(room, link)
        finally:
            room.detach(link, over=over)
            if room.is_open and room.connected == 0:
                wait_s = self._settings.grace_s if over else self._settings.linger_s
                loop = asyncio.get_running_loop()
                meeting.ending = loop.call_later(wait_s, self._end_unless_back, meeting_id, meeting)

    def _end_unless_back(self, meeting_id: str, meeting: _Meeting) -> None:
        meeting.ending = None
        if self._meetings.get(meeting_id) is meeting and meeting.room.connected == 0:
            self._end(meeting_id, "no bridge is connected any more")


class _Connection:
    """One bridge's WebSocket; implements `translate_room.BridgeConnection`."""

    def __init__(self, websocket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.websocket = websocket
        self._transport = transport
        self.closed = asyncio.Event()
        self._waiting: deque[str] = deque()
        self._more = asyncio.Event()
        self._reason: str | None = None
        self._abort: asyncio.TimerHandle | None = None
        self._bad = 0

    def send(self, text: str) -> None:
        """Queues a message; a bridge that does not keep up is disconnected."""
        if self._keeps_up():
            self._waiting.append(text)
            self._more.set()

    def answer(self, ping: Ping) -> None:
        """Answers before everything else that waits: a bridge waits for it no longer than three seconds."""
        if self._keeps_up():
            self._waiting.appendleft(mediajson.pong(ping))
            self._more.set()

    def _keeps_up(self) -> bool:
        behind = len(self._waiting) >= MAX_WAITING_MESSAGES
        if behind:
            self.hang_up("too far behind")
        return not behind

    def hang_up(self, reason: str) -> None:
        """Disconnects the bridge after what waits, if it takes that soon; it may come back."""
        if self._reason is None:
            self._reason = reason
            self._more.set()
            if self._transport is not None:
                loop = asyncio.get_running_loop()
                self._abort = loop.call_later(2 * CLOSE_TIMEOUT_S, self._transport.abort)

    async def run(self, room: TranslateRoom, link: Link) -> bool:
        """Serves until one side ends it; whether the bridge said that it is over."""
        writing = asyncio.create_task(self._write(), name="bridge messages out")
        try:
            return await self._read(room, link)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if self._abort is not None:
                self._abort.cancel()

    async def _read(self, room: TranslateRoom, link: Link) -> bool:
        async for message in self.websocket:
            try:
                event = mediajson.read(_text(message.type, message.data))
            except SignallingError as error:
                self._bad += 1
                if self._bad == 1:
                    logger.warning("meeting %a: connection %d: %s", room.name, link.number, error)
                if self._bad > MAX_BAD_MESSAGES:
                    await self.websocket.close(code=1008, message=b"expected mediajson")
                    return False
                continue
            match event:
                case Ping():
                    self.answer(event)
                case SessionEnd():
                    await self.websocket.close()
                    return True
                case None:
                    logger.debug("meeting %a: an unknown event", room.name)
                case _:
                    room.receive(link, event)
        return False

    async def _write(self) -> None:
        try:
            while True:
                while self._waiting:
                    await self.websocket.send_str(self._waiting.popleft())
                if self._reason is not None:
                    await self.websocket.close(code=1001, message=self._reason.encode()[:120])
                    return
                self._more.clear()
                await self._more.wait()
        except ConnectionError:
            logger.debug("a bridge went away while it was told something")


def _text(kind: WSMsgType, data: object) -> str:
    if kind is not WSMsgType.TEXT or not isinstance(data, str):
        raise SignallingError("expected text frames, got another")
    return data


def _check(settings: TranslateSettings) -> None:
    local = _is_loopback(settings.host)
    if settings.token is None and not local:
        raise LocalError(
            f"expected a token to serve beyond this machine, got none for {settings.host}: whoever reaches the service "
            "without one could have anything interpreted"
        )
    if settings.tls is None and not settings.insecure and not local:
        raise LocalError(
            f"expected TLS to serve beyond this machine, got plain WebSockets on {settings.host} "
            "(`insecure` is for a network of the bridges' own, or for use behind a TLS proxy)"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
