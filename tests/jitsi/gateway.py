"""The web server in front: `config.js`, the XMPP WebSocket, conference requests and colibri WebSockets by HTTP.

It passes every frame between a client and Prosody, watches what rules are broken (`wire`), and stands in for what
plain Prosody lacks: tokens, refusals and lobby addresses. Refusals are Prosody's own, reworded: a join that is to fail
goes to a room that cannot be, so that both sides count the same stanzas.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import socket
import ssl
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from aiohttp import web

from tests.jitsi import stanzas
from tests.jitsi.bridge import Leg
from tests.jitsi.prosody import DOMAIN, LOBBY_DOMAIN, MODERATION_DOMAIN, MUC_DOMAIN, Prosody
from tests.jitsi.stanzas import CLIENT, child, element, named, parse, serialise
from tests.jitsi.wire import Acknowledgements, WireWatch


class JoinRefusal(enum.Enum):
    """Why a join fails, as Jitsi's modules say it (fact sheet 1.6)."""

    FULL = "full"
    DISPLAY_NAME_REQUIRED = "display name required"
    ROOM_DOES_NOT_EXIST = "room does not exist"
    AUTHENTICATION_REQUIRED = "authentication required"
    WAITING_FOR_HOST = "waiting for host"
    NOT_ALLOWED = "not allowed"
    NO_VISITORS_LOBBY = "no visitors lobby"

    def stanza_error(self, lobby: str) -> ET.Element:
        """The `<error>` that says it."""
        jitmeet = stanzas.JITMEET
        match self:
            case JoinRefusal.FULL:
                return stanzas.error("service-unavailable", kind="wait")
            case JoinRefusal.DISPLAY_NAME_REQUIRED:
                return stanzas.error(
                    "not-acceptable", element("displayname-required", jitmeet), kind="modify"
                )
            case JoinRefusal.ROOM_DOES_NOT_EXIST:
                return stanzas.error("not-allowed", element("room-does-not-exist", jitmeet))
            case JoinRefusal.AUTHENTICATION_REQUIRED:
                return stanzas.error("not-allowed", element("authentication-required", jitmeet))
            case JoinRefusal.WAITING_FOR_HOST:
                return stanzas.error(
                    "registration-required", element("waiting-for-host", jitmeet),
                    element("lobbyroom", jitmeet, lobby), kind="auth",
                )  # fmt: skip
            case JoinRefusal.NOT_ALLOWED:
                return stanzas.error("not-allowed", text="The room is locked")
            case JoinRefusal.NO_VISITORS_LOBBY:
                return stanzas.error(
                    "not-allowed", element("no-visitors-lobby", "jitsi:visitors"), kind="auth"
                )


@dataclass(frozen=True, kw_only=True)
class GatewayOptions:
    """How the server presents itself."""

    tenant: str = ""
    """First part of the path of every address; empty for none."""

    tokens: frozenset[str] | None = None
    """The tokens that let somebody in; None asks for none."""

    http_requests: bool = False
    """Conference requests go by HTTP; `config.js` says so."""

    config_style: str = "docker"
    """`docker`: assignments one by one; `debian`: one object with nested ones."""

    guest_domain: str | None = None
    strict_nicks: bool = False
    region: str = ""


class Requests(Protocol):
    """Who answers conference requests by HTTP."""

    async def on_http_request(
        self, body: dict[str, object], token: str | None
    ) -> tuple[int, dict[str, object]]: ...


class Connection:
    """One client's WebSocket and its twin to Prosody."""

    def __init__(self, request: web.Request, watch: WireWatch, token: str | None) -> None:
        self.request, self.watch, self.token = request, watch, token
        self.cut_short = False
        self.stalled = asyncio.Event()
        self.stalled.set()
        self.twin: aiohttp.ClientWebSocketResponse | None = None
        self.fake_rooms: dict[str, tuple[str, JoinRefusal]] = {}

    def cut(self) -> None:
        """Breaks both connections without a word."""
        self.cut_short = True
        if self.twin is not None:
            twin: socket.socket | None = self.twin.get_extra_info("socket")
            if twin is not None:
                twin.shutdown(socket.SHUT_RDWR)
        if self.request.transport is not None:
            self.request.transport.abort()

    def stall(self, stalled: bool = True) -> None:
        """Passes nothing more, either way, and says nothing; or goes on."""
        if stalled:
            self.stalled.clear()
        else:
            self.stalled.set()


class Gateway:
    """The server; `open` it and then give its address to clients."""

    def __init__(
        self,
        prosody: Prosody,
        options: GatewayOptions,
        report: Callable[[str], None],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._prosody, self.options, self._report, self._tls = prosody, options, report, tls
        self.connections: list[Connection] = []
        """That are open now."""

        self.closed_to_new = False
        """New WebSockets get 503."""

        self.requests: Requests | None = None
        self.legs: Callable[[str, str, str], Leg | None] = lambda room, session, password: None
        self.port = 0
        self._refusal: tuple[JoinRefusal, int | None] | None = None
        self._resumable: dict[str, Acknowledgements] = {}
        self._watches: dict[str, WireWatch] = {}
        self._tokens: dict[str, str | None] = {}
        self._fake_numbers = itertools.count(1)
        self.config_fetches = 0

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def websocket_base_url(self) -> str:
        """The same for WebSockets, the tenant's path in it."""
        prefix = f"/{self.options.tenant}" if self.options.tenant else ""
        return self.base_url.replace("http", "ws", 1) + prefix

    async def open(self) -> None:
        """Listens on a free port."""
        prefix = f"/{self.options.tenant}" if self.options.tenant else ""
        app = web.Application()
        app.router.add_get(f"{prefix}/config.js", self._config)
        app.router.add_get(f"{prefix}/xmpp-websocket", self._websocket)
        app.router.add_post(f"{prefix}/conference-request/v1", self._conference_request)
        app.router.add_get("/colibri-ws/{room}/{session}", self._colibri)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stops listening and ends all connections."""
        for connection in list(self.connections):
            connection.cut()
        await self._runner.cleanup()

    def refuse_joins(self, refusal: JoinRefusal | None, times: int | None = None) -> None:
        """From now on (or so many times) joins of rooms fail."""
        self._refusal = None if refusal is None else (refusal, times)

    def token_of(self, jid: str) -> str | None:
        """The token in the URL of a connection."""
        return self._tokens.get(jid)

    def connections_of(self, who: str) -> list[Connection]:
        """By nick, or by full or bare JID."""
        return [
            one for one in self.connections
            if who in one.watch.nicks or who in (one.watch.jid, stanzas.bare(one.watch.jid))
        ]  # fmt: skip

    async def _config(self, request: web.Request) -> web.Response:
        self.config_fetches += 1
        write = _debian_config if self.options.config_style == "debian" else _docker_config
        text = write(self.options, self.base_url, self.websocket_base_url)
        return web.Response(text=text, content_type="application/javascript")

    async def _conference_request(self, request: web.Request) -> web.Response:
        assert self.requests is not None
        authorization = request.headers.get("Authorization", "")
        token = authorization.removeprefix("Bearer ") if authorization.startswith("Bearer ") else None
        if self.options.tokens is not None and token not in self.options.tokens:
            return web.json_response({}, status=403)
        status, body = await self.requests.on_http_request(await request.json(), token)
        return web.json_response(body, status=status)

    async def _colibri(self, request: web.Request) -> web.StreamResponse:
        leg = self.legs(
            request.match_info["room"], request.match_info["session"], request.query.get("pwd", "")
        )
        if leg is None:
            return web.Response(status=403)
        socket_ = web.WebSocketResponse()
        await socket_.prepare(request)

        async def send(text: str) -> None:
            if not socket_.closed:
                await socket_.send_str(text)

        leg.sends.append(send)
        await leg.say("ServerHello")
        async for message in socket_:
            if message.type is aiohttp.WSMsgType.TEXT:
                await leg.take_message(message.data, websocket=True)
        if send in leg.sends:
            leg.sends.remove(send)
        return socket_

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self.closed_to_new:
            return web.Response(status=503)
        watch = WireWatch(
            request.query.get("room"), strict_nicks=self.options.strict_nicks, report=self._report,
            resumable=self._resumable,
        )  # fmt: skip
        offered = request.headers.get("Sec-WebSocket-Protocol", "").replace(" ", "").split(",")
        if "xmpp" not in offered:
            watch.broken(f"asks for subprotocols {offered}, not for xmpp")
        connection = Connection(request, watch, request.query.get("token"))
        client = web.WebSocketResponse(protocols=("xmpp",), max_msg_size=0)
        await client.prepare(request)
        self.connections.append(connection)
        try:
            await self._relay(connection, client)
        finally:
            self.connections.remove(connection)
            watch.ended()
        return client

    async def _relay(self, connection: Connection, client: web.WebSocketResponse) -> None:
        query = dict(connection.request.query)
        query.pop("token", None)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                self._prosody.websocket_url,
                params=query,
                protocols=("xmpp",),
                max_msg_size=0,
                autoclose=False,
            ) as server,
        ):
            connection.twin = server
            down = asyncio.create_task(self._down(connection, client, server))
            up = asyncio.create_task(self._up(connection, client, server))
            await asyncio.wait((down, up), return_when=asyncio.FIRST_COMPLETED)
            if not connection.cut_short:
                if up.done() and connection.watch.closed:
                    await server.close()
                elif up.done():  # the client is gone without a word, which is how a proxy passes it on
                    connection.cut()
                else:
                    await client.close()
            for task in (up, down):
                task.cancel()
            outcomes = await asyncio.gather(up, down, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError):
                raise outcome

    async def _up(
        self, connection: Connection, client: web.WebSocketResponse, server: aiohttp.ClientWebSocketResponse
    ) -> None:
        async for message in client:
            await connection.stalled.wait()
            if message.type is not aiohttp.WSMsgType.TEXT:
                connection.watch.broken(f"sends a {message.type.name} frame")
                continue
            stanza = connection.watch.up(message.data)
            if stanza is None:
                await server.send_str(message.data)
                continue
            answer = self._answer_instead(connection, stanza)
            if answer is not None:
                await client.send_str(serialise(answer))
                continue
            changed = self._redirect(connection, stanza)
            await server.send_str(message.data if changed is None else serialise(changed))

    async def _down(
        self, connection: Connection, client: web.WebSocketResponse, server: aiohttp.ClientWebSocketResponse
    ) -> None:
        async for message in server:
            await connection.stalled.wait()
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            stanza = parse(message.data)
            changed = self._reword(connection, stanza)
            self._watch_down(connection, stanza)
            await client.send_str(message.data if changed is None else serialise(changed))

    def _watch_down(self, connection: Connection, stanza: ET.Element) -> None:
        watch = connection.watch
        if named(stanza, "resumed", stanzas.SM):
            before = self._watches.get(stanza.get("previd", ""))
            if before is not None:
                watch.adopt(before)
        watch.down(stanza)
        if named(stanza, "enabled", stanzas.SM):
            self._watches[stanza.get("id", "")] = watch
        if watch.jid:
            self._tokens.setdefault(watch.jid, connection.token)

    def _answer_instead(self, connection: Connection, stanza: ET.Element) -> ET.Element | None:
        """What we answer without asking Prosody: a token that is not good."""
        tokens = self.options.tokens
        if tokens is None or not named(stanza, "auth", stanzas.SASL) or connection.token in tokens:
            return None
        if stanza.get("mechanism") != "ANONYMOUS":
            return None
        return element(
            "failure", stanzas.SASL,
            element("not-allowed", stanzas.SASL), element("text", stanzas.SASL, "token required or not valid"),
        )  # fmt: skip

    def _redirect(self, connection: Connection, stanza: ET.Element) -> ET.Element | None:
        """A join that is to fail, sent where it will; None where nothing changes."""
        to = stanza.get("to", "")
        room = stanzas.bare(to)
        if not named(stanza, "presence", CLIENT) or not room.endswith(f"@{MUC_DOMAIN}"):
            return None
        if child(stanza, "x", stanzas.MUC) is None or self._refusal is None:
            return None
        refusal, times = self._refusal
        name = child(stanza, "nick", stanzas.NICK)
        if refusal is JoinRefusal.DISPLAY_NAME_REQUIRED and name is not None and (name.text or "").strip():
            return None
        if times is not None:
            self._refusal = (refusal, times - 1) if times > 1 else None
        nowhere = f"refused-{next(self._fake_numbers)}@{MUC_DOMAIN}"
        connection.fake_rooms[nowhere] = (room, refusal)
        stanza.set("to", f"{nowhere}/{stanzas.resource(to)}")
        return stanza

    def _reword(self, connection: Connection, stanza: ET.Element) -> ET.Element | None:
        """What plain Prosody says, as Jitsi's server says it; None where nothing changes."""
        sender = stanza.get("from", "")
        room = stanzas.bare(sender)
        if named(stanza, "presence", CLIENT) and stanza.get("type") == "error":
            found = child(stanza, "error", CLIENT)
            if room in connection.fake_rooms and found is not None:
                real, refusal = connection.fake_rooms.pop(room)
                stanza.set("from", f"{real}/{stanzas.resource(sender)}")
                stanza.remove(found)
                stanza.append(refusal.stanza_error(_lobby_of(real)))
                return stanza
            if stanzas.condition_of(stanza) == "registration-required" and found is not None:
                found.append(element("lobbyroom", stanzas.JITMEET, _lobby_of(room)))
                return stanza
        query = child(stanza, "query", stanzas.DISCO_INFO)
        if query is not None and sender == DOMAIN:
            query.extend(self._components())
            return stanza
        if query is not None and sender.endswith(f"@{MUC_DOMAIN}"):
            form = child(query, "x", stanzas.DATA_FORM)
            if form is not None:
                value = element("value", stanzas.DATA_FORM, f"meeting-of-{sender.partition('@')[0]}")
                form.append(element("field", stanzas.DATA_FORM, value, var="muc#roominfo_meetingId"))
                return stanza
        return None

    def _components(self) -> list[ET.Element]:
        """Identities by which the domain names its components."""
        return [
            element("identity", stanzas.DISCO_INFO, category="component", type=kind, name=address)
            for kind, address in (("lobbyrooms", LOBBY_DOMAIN), ("av_moderation", MODERATION_DOMAIN))
        ]


def _lobby_of(room: str) -> str:
    return f"{room.partition('@')[0]}@{LOBBY_DOMAIN}"


def _docker_config(options: GatewayOptions, url: str, websocket_url: str) -> str:
    """As docker writes it: assignments, comments, things that are no strings."""
    lines = [
        "// Jitsi Meet configuration.",
        "var config = {};",
        'var subdir = \'<!--# echo var="subdir" default="" -->\';',
        "config.hosts = {};",
        f"config.hosts.domain = '{DOMAIN}';",
        f"config.hosts.muc = '{MUC_DOMAIN}';",
        f"config.bosh = '{url}/' + subdir + 'http-bind';",
        f"config.websocket = '{websocket_url}/xmpp-websocket';",
        "config.bridgeChannel = {\n    preferSctp: true\n};",
        "config.p2p = { enabled: true, stunServers: [] };",
        "/* config.websocket = 'wss://commented.out/xmpp-websocket'; */",
        "// config.hosts.domain = 'also-commented-out.test';",
        "config.enableNoAudioDetection = true;",
    ]
    if options.guest_domain:
        lines.append(f"config.hosts.anonymousdomain = '{options.guest_domain}';")
    if options.http_requests:
        lines.append(f"config.conferenceRequestUrl = '{_http(websocket_url)}/conference-request/v1';")
    return "\n".join(lines) + "\n"


def _debian_config(options: GatewayOptions, url: str, websocket_url: str) -> str:
    """As the Debian package writes it: one object."""
    guests = f"anonymousdomain: '{options.guest_domain}'," if options.guest_domain else ""
    requests = (
        f"conferenceRequestUrl: '{_http(websocket_url)}/conference-request/v1',"
        if options.http_requests else ""
    )  # fmt: skip
    return f"""/* eslint-disable no-unused-vars, no-var */
var subdomain = "";
var config = {{
    // Connection
    //
    hosts: {{
        // XMPP domain.
        domain: "{DOMAIN}",
        {guests}
        // authdomain: 'meet.example',
        muc: '{MUC_DOMAIN.split(".")[0]}.' + subdomain + '{DOMAIN}',
    }},
    bosh: '{url}/http-bind',
    websocket: '{websocket_url}/xmpp-websocket',
    {requests}
    testing: {{ p2pTestMode: false }},
    channelLastN: -1,
}};
"""


def _http(websocket_url: str) -> str:
    return websocket_url.replace("ws", "http", 1)
