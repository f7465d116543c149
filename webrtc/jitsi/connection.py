"""The one file of the Jitsi bot's signalling with sockets: finds a meeting's server, and drives a `Conference`.

    server = await discover(parse_meeting_url("https://meet.example/room"))
    async with JitsiConnection(SeatSettings(server=server, room="room", display_name="Interpreter")) as seat:
        async for event in seat.events():
            ...

Certificates are verified, always: whoever runs a server with an authority of their own passes a context that knows it.
The token goes into the WebSocket's URL, as Jitsi wants it; no URL with a query is ever logged or put into an error.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import Element

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from webrtc.errors import Refused as RefusedError
from webrtc.jitsi.conference import Conference
from webrtc.jitsi.conference_events import ConferenceEvent, Ended, Refused, SeatSettings
from webrtc.jitsi.conference_request import MAX_ANSWER_CHARACTERS, HttpRequest
from webrtc.jitsi.config_script import MAX_SCRIPT_CHARACTERS
from webrtc.jitsi.discovery import MeetingUrl, Overrides, Server, is_loopback, server_from_config
from webrtc.jitsi.presence import Occupant
from webrtc.jitsi.refusals import Refusal, sentence
from webrtc.jitsi.stanza import IqError
from webrtc.jitsi.xml import MAX_CHARACTERS

logger = logging.getLogger(__name__)

HTTP_TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 15.0
SOCKET_CLOSE_TIMEOUT_S = 1.0
"""A connection that is dead says no goodbye, and another one is to follow."""

MAX_WAITING_EVENTS = 10_000
"""A reader so far behind has stopped reading; the oldest are dropped, and counted in the log."""


async def discover(
    url: MeetingUrl, overrides: Overrides | None = None, *, tls: ssl.SSLContext | None = None
) -> Server:
    """How to get into a meeting, by its server's `config.js`.

    Args:
        url: the meeting.
        overrides: go before what the server says.
        tls: knows an authority of the server's own; None trusts those the system does.

    Raises:
        Refused: the server cannot be reached or does not say it, in words for the host.
    """
    timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
    connector = aiohttp.TCPConnector(ssl=tls or True)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            session.get(url.config_url) as response,
        ):
            if url.secure and response.url.scheme != "https":
                raise RefusedError(f"{url.host} sends to an address in clear instead of its config.js")
            status = response.status
            script = (await _bounded(response, MAX_SCRIPT_CHARACTERS)) if status == 200 else ""
    except aiohttp.ClientConnectorCertificateError:
        raise RefusedError(sentence(Refusal.CERTIFICATE)) from None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise RefusedError(sentence(Refusal.UNREACHABLE)) from None
    if status != 200:
        logger.warning("%s answers %d when asked for config.js", url.host, status)
    return server_from_config(script, url, overrides)


async def _bounded(response: aiohttp.ClientResponse, most: int) -> str:
    """The body as text, or as much of it as anybody would read."""
    data = bytearray()
    async for part in response.content.iter_chunked(65_536):
        data += part
        if len(data) > most:
            break
    return data.decode("utf-8", "replace")


def socket_url(settings: SeatSettings, resume_id: str) -> str:
    """The WebSocket's URL with what Jitsi's servers look for in it; secret where there is a token.

    Args:
        settings: whose room and token go into it.
        resume_id: of the session to resume; empty for none.
    """
    query = f"room={quote(settings.room, safe='')}"
    if settings.token:
        query += f"&token={quote(settings.token, safe='')}"
    if resume_id:
        query += f"&previd={quote(resume_id, safe='')}"
    return f"{settings.server.websocket}?{query}"


class JitsiConnection:
    """One seat in a conference, while entered; reconnects by itself, and leaves when it is left.

    Args:
        settings: where and as whom.
        tls: knows an authority of the server's own; None trusts those the system does.
        insecure: allows connections in clear beyond this machine.

    Raises:
        Refused: the server would have to be reached in clear.
    """

    def __init__(
        self, settings: SeatSettings, *, tls: ssl.SSLContext | None = None, insecure: bool = False
    ) -> None:
        for address in (settings.server.websocket, settings.server.conference_request or ""):
            parts = urlsplit(address)
            if parts.scheme in ("ws", "http") and not (insecure or is_loopback(parts.hostname or "")):
                raise RefusedError(
                    f"expected a secure address of {parts.hostname}: passwords and tokens must not travel in clear"
                )
        self._settings = settings
        self._tls = tls
        self._core = Conference(settings, secrets.token_hex)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._waiting_events: deque[ConferenceEvent] = deque(maxlen=MAX_WAITING_EVENTS)
        self._event_came = asyncio.Event()
        self._over = False
        self._task: asyncio.Task[None] | None = None
        self._http_tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begins to connect; `events` tells how it goes."""
        self._core.start(self._loop.time())
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leaves the room, so that nothing of us stays behind, and waits for that: some seconds at most."""
        self.leave()
        if self._task is not None:
            await self._task

    async def events(self) -> AsyncIterator[ConferenceEvent]:
        """Everything that happens, in order, to one reader; ends behind `Refused` or `Ended`."""
        while True:
            while self._waiting_events:
                event = self._waiting_events.popleft()
                yield event
                if isinstance(event, (Refused, Ended)):
                    return
            if self._over:
                return
            self._event_came.clear()
            await self._event_came.wait()

    # What whoever sits here sees and says.

    @property
    def nick(self) -> str:
        """Our id in the room; empty before the login."""
        return self._core.room.nick

    @property
    def jid(self) -> str:
        """Our own address; empty before the login."""
        return self._core.jid

    @property
    def room_jid(self) -> str:
        """The room's address."""
        return self._core.room.room_jid

    @property
    def occupants(self) -> Mapping[str, Occupant]:
        """Everybody else in the room, the focus included, by nick."""
        return self._core.room.roster.occupants

    @property
    def focus(self) -> str:
        """The focus' address in the room; empty while it is not there."""
        return self._core.room.focus

    @property
    def forced_mute(self) -> bool:
        """A moderator has muted us."""
        return self._core.room.forced_mute

    def send_jingle(self, jingle: Element, to: str | None = None) -> str:
        """Sends something about media; `JingleAnswered` follows.

        Args:
            jingle: the element.
            to: an address in the room; None is the focus.

        Returns:
            an id to know the answer by.
        """
        request_id = self._core.room.send_jingle(jingle, to, self._loop.time())
        self._changed()
        return request_id

    def reply_result(self, iq_id: str) -> None:
        """Accepts what a `JingleReceived` asked."""
        self._core.room.reply(iq_id, None)
        self._changed()

    def reply_error(
        self, iq_id: str, condition: str, app_condition: str = "", kind: str = "cancel", text: str = ""
    ) -> None:
        """Refuses what a `JingleReceived` asked.

        Args:
            iq_id: of the event.
            condition: such as `item-not-found` (RFC 6120 section 8.3.3).
            app_condition: qualified name of what says it more exactly.
            kind: `cancel`, `modify`, `auth` or `wait`.
            text: for people.
        """
        error = IqError(condition=condition, app_condition=app_condition, kind=kind, text=text)
        self._core.room.reply(iq_id, error)
        self._changed()

    def say(self, text: str, to: str | None = None) -> None:
        """Writes into the room's chat, or to one person.

        Args:
            text: what; cut where it is longer than any chat shows.
            to: nick of the person; None is everybody.
        """
        self._core.room.say(text, to)
        self._changed()

    def set_muted(self, source: str, muted: bool) -> bool:
        """Tells the room whether one of our sources is muted.

        Args:
            source: as in the settings, without the nick.
            muted: what it is to be.

        Returns:
            whether it is so: while a moderator has us muted, every source is.
        """
        done = self._core.room.set_muted(source, muted)
        self._changed()
        return done

    def set_sources(self, sources: tuple[str, ...]) -> None:
        """What we send from now on, as in the settings."""
        self._core.room.set_sources(sources)
        self._changed()

    def set_display_name(self, name: str) -> None:
        """By what people see us called."""
        self._core.room.set_display_name(name)
        self._changed()

    def lift_forced_mute(self) -> bool:
        """A moderator told us by other ways to speak again; False where Jitsi itself still forbids it."""
        lifted = self._core.room.lift_forced_mute()
        self._changed()
        return lifted

    def leave(self) -> None:
        """Leaves the room and ends the session, so that nothing of us stays behind; `Ended` follows."""
        self._core.leave(self._loop.time())
        self._changed()

    # The driver.

    def _changed(self) -> None:
        """The core may have something to say or to tell."""
        for event in self._core.events():
            if len(self._waiting_events) == MAX_WAITING_EVENTS:
                logger.error("nobody reads the events of %s: the oldest is dropped", self._core.room.room_jid)
            self._waiting_events.append(event)
        self._event_came.set()
        self._wake.set()

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._tls or True)
        try:
            async with aiohttp.ClientSession(connector=connector) as session:
                while not self._core.over:
                    await self._until_due(self._core.connect_at_s)
                    at_s = self._core.connect_at_s
                    if at_s is not None and at_s <= self._loop.time():
                        await self._connect(session)
                await self._end_requests()
        finally:
            self._over = True
            self._changed()

    async def _until_due(self, at_s: float | None) -> None:
        """Sleeps until a time, a timeout of the core's, or a verb; then lets the core do what is due."""
        times = [time for time in (at_s, self._core.next_timeout()) if time is not None]
        if not self._wake.is_set() and not (self._core.over and not self._core.socket_wanted):
            delay_s = max(0.0, min(times) - self._loop.time()) if times else None
            try:
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()
        self._core.handle_timeout(self._loop.time())
        self._changed_quietly()

    def _changed_quietly(self) -> None:
        """Passes the events on without waking ourselves."""
        was_awake = self._wake.is_set()
        self._changed()
        if not was_awake:
            self._wake.clear()

    async def _connect(self, session: aiohttp.ClientSession) -> None:
        self._core.connecting()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await session.ws_connect(
                    socket_url(self._settings, self._core.stream.resume_id),
                    protocols=("xmpp",),
                    max_msg_size=4 * MAX_CHARACTERS,
                    timeout=aiohttp.ClientWSTimeout(ws_close=SOCKET_CLOSE_TIMEOUT_S),
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # No text of these errors is passed on: it may hold the URL, and with it the token.
            logger.info("no connection to %s: %s", self._settings.server.websocket, type(error).__name__)
            self._core.connect_failed(self._failure(error), self._loop.time())
            self._changed()
            return
        try:
            if socket.protocol != "xmpp":
                self._core.connect_failed(Refusal.WRONG_ADDRESS, self._loop.time())
                self._changed()
            elif not self._core.over:
                await self._serve(session, socket)
        finally:
            await socket.close()

    async def _serve(self, session: aiohttp.ClientSession, socket: ClientWebSocketResponse) -> None:
        """One connection, from open to closed."""
        self._core.connected(self._loop.time())
        reading = asyncio.create_task(self._read(socket))
        try:
            while self._core.socket_wanted and not reading.done():
                await self._flush(session, socket)
                await self._until_due(None)
            await self._flush(session, socket)
        finally:
            reading.cancel()
            (outcome,) = await asyncio.gather(reading, return_exceptions=True)
            self._core.disconnected(self._loop.time())
            self._changed()
        if isinstance(outcome, Exception) and not isinstance(outcome, (ConnectionError, aiohttp.ClientError)):
            raise outcome

    async def _read(self, socket: ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._core.receive(message.data, self._loop.time())
                    self._changed()
        finally:
            self._wake.set()

    async def _flush(self, session: aiohttp.ClientSession, socket: ClientWebSocketResponse) -> None:
        for request in self._core.http_requests():
            task = asyncio.create_task(self._post(session, request))
            self._http_tasks.add(task)
            task.add_done_callback(self._http_tasks.discard)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                for frame in self._core.frames_to_send():
                    await socket.send_str(frame)
        except (ConnectionError, aiohttp.ClientError, TimeoutError):
            # What was on the way is kept by the stream management; reading ends by itself, or is ended here.
            self._core.disconnected(self._loop.time())
            self._changed()

    async def _post(self, session: aiohttp.ClientSession, request: HttpRequest) -> None:
        status, answer = None, ""
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
        try:
            async with session.post(
                request.url,
                data=request.body,
                headers=request.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                status, answer = response.status, await _bounded(response, MAX_ANSWER_CHARACTERS)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            logger.info("no answer from %s: %s", urlsplit(request.url).hostname, type(error).__name__)
        self._core.http_answered(request.number, status, answer, self._loop.time())
        self._changed()

    async def _end_requests(self) -> None:
        for task in self._http_tasks:
            task.cancel()
        await asyncio.gather(*self._http_tasks, return_exceptions=True)

    def _failure(self, error: Exception) -> Refusal:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return Refusal.CERTIFICATE
        if isinstance(error, aiohttp.WSServerHandshakeError):
            if error.status in (401, 403):
                return Refusal.TOKEN_REFUSED if self._settings.token else Refusal.LOGIN_NEEDED
            if error.status < 500 and error.status != 429:
                return Refusal.WRONG_ADDRESS
        return Refusal.UNREACHABLE
