"""The bridge of one conference: forwards audio between endpoints as JVB does (fact sheet 0.3, 1.10, 1.11).

ICE-controlling, DTLS passive when told so, SCTP that waits for the client, one channel each. Audio is forwarded as it
comes, but for what the bridge drops: packets of SSRCs that nobody signalled, packets whose level says 127 after the
first three in a row (the numbers of the rest move up), audio of whom it has muted, what a receiver has not subscribed
to and, where an operator asks for it, all but the loudest. Bridges that share a conference are one object here.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import aiortc

from tests.jitsi.jingle import AudioOffer, Source, Transport
from tests.jitsi.rtp import SILENT_LEVEL, Heard, Rtp, parse_rtp, with_sequence
from tests.jitsi.transport import CHANNEL_LABEL, CHANNEL_PROTOCOL, MediaTransport

_SILENT_PACKETS_FORWARDED = 3
_MUTED_PACKETS_TOLERATED = 10
_LEVEL_DECAY = 0.8

Report = Callable[[str], None]


@dataclass(kw_only=True)
class BridgeOptions:
    """What an operator, or a version, decides. May be changed while it runs."""

    subscription_forms: frozenset[str] = frozenset({"new", "old"})
    """Which forms of `ReceiverAudioSubscription` it understands; bridges before July 2026 know the old one only."""

    loudest_only: bool = False
    num_loudest: int = 3
    available: bool = True
    """Without one, no session is offered."""


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What audio an endpoint wants: exclude wins, then include, then all."""

    all: bool = True
    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    def wants(self, name: str) -> bool:
        """Whether it wants that source."""
        return name not in self.exclude and (name in self.include or self.all)


def read_subscription(message: dict[str, Any], forms: frozenset[str]) -> Subscription:
    """What a `ReceiverAudioSubscription` asks for; raises ValueError where no known form is right."""
    if "new" in forms and isinstance(message.get("all"), bool):
        return Subscription(
            all=message["all"], include=_names(message, "include"), exclude=_names(message, "exclude")
        )
    listed = _names(message, "list")
    match message.get("mode") if "old" in forms else None:
        case "All":
            return Subscription()
        case "None":
            return Subscription(all=False)
        case "Include":
            return Subscription(all=False, include=listed)
        case "Exclude":
            return Subscription(exclude=listed)
    raise ValueError(f"expected {' or '.join(sorted(forms))} form, got {message}")


def _names(message: dict[str, Any], key: str) -> frozenset[str]:
    found = message.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError(f"expected a list of source names under {key!r}, got {found!r}")
    return frozenset(found)


@dataclass
class _Forwarding:
    """State of one SSRC on its way through."""

    silent_in_a_row: int = 0
    dropped: int = 0
    loudness: float = 0.0


@dataclass
class Leg:
    """One endpoint's connection; made by `Bridge.allocate`."""

    bridge: Bridge
    endpoint: str
    session_id: str
    """Of the `bridge-session`."""

    transport: MediaTransport
    offered: Transport
    channel_password: str
    subscription: Subscription = field(default_factory=Subscription)
    messages: list[dict[str, Any]] = field(default_factory=list)
    """Everything the endpoint said on its bridge channel."""

    received: dict[int, Heard] = field(default_factory=lambda: defaultdict(Heard))
    """What came from the endpoint, by SSRC: all of it, also what was dropped."""

    forwarded: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Packets sent to the endpoint, by SSRC."""

    rtcp: list[bytes] = field(default_factory=list)
    """The endpoint's own RTCP."""

    over: bool = False
    """The session has ended; what still comes is nobody's fault."""

    force_muted: bool = False
    """The bridge drops its audio."""

    must_be_silent: bool = False
    """It has been told that it is muted."""

    packets_while_muted: int = 0
    """That came although it had been told; a few may have been on their way."""

    sends: list[Callable[[str], Awaitable[None]]] = field(default_factory=list)
    channels_opened: int = 0
    _paths: dict[int, _Forwarding] = field(default_factory=lambda: defaultdict(_Forwarding))
    _complained: set[str] = field(default_factory=set)

    async def connect(self, remote: Transport) -> None:
        """Connects to what the endpoint accepted with; raises ConnectionError."""
        await self.transport.connect(remote)

    async def say(self, colibri_class: str, **content: object) -> None:
        """Sends a message over the bridge channel; lost where there is none."""
        for send in self.sends[-1:]:
            await send(json.dumps({"colibriClass": colibri_class} | content))

    def heard_audio(self) -> list[str]:
        """Names of the sources of which packets went to this endpoint."""
        return [source.name for ssrc, source in self.bridge.sources.items() if self.forwarded.get(ssrc)]

    async def close(self) -> None:
        """Closes the connection in order."""
        self.sends.clear()
        await self.transport.close()

    async def vanish(self) -> None:
        """Closes it without a word."""
        self.sends.clear()
        await self.transport.vanish()

    def complain(self, text: str) -> None:
        """Reports a broken rule, once per text."""
        if text not in self._complained:
            self._complained.add(text)
            self.bridge.report(f"bridge: {self.endpoint}: {text}")

    def opened(self, channel: aiortc.RTCDataChannel) -> None:
        """A data channel came up."""
        self.channels_opened += 1
        if self.channels_opened > 1:
            self.complain("opened more than one data channel")
            return
        if (channel.label, channel.protocol) != (CHANNEL_LABEL, CHANNEL_PROTOCOL):
            self.complain(f"opened a channel {channel.label!r} with protocol {channel.protocol!r}")

        async def send(text: str) -> None:
            if channel.readyState == "open":
                channel.send(text)

        self.sends.append(send)
        channel.on("message", self._on_channel_message)

    async def _on_channel_message(self, text: str | bytes) -> None:
        if isinstance(text, bytes):
            self.complain("sent binary over the bridge channel")
            return
        await self.take_message(text, websocket=False)

    async def take_message(self, text: str, *, websocket: bool) -> None:
        """One message of the bridge channel."""
        try:
            message = json.loads(text)
            colibri_class = message["colibriClass"]
        except (ValueError, KeyError, TypeError):
            self.complain(f"sent {text[:80]!r} over the bridge channel: no JSON object with a colibriClass")
            return
        if not websocket and not self.messages and colibri_class != "ClientHello":
            self.complain(f"said {colibri_class} before ClientHello")
        self.messages.append(message)
        await self.bridge.on_message(self, colibri_class, message)

    async def take_rtp(self, data: bytes) -> None:
        """One packet from the endpoint."""
        if self.over:
            return
        try:
            packet = parse_rtp(data)
        except ValueError as error:
            self.complain(f"sent something that is no RTP: {error}")
            return
        self.received[packet.ssrc].add(packet)
        if self._passes(packet):
            await self.bridge.forward(self, packet, data, self._paths[packet.ssrc])

    def _passes(self, packet: Rtp) -> bool:
        source = self.bridge.sources.get(packet.ssrc)
        if source is None or source.owner != self.endpoint:
            self.complain(f"sent audio with SSRC {packet.ssrc}, which it has not signalled")
            return False
        if packet.payload_type != self.bridge.offer.opus:
            self.complain(f"sent payload type {packet.payload_type}, expected {self.bridge.offer.opus}")
            return False
        level = packet.level(self.bridge.offer.audio_level_id)
        if level is None:
            self.complain("sent audio without the audio level extension")
        if self.force_muted:
            self._count_while_muted(level)
            return False
        path = self._paths[packet.ssrc]
        path.silent_in_a_row = path.silent_in_a_row + 1 if level == SILENT_LEVEL else 0
        path.loudness = path.loudness * _LEVEL_DECAY + (SILENT_LEVEL - (level or 0)) * (1 - _LEVEL_DECAY)
        if path.silent_in_a_row > _SILENT_PACKETS_FORWARDED:
            path.dropped += 1
            return False
        return True

    def _count_while_muted(self, level: int | None) -> None:
        if self.must_be_silent and level != SILENT_LEVEL:
            self.packets_while_muted += 1
            if self.packets_while_muted > _MUTED_PACKETS_TOLERATED:
                self.complain("goes on sending audio although it has been muted")

    async def take_rtcp(self, data: bytes) -> None:
        """Compound RTCP from the endpoint; sender reports go on to whoever gets the audio."""
        self.rtcp.append(data)
        if len(data) >= 8 and data[1] == 200:
            await self.bridge.forward_report(self, int.from_bytes(data[4:8], "big"), data)


class Bridge:
    """One conference's bridge.

    Args:
        offer: numbers that the focus offers to everybody.
        options: what an operator decides.
        report: gets each broken rule.
    """

    def __init__(self, offer: AudioOffer, options: BridgeOptions, report: Report) -> None:
        self.offer, self.options, self.report = offer, options, report
        self.legs: dict[str, Leg] = {}
        self.sources: dict[int, Source] = {}
        """What the focus says is signalled, by SSRC."""

        self.dominant: str | None = None
        self._loudness: dict[str, float] = {}

    async def allocate(self, endpoint: str, *, sctp: bool, channel_url: str | None = None) -> Leg:
        """A new connection for an endpoint, gathered and waiting for the other side.

        Args:
            endpoint: its id.
            sctp: whether a data channel is offered.
            channel_url: where the colibri WebSocket of a leg is served, `{session}` and `{password}` in it; None
                offers none.
        """
        session_id, password = secrets.token_hex(8), secrets.token_hex(8)
        leg: Leg

        async def on_rtp(data: bytes) -> None:
            await leg.take_rtp(data)

        async def on_rtcp(data: bytes) -> None:
            await leg.take_rtcp(data)

        transport = MediaTransport(controlling=True, on_rtp=on_rtp, on_rtcp=on_rtcp)
        if sctp:
            transport.offer_channel(lambda channel: leg.opened(channel))
        offered = await transport.gather()
        if channel_url is not None:
            url = channel_url.format(session=session_id, password=password)
            offered = replace(offered, channel_urls=(url,))
        leg = Leg(self, endpoint, session_id, transport, offered, password)
        self.legs[endpoint] = leg
        return leg

    def signal(self, sources: Iterable[Source]) -> None:
        """The focus says what is signalled now, everybody's."""
        self.sources = {source.ssrc: source for source in sources}

    async def release(self, leg: Leg, *, crash: bool = False) -> None:
        """Ends a connection."""
        if self.legs.get(leg.endpoint) is leg:
            del self.legs[leg.endpoint]
        await (leg.vanish() if crash else leg.close())

    async def close(self) -> None:
        """Ends all of them."""
        for leg in list(self.legs.values()):
            await self.release(leg)

    def leg_of_session(self, session_id: str, password: str) -> Leg | None:
        """The leg a colibri WebSocket belongs to."""
        for leg in self.legs.values():
            if leg.session_id == session_id and secrets.compare_digest(leg.channel_password, password):
                return leg
        return None

    async def forward(self, sender: Leg, packet: Rtp, data: bytes, path: _Forwarding) -> None:
        """Sends a packet to whoever wants it."""
        source = self.sources[packet.ssrc]
        await self._watch_speakers(sender, path)
        if not self._loud_enough(source, sender):
            return
        if path.dropped:
            data = with_sequence(data, packet.sequence - path.dropped)
        for leg in list(self.legs.values()):
            if leg is not sender and leg.subscription.wants(source.name) and leg.transport.connected:
                leg.forwarded[packet.ssrc] += 1
                await leg.transport.send(data)

    async def forward_report(self, sender: Leg, ssrc: int, data: bytes) -> None:
        """Sends an RTCP sender report to whoever gets the audio."""
        source = self.sources.get(ssrc)
        if source is None or source.owner != sender.endpoint:
            return
        for leg in list(self.legs.values()):
            if leg is not sender and leg.subscription.wants(source.name):
                await leg.transport.send(data)

    async def on_message(self, leg: Leg, colibri_class: str, message: dict[str, Any]) -> None:
        """One message of an endpoint's bridge channel."""
        match colibri_class:
            case "ClientHello":
                await leg.say("ServerHello")
            case "ReceiverAudioSubscription":
                try:
                    leg.subscription = read_subscription(message, self.options.subscription_forms)
                except ValueError as error:
                    leg.complain(f"sent a subscription that the bridge cannot read: {error}")
            case "EndpointMessage":
                await self._pass_on(leg, message)
            case (
                "EndpointStats" | "LastNChangedEvent" | "ReceiverVideoConstraints" | "SourceVideoTypeMessage"
            ):
                pass
            case _:
                leg.complain(f"sent {colibri_class}, which no bridge knows")

    async def _pass_on(self, leg: Leg, message: dict[str, Any]) -> None:
        to = message.get("to")
        content = {key: value for key, value in message.items() if key != "colibriClass"}
        for other in list(self.legs.values()):
            if other is not leg and to in ("", other.endpoint):
                await other.say("EndpointMessage", **content | {"from": leg.endpoint})

    async def _watch_speakers(self, sender: Leg, path: _Forwarding) -> None:
        self._loudness[sender.endpoint] = path.loudness
        ranked = self._ranked()
        if ranked and ranked[0] != self.dominant and self._clearly_louder(ranked[0]):
            self.dominant = ranked[0]
            for leg in list(self.legs.values()):
                await leg.say(
                    "DominantSpeakerEndpointChangeEvent",
                    dominantSpeakerEndpoint=ranked[0], previousSpeakers=ranked[1:], silence=False,
                )  # fmt: skip

    def _clearly_louder(self, endpoint: str) -> bool:
        return self.dominant not in self.legs or self._loudness[endpoint] > self._loudness[self.dominant] + 3

    def _ranked(self) -> list[str]:
        present = [endpoint for endpoint in self._loudness if endpoint in self.legs]
        return sorted(present, key=lambda endpoint: -self._loudness[endpoint])

    def _loud_enough(self, source: Source, sender: Leg) -> bool:
        """A source that anybody names in `include` is forwarded however quiet it is."""
        if not self.options.loudest_only:
            return True
        if any(source.name in leg.subscription.include for leg in self.legs.values()):
            return True
        return sender.endpoint in {*self._ranked()[: self.options.num_loudest], self.dominant}
