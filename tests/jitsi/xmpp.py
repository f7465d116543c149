"""XMPP of the test side: a client over WebSocket (RFC 7395) and an external component (XEP-0114).

Both know stanzas and nothing of Jitsi; neither resumes what it lost.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp

from tests.jitsi import stanzas
from tests.jitsi.stanzas import CLIENT, element, named, parse, serialise

TIMEOUT_S = 60.0
"""For whatever must come: generous, since it only matters when something is broken."""

Handler = Callable[[ET.Element], None]


class XmppError(Exception):
    """The server refused, or went away."""


class IqError(XmppError):
    """An IQ came back as an error."""

    def __init__(self, stanza: ET.Element) -> None:
        self.stanza = stanza
        self.condition = stanzas.condition_of(stanza)
        super().__init__(f"IQ refused: {serialise(stanza)}")


class Sender(Protocol):
    """What stanzas can be sent through."""

    async def send(self, stanza: ET.Element) -> None: ...


class Requests:
    """IQ requests that wait for their answer."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[ET.Element]] = {}

    async def ask(self, sender: Sender, iq: ET.Element, timeout_s: float = TIMEOUT_S) -> ET.Element:
        """The result; raises `IqError`."""
        answer = await self.ask_for_either(sender, iq, timeout_s)
        if answer.get("type") == "error":
            raise IqError(answer)
        return answer

    async def ask_for_either(
        self, sender: Sender, iq: ET.Element, timeout_s: float = TIMEOUT_S
    ) -> ET.Element:
        """The answer, be it a result or an error."""
        number = f"t{next(self._numbers)}"
        iq.set("id", number)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await sender.send(iq)
            async with asyncio.timeout(timeout_s):
                return await self._waiting[number]
        finally:
            del self._waiting[number]

    def take(self, stanza: ET.Element) -> bool:
        """Whether it answers a request."""
        if not named(stanza, "iq", CLIENT) or stanza.get("type") not in ("result", "error"):
            return False
        waiting = self._waiting.get(stanza.get("id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(stanza)
        return True

    def fail(self, reason: str) -> None:
        """Nothing more will come."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(XmppError(reason))


class XmppClient:
    """One login over WebSocket.

    Args:
        url: of the endpoint, with its query.
        domain: to log in to.
        account: user and password; None for a guest.
        on_stanza: gets whatever is not an answer to a request.
        on_lost: is called once, with a reason, when the connection ends by itself.
        tls: for `wss:`.
    """

    def __init__(
        self,
        url: str,
        domain: str,
        *,
        account: tuple[str, str] | None = None,
        on_stanza: Handler,
        on_lost: Callable[[str], None] = lambda reason: None,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        self._url, self._domain, self._account, self._tls = url, domain, account, tls
        self._on_stanza, self._on_lost = on_stanza, on_lost
        self._requests = Requests()
        self._closing = False
        self.jid = ""
        """The full JID the server gave."""

    async def open(self) -> None:
        """Logs in and binds; raises `XmppError` when refused."""
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(self._url, protocols=("xmpp",), ssl=self._tls)
            try:
                await self._open_stream()
                await self._log_in()
                await self._open_stream()
            except BaseException:
                await self._socket.close()
                raise
        except BaseException:
            await self._session.close()
            raise
        self._reading = asyncio.create_task(self._read())
        bound = await self.ask(element("iq", CLIENT, element("bind", stanzas.BIND), type="set"))
        jid = bound.find(f"{{{stanzas.BIND}}}bind/{{{stanzas.BIND}}}jid")
        assert jid is not None
        self.jid = jid.text or ""

    async def send(self, stanza: ET.Element) -> None:
        """Sends one stanza; what cannot be sent any more is lost."""
        if not self._socket.closed:
            await self._socket.send_str(serialise(stanza))

    async def ask(self, iq: ET.Element, timeout_s: float = TIMEOUT_S) -> ET.Element:
        """The result of an IQ; raises `IqError`."""
        return await self._requests.ask(self, iq, timeout_s)

    async def ask_for_either(self, iq: ET.Element, timeout_s: float = TIMEOUT_S) -> ET.Element:
        """The answer to an IQ, be it a result or an error."""
        return await self._requests.ask_for_either(self, iq, timeout_s)

    async def close(self) -> None:
        """Ends the stream in order."""
        self._closing = True
        if not self._socket.closed:
            await self._socket.send_str(serialise(element("close", stanzas.FRAMING)))
        await self._end()

    async def vanish(self) -> None:
        """Ends the connection without a word."""
        self._closing = True
        await self._end()

    async def _end(self) -> None:
        await self._socket.close()
        await self._session.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _open_stream(self) -> None:
        await self._socket.send_str(
            serialise(element("open", stanzas.FRAMING, to=self._domain, version="1.0"))
        )
        opened = await self._next()
        if not named(opened, "open", stanzas.FRAMING):
            raise XmppError(f"expected <open>, got {serialise(opened)}")
        features = await self._next()
        if not named(features, "features", stanzas.STREAMS):
            raise XmppError(f"expected features, got {serialise(features)}")

    async def _log_in(self) -> None:
        mechanism, initial = "ANONYMOUS", None
        if self._account is not None:
            user, password = self._account
            mechanism = "PLAIN"
            initial = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        await self._socket.send_str(serialise(element("auth", stanzas.SASL, initial, mechanism=mechanism)))
        answer = await self._next()
        if not named(answer, "success", stanzas.SASL):
            raise XmppError(f"login refused: {serialise(answer)}")

    async def _next(self) -> ET.Element:
        return parse(await self._socket.receive_str(timeout=TIMEOUT_S))

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            stanza = parse(message.data)
            if named(stanza, "close", stanzas.FRAMING):
                break
            if self._requests.take(stanza):
                continue
            if named(stanza, "iq", CLIENT) and stanzas.child(stanza, "ping", stanzas.PING) is not None:
                await self.send(stanzas.result_of(stanza))
                continue
            self._on_stanza(stanza)
        self._requests.fail("the connection ended")
        if not self._closing:
            self._on_lost("the connection ended")


class Component:
    """An external component.

    Args:
        port: of the server on this machine.
        domain: of the component.
        secret: shared with the server.
        on_stanza: gets whatever is not an answer to a request.
    """

    def __init__(self, port: int, domain: str, secret: str, on_stanza: Handler) -> None:
        self._port, self.domain, self._secret, self._on_stanza = port, domain, secret, on_stanza
        self._requests = Requests()

    async def open(self) -> None:
        """Connects and authenticates."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._parser: Any = ET.XMLPullParser(
            ("start", "end")
        )  # the types of its events are too wide to be of use
        self._writer.write(
            f"<stream:stream xmlns='jabber:component:accept' xmlns:stream='{stanzas.STREAMS}' "
            f"to='{self.domain}'>".encode()
        )
        self._depth = 0
        self._root: ET.Element | None = None
        stream_id = ""
        while not stream_id:
            await self._feed()
            for _, node in self._events():
                self._root, self._depth = node, 1
                stream_id = node.get("id", "")
        digest = hashlib.sha1((stream_id + self._secret).encode()).hexdigest()
        self._writer.write(f"<handshake>{digest}</handshake>".encode())
        answered: list[ET.Element] = []
        while not answered:
            await self._feed()
            answered = self._complete()
        if answered[0].tag != "{jabber:component:accept}handshake":
            raise XmppError(f"component refused: {serialise(answered[0])}")
        self._reading = asyncio.create_task(self._read(answered[1:]))

    async def send(self, stanza: ET.Element) -> None:
        """Sends one stanza from an address of this domain."""
        if stanza.get("from") is None:
            stanza.set("from", self.domain)
        text = serialise(stanza).replace(f'xmlns="{CLIENT}"', 'xmlns="jabber:component:accept"')
        self._writer.write(text.encode())
        await self._writer.drain()

    async def ask(self, iq: ET.Element, timeout_s: float = TIMEOUT_S) -> ET.Element:
        """The result of an IQ; raises `IqError`."""
        return await self._requests.ask(self, iq, timeout_s)

    async def close(self) -> None:
        """Disconnects."""
        self._writer.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, self._writer.wait_closed(), return_exceptions=True)

    async def _feed(self) -> None:
        data = await self._reader.read(65536)
        if not data:
            raise XmppError("the component's connection ended")
        self._parser.feed(data)

    def _events(self) -> Any:  # the types of a parser's events are too wide to be of use
        return self._parser.read_events()

    def _complete(self) -> list[ET.Element]:
        """Whole children of the stream, taken out of it."""
        done: list[ET.Element] = []
        for event, node in self._events():
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                done.append(node)
                assert self._root is not None
                self._root.remove(node)
        return done

    async def _read(self, already: list[ET.Element]) -> None:
        complete = already
        while True:
            for stanza in complete:
                self._take(stanza)
            try:
                await self._feed()
            except (XmppError, ConnectionError):
                self._requests.fail("the component's connection ended")
                return
            complete = self._complete()

    def _take(self, stanza: ET.Element) -> None:
        for node in stanza.iter():
            namespace, name = stanzas.split_tag(node.tag)
            if namespace == "jabber:component:accept":
                node.tag = f"{{{CLIENT}}}{name}"
        if not self._requests.take(stanza):
            self._on_stanza(stanza)
