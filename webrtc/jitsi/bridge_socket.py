"""The bridge's channel over a WebSocket, for servers that offer none over SCTP: keeps it open until it is closed here.

The address has a password in it, so it is never logged.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp

from webrtc.jitsi.bridge_channel import MAX_MESSAGE_CHARACTERS, BridgeChannel

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
"""Between attempts; doubles from the first to the longest. A bridge closes the socket of whoever is alone."""

CONNECT_TIMEOUT_S = 15.0
HEARTBEAT_S = 30.0


def usable_sockets(urls: Sequence[str], *, insecure: bool) -> list[str]:
    """Those of the addresses that may be connected to: over TLS, unless the whole meeting does without it."""
    schemes = ("wss", "ws") if insecure else ("wss",)
    usable = []
    for url in urls:
        try:
            parts = urlsplit(url)
            fits = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if fits:
            usable.append(url)
    return usable


class BridgeSocket:
    """Connects the channel, and connects it again, from `start` to `close`.

    Args:
        url: one of `usable_sockets`.
        channel: what is said and heard over it.
        on_events: called when the channel may have events.
        tls: for the connection; None for the system's certificates.
    """

    def __init__(
        self,
        url: str,
        channel: BridgeChannel,
        *,
        on_events: Callable[[], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._channel = channel
        self._on_events = on_events
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._task: asyncio.Task[None] | None = None
        self._to_send = asyncio.Event()

    def start(self) -> None:
        """Begins to connect."""
        self._task = asyncio.create_task(self._run())

    def flush(self) -> None:
        """The channel has something to send."""
        self._to_send.set()

    async def close(self) -> None:
        """Closes the socket, if it is open, and connects no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        async with aiohttp.ClientSession() as session:
            while True:
                was_open = await self._serve(session)
                wait_s = FIRST_WAIT_S if was_open else min(2 * wait_s, LONGEST_WAIT_S)
                await asyncio.sleep(wait_s)

    async def _serve(self, session: aiohttp.ClientSession) -> bool:
        """One connection, from its beginning to its end; whether it came about."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await session.ws_connect(
                    self._url, ssl=self._tls, heartbeat=HEARTBEAT_S, max_msg_size=4 * MAX_MESSAGE_CHARACTERS
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            logger.info("no channel to the bridge: %s", type(error).__name__)
            return False
        self._channel.opened()
        self._to_send.set()
        writer = asyncio.create_task(self._write(socket))
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._channel.receive(message.data)
                    self._on_events()
        finally:
            self._channel.closed()
            writer.cancel()
            await asyncio.wait({writer})
            await socket.close()
        logger.debug("the bridge closed its channel: %s", socket.close_code)
        return True

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                for message in self._channel.messages():
                    await socket.send_str(message)
        except ConnectionError:
            return  # the socket is gone: the reader sees that too
