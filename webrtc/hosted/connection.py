"""The WebSocket of one page: reads what the page sends, writes what waits in its outbox, and ends in one place."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web

from webrtc.errors import RemoteError, RoomFull, SdpError, SignallingError
from webrtc.hosted import protocol
from webrtc.hosted.outbox import Outbox
from webrtc.hosted.protocol import (
    Answer,
    ClientMessage,
    Closed,
    Command,
    Join,
    Leave,
    Mute,
    Offer,
    Refused,
    ServerMessage,
    SetLanguage,
)
from webrtc.hosted.room import HostedRoom, Seat

logger = logging.getLogger(__name__)

MAX_BAD_MESSAGES = 10
MESSAGE_BURST = 40
MESSAGES_PER_S = 10.0
"""What one page may send: each message may be relayed to a whole room, and no person clicks that fast."""

FAREWELL_S = 2.0
"""How long a page that is hung up on may take to receive why."""


class MessageBudget:
    """A token bucket: `MESSAGE_BURST` messages at once, `MESSAGES_PER_S` in the long run."""

    def __init__(self, now_s: float) -> None:
        self._tokens = float(MESSAGE_BURST)
        self._filled_at_s = now_s

    def spend(self, now_s: float) -> bool:
        """Takes one message's token; False when there is none."""
        earned = (now_s - self._filled_at_s) * MESSAGES_PER_S
        self._tokens = min(self._tokens + earned, float(MESSAGE_BURST))
        self._filled_at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Connection:
    """One page's WebSocket, from its opening to its end; fulfils `webrtc.hosted.room.PageConnection`."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        room: HostedRoom,
        *,
        join_timeout_s: float,
        max_message_bytes: int,
    ) -> None:
        """Takes over a WebSocket.

        Args:
            socket: prepared.
            transport: under it, to cut off a page that does not even take its farewell.
            room: the room the page asked for; open.
            join_timeout_s: `join` and `offer` must come within this time of the opening.
            max_message_bytes: longer text messages are refused unparsed.
        """
        self.ended = asyncio.Event()
        """Set when nothing of the connection is left."""
        self._socket = socket
        self._transport = transport
        self._room = room
        self._join_timeout_s = join_timeout_s
        self._max_message_bytes = max_message_bytes
        self._outbox = Outbox()
        self._waiting = asyncio.Event()
        self._hung_up = False
        self._reader: asyncio.Task[str] | None = None
        self._seat: Seat | None = None
        self._bad_messages = 0

    def deliver(self, message: ServerMessage) -> None:
        """Queues `message` for the page; a page too far behind is hung up on."""
        if self._hung_up:
            return
        if not self._outbox.put(message):
            self.hang_up(Closed(code="too-slow", message="This page does not keep up with the room."))
        self._waiting.set()

    def hang_up(self, closed: Closed) -> None:
        """Tells the page why, then disconnects it."""
        if self._hung_up:
            return
        self._hung_up = True
        self._outbox.put_last(closed)
        self._waiting.set()
        logger.info("room %s: hanging up on %s: %s", self._room.name, self._label, closed.code)
        if self._reader is not None:
            self._reader.cancel()

    async def run(self) -> None:
        """Serves the page until it goes, is hung up on, or breaks the rules too often."""
        reader = self._reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write())
        if self._hung_up:
            reader.cancel()
        reason = "connection lost"
        try:
            await asyncio.wait({reader})
            if not reader.cancelled():
                reason = reader.result()
        finally:
            reader.cancel()
            if self._seat is not None:
                self._room.leave(self._seat, reason)
            await self._say_farewell(writer)
            self.ended.set()

    async def _read(self) -> str:
        """Takes the page's messages; the reason for which there are no more."""
        budget = MessageBudget(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(self._join_timeout_s) as deadline:
                async for message in self._socket:
                    if not budget.spend(asyncio.get_running_loop().time()):
                        return self._end("too-many-messages", "This page sends too many messages.")
                    if isinstance(message.data, WebSocketError):  # a message far too large, or no WebSocket's
                        logger.warning(
                            "room %s: hung up on %s: %s", self._room.name, self._label, message.data
                        )
                        return "hung up: broken-websocket"
                    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                        break
                    if await self._take(message.data, deadline):
                        return "left"
                    if self._bad_messages >= MAX_BAD_MESSAGES:
                        return self._end("too-many-errors", "This page sends messages that mean nothing.")
        except TimeoutError:
            return self._end("join-timeout", f"Nobody joined within {self._join_timeout_s:g} seconds.")
        gone = self._socket.close_code in (WSCloseCode.OK, WSCloseCode.GOING_AWAY)
        return "left" if gone else "connection lost"

    async def _take(self, data: str | bytes, deadline: asyncio.Timeout) -> bool:
        """Acts on one message; True when the page leaves. What cannot be accepted is answered and counted."""
        try:
            message = self._parsed(data)
            if isinstance(message, Leave):
                return True
            await self._act(message)
            if isinstance(message, Offer):
                deadline.reschedule(None)
        except RoomFull as error:
            self._end(error.code, str(error))
            return True
        except RemoteError as error:
            self._bad_messages += 1
            # An SdpError may quote a line of the offer, and so its password.
            said = error.code if isinstance(error, SdpError) else error
            logger.warning("room %s: refused a message of %s: %s", self._room.name, self._label, said)
            self.deliver(Refused(code=error.code, message=str(error)))
        return False

    def _parsed(self, data: str | bytes) -> ClientMessage:
        if isinstance(data, bytes):
            raise SignallingError("expected a text message, got a binary one")
        size = len(data.encode(errors="surrogatepass"))
        if size > self._max_message_bytes:
            raise SignallingError(f"expected at most {self._max_message_bytes} bytes, got {size}")
        return protocol.parse(data)

    async def _act(self, message: Join | Offer | Mute | SetLanguage | Command) -> None:
        if isinstance(message, Join):
            if self._seat is not None:
                raise SignallingError("expected one join, got a second")
            self._seat = self._room.take_seat(message, self)
            return
        if self._seat is None:
            raise SignallingError(f"expected join first, got {type(message).__name__.lower()}")
        match message:
            case Offer():
                self.deliver(Answer(sdp=await self._room.connect(self._seat, message.sdp)))
                self._room.enter(self._seat)
            case Mute():
                self._room.set_muted(self._seat, message.muted)
            case SetLanguage():
                self._room.set_language(self._seat, message.language)
            case Command():
                self._room.give_command(self._seat, message)

    def _end(self, code: str, message: str) -> str:
        """Hangs up from within the reader; the reason for the room's events and log."""
        self._reader = None  # it is ending by itself, and must not be cancelled at its last step
        self.hang_up(Closed(code=code, message=message))
        return f"hung up: {code}"

    async def _write(self) -> None:
        try:
            while True:
                await self._waiting.wait()
                self._waiting.clear()
                while (message := self._outbox.take()) is not None:
                    await self._socket.send_str(protocol.encode(message))
                    if isinstance(message, Closed):
                        return
        except ConnectionError:
            return  # the page is gone: the reader sees that too, and ends the connection

    async def _say_farewell(self, writer: asyncio.Task[None]) -> None:
        """Gives the page `FAREWELL_S` to take what waits, then closes, at the latest by cutting the line."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                if self._hung_up:
                    await writer
                await self._socket.close()
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()
        finally:
            writer.cancel()
            await asyncio.wait({writer})

    @property
    def _label(self) -> str:
        return self._seat.id if self._seat is not None else "a page that has not joined"
