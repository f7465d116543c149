"""A whole Jitsi server for one test: Prosody, focus, bridges and gateway, and people who join it.

async with jitsi_server() as server:
    ana = await server.join("room", "Ana", tone_hz=440)
    ben = await server.join("room", "Ben", tone_hz=550)
    await ben.until_hears("Ana", 440)
assert server.violations == []
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.jitsi.bridge import BridgeOptions, Leg
from tests.jitsi.certificates import make_authority
from tests.jitsi.client import Person
from tests.jitsi.conference import Conference, FocusOptions
from tests.jitsi.focus import FOCUS_USER, Focus, new_password
from tests.jitsi.gateway import Gateway, GatewayOptions, JoinRefusal
from tests.jitsi.prosody import AUTH_DOMAIN, MUC_DOMAIN, Prosody, ProsodyOptions, prosody
from tests.jitsi.violations import Violations


class JitsiServer:
    """What `jitsi_server` gives."""

    def __init__(self, prosody: Prosody, focus: Focus, gateway: Gateway, violations: Violations) -> None:
        self.prosody, self.focus, self.gateway, self.violations = prosody, focus, gateway, violations
        self.people: list[Person] = []
        self.ca_file: Path | None = None
        """Of the authority that signed the server, with TLS."""

    @property
    def options(self) -> FocusOptions:
        """Of the focus; may be changed at any time."""
        return self.focus.options

    @property
    def bridge_options(self) -> BridgeOptions:
        """Of the bridges; may be changed at any time."""
        return self.focus.bridge_options

    @property
    def url(self) -> str:
        """Of the web server, the tenant's path in it."""
        tenant = self.gateway.options.tenant
        return self.gateway.base_url + (f"/{tenant}" if tenant else "")

    def meeting_url(self, room: str) -> str:
        """What somebody is sent to join a room."""
        return f"{self.url}/{room}"

    def tls_context(self) -> ssl.SSLContext | bool:
        """That trusts this server."""
        return True if self.ca_file is None else ssl.create_default_context(cafile=str(self.ca_file))

    def conference(self, room: str) -> Conference:
        """The conference of a room that the focus is in."""
        return self.focus.conference(room)

    async def join(
        self,
        room: str,
        name: str,
        *,
        tone_hz: int | None = 440,
        listening: bool = True,
        password: str = "",
        token: str | None = None,
        moderator: bool = False,
    ) -> Person:
        """Somebody joins a room; they leave at the end, unless they did before.

        Raises `JoinFailed`. A person who does not listen costs far less time.
        """
        person = Person(
            f"{self.gateway.websocket_base_url}/xmpp-websocket", room, name,
            tone_hz=tone_hz, listening=listening, password=password, token=token, tls=self.tls_context(),
        )  # fmt: skip
        await person.join()
        self.people.append(person)
        if moderator:
            conference = self.conference(room)
            await conference.until(lambda: person.nick in conference.participants)
            await conference.make_moderator(person.nick)
        return person

    async def until_connected(self, *people: Person, timeout_s: float = 60.0) -> None:
        """Waits until the media of all of them can flow."""
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*(person.connected.wait() for person in people or self.people))

    def refuse_joins(self, refusal: JoinRefusal | None, times: int | None = None) -> None:
        """Makes joins fail from now on, or so many times."""
        self.gateway.refuse_joins(refusal, times)

    @property
    def closed_to_new(self) -> bool:
        """Whether new WebSockets get 503; may be set."""
        return self.gateway.closed_to_new

    @closed_to_new.setter
    def closed_to_new(self, closed: bool) -> None:
        self.gateway.closed_to_new = closed

    def strangers(self, room: str) -> set[str]:
        """Nicks in a room that are none of our people: the bot, or its ghost."""
        conference = self.focus.conferences.get(f"{room}@{MUC_DOMAIN}")
        return (
            set() if conference is None else set(conference.participants) - {one.nick for one in self.people}
        )

    def cut(self, who: str) -> None:
        """Breaks the WebSocket of a nick or JID without a word; it can be resumed."""
        connections = self.gateway.connections_of(who)
        assert connections, f"{who} has no connection"
        for connection in connections:
            connection.cut()

    def cut_all(self) -> None:
        """Breaks every WebSocket."""
        for connection in list(self.gateway.connections):
            connection.cut()

    def stall(self, who: str, stalled: bool = True) -> None:
        """Passes no stanza of a nick or JID any more, with the WebSocket left open; or goes on."""
        for connection in self.gateway.connections_of(who):
            connection.stall(stalled)

    def leg(self, room: str, nick: str) -> Leg:
        """A participant's connection to the bridge."""
        leg = self.conference(room).participant(nick).leg
        assert leg is not None, f"{nick} has no session"
        return leg

    def leg_of_session(self, room: str, session: str, password: str) -> Leg | None:
        """For the gateway's colibri WebSockets."""
        conference = self.focus.conferences.get(f"{room}@{MUC_DOMAIN}")
        return None if conference is None else conference.bridge.leg_of_session(session, password)


@asynccontextmanager
async def jitsi_server(
    *,
    tls: bool = False,
    tenant: str = "",
    tokens: frozenset[str] | None = None,
    http_requests: bool = False,
    config_style: str = "docker",
    uuid_nodes: bool = False,
    strict_nicks: bool = False,
    guest_domain: str | None = None,
    stream_management: bool = True,
    hibernation_s: int = 60,
    options: FocusOptions | None = None,
    bridge_options: BridgeOptions | None = None,
) -> AsyncIterator[JitsiServer]:
    """A server that is up; skips the test where Prosody is not installed.

    On the way out everybody leaves, and whatever went wrong inside this test side is raised.

    Args:
        tls: speak https and wss, by an authority of its own (`server.ca_file`).
        tenant: first part of every path.
        tokens: the tokens that let somebody in.
        http_requests: conference requests go by HTTP.
        config_style: of `config.js`, `docker` or `debian`.
        uuid_nodes: guests are called by UUIDs, as on Jitsi's own servers.
        strict_nicks: a nick must begin the JID's node.
        guest_domain: guests log in to this domain, accounts to the main one.
        stream_management: whether the server offers it.
        hibernation_s: how long a stream can be resumed.
        options: of the focus.
        bridge_options: of the bridges.
    """
    violations = Violations()
    password = new_password()
    settings = ProsodyOptions(
        uuid_nodes=uuid_nodes, guest_domain=guest_domain, stream_management=stream_management,
        hibernation_s=hibernation_s,
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(
            prosody(settings, accounts=((FOCUS_USER, AUTH_DOMAIN, password),))
        )
        ca_file, context = None, None
        if tls:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="authority-"))
            ca_file, context = make_authority(Path(folder))
        gateway_options = GatewayOptions(
            tenant=tenant, tokens=tokens, http_requests=http_requests, config_style=config_style,
            guest_domain=guest_domain, strict_nicks=strict_nicks,
        )  # fmt: skip
        gateway = Gateway(running, gateway_options, violations.report, context)
        await gateway.open()
        stack.push_async_callback(gateway.close)
        focus = Focus(
            running, password, options or FocusOptions(), bridge_options or BridgeOptions(), violations.report,
            channel_url=f"{gateway.base_url.replace('http', 'ws', 1)}/colibri-ws/{{room}}/{{session}}?pwd={{password}}",
            token=gateway.token_of,
        )  # fmt: skip
        await focus.open()
        stack.push_async_callback(focus.close)
        server = JitsiServer(running, focus, gateway, violations)
        server.ca_file = ca_file
        gateway.requests, gateway.legs = focus, server.leg_of_session
        try:
            yield server
        finally:
            for person in server.people:
                await person.leave()
        _raise_errors(server)


def _raise_errors(server: JitsiServer) -> None:
    errors = [*server.focus.errors, *(error for person in server.people for error in person.errors)]
    if errors:
        raise BaseExceptionGroup("the test side itself failed", errors)
