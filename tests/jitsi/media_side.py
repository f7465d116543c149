"""The half of a simulated person that knows Jingle and packets: its session, what it says and what it hears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import aiortc

from tests.jitsi import rules, stanzas
from tests.jitsi.jingle import (
    Source,
    Transport,
    read_sources,
    read_transport,
    reason_of,
    terminate,
    write_sources,
    write_transport,
)
from tests.jitsi.rtp import SILENT_LEVEL, TIMESTAMPS_PER_PACKET, Heard, Rtp, parse_rtp, write_rtp
from tests.jitsi.stanzas import CLIENT, child, children, element
from tests.jitsi.tones import TONE_LEVEL, silence_packets, tone_packets
from tests.jitsi.transport import MediaTransport, ignore_packet
from tests.jitsi.xmpp import IqError

_PACKET_S = 0.02


@dataclass
class Voice:
    """One thing it sends."""

    source: Source
    tone_hz: int
    sequence: int
    timestamp: int
    muted: bool = False
    packets: int = 0


class MediaSide:
    """One person's session with the focus; `Person` adds the room.

    Args:
        name: for its streams.
        listening: whether it wants any audio.
    """

    def __init__(self, name: str, *, listening: bool) -> None:
        self.name, self._listening = name, listening
        self.nick = self.jid = ""
        self.channel_messages: list[dict[str, Any]] = []
        """What the bridge said on its channel, in all sessions."""

        self.errors: list[BaseException] = []
        """What went wrong in here."""

        self._tasks: set[asyncio.Task[None]] = set()

    def _reset_media(self) -> None:
        self.voices: list[Voice] = []
        self.sources: dict[int, Source] = {}
        """Everybody's sources, as the focus has signalled them."""

        self._heard: dict[int, Heard] = defaultdict(Heard)
        self._sid: str | None = None
        self._transport: MediaTransport | None = None
        self._channel: aiortc.RTCDataChannel | None = None
        self._level_id: int | None = None
        self._payload_type = 0
        self._p2p: dict[str, asyncio.Future[tuple[str, str]]] = {}
        self.connected = asyncio.Event()
        """Whether its media can flow."""

    async def send_jingle(self, jingle: ET.Element, to: str = "focus") -> ET.Element:
        """Any `<jingle>`; gives the result, raises `IqError`."""
        raise NotImplementedError

    def name_of(self, nick: str) -> str | None:
        """Display name of an occupant."""
        raise NotImplementedError

    async def _send(self, stanza: ET.Element) -> None:
        raise NotImplementedError

    async def subscribe(self, **content: object) -> None:
        """Says over the bridge channel what audio it wants."""
        await self.tell_bridge({"colibriClass": "ReceiverAudioSubscription"} | content)

    async def tell_bridge(self, message: dict[str, Any]) -> None:
        """Any message over the bridge channel."""
        assert self._channel is not None
        self._channel.send(json.dumps(message))

    async def send_raw(self, packet: Rtp) -> None:
        """Any RTP packet, whatever it says."""
        assert self._transport is not None
        await self._transport.send(write_rtp(packet))

    # What it hears.

    def heard(self, who: str) -> Heard:
        """All from a source by its name, or the first source of a nick or a display name; nothing as an empty one."""
        ssrc = self.ssrc_of(who)
        return Heard() if ssrc is None else self._heard[ssrc]

    def ssrc_of(self, who: str) -> int | None:
        """SSRC of a source by its name, or of the first source of a nick or a display name."""
        for ssrc, source in self.sources.items():
            if who in (source.name, source.owner, self.name_of(source.owner)):
                return ssrc
        return None

    def heard_ssrcs(self) -> set[int]:
        """Everything that came."""
        return {ssrc for ssrc, heard in self._heard.items() if heard.count}

    async def until(self, condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Waits until something is true; looked at every packet's length."""
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 -- of packets, stanzas and messages alike
                await asyncio.sleep(_PACKET_S)

    async def until_hears(self, who: str, hz: float, timeout_s: float = 60.0) -> Heard:
        """Waits until somebody's tone arrives, for half a second of it."""
        looked_at = 0

        def hears() -> bool:
            nonlocal looked_at
            heard = self.heard(who)
            if heard.count < looked_at + 25:
                return False
            looked_at = heard.count
            return heard.has_tone(hz)

        await self.until(hears, timeout_s)
        return self.heard(who)

    def _on_jingle(self, iq: ET.Element, jingle: ET.Element, nick: str) -> None:
        action, sid = jingle.get("action"), jingle.get("sid", "")
        if nick != "focus":
            self._answer(stanzas.result_of(iq))
            if action == "session-terminate" and sid in self._p2p and not self._p2p[sid].done():
                self._p2p[sid].set_result(reason_of(jingle))
            elif action == "session-initiate":
                declined = terminate(sid, "decline", "not now")
                self._answer(element("iq", CLIENT, declined, type="set", to=iq.get("from"), id="decline"))
            return
        if action == "session-initiate":
            self._answer(stanzas.result_of(iq))
            self._spawn(self._accept(jingle, sid))
        elif sid != self._sid:
            self._answer(stanzas.error_of(iq, "item-not-found", rules.unknown_session()))
        else:
            self._answer(stanzas.result_of(iq))
            self._on_change(jingle, action)

    def _on_change(self, jingle: ET.Element, action: str | None) -> None:
        if action == "source-add":
            self.sources |= {source.ssrc: source for source in read_sources(jingle, None)}
        elif action == "source-remove":
            for source in read_sources(jingle, None):
                self.sources.pop(source.ssrc, None)
        elif action == "session-terminate":
            self._sid = None
            self._spawn(self._end_session())

    # The session.

    async def _accept(self, jingle: ET.Element, sid: str) -> None:
        if self._sid == sid:
            return
        await self._end_session()
        self._sid = sid
        self.sources = {source.ssrc: source for source in read_sources(jingle, None)}
        contents = {content.get("name"): content for content in children(jingle, "content", stanzas.JINGLE)}
        description = child(contents["audio"], "description", stanzas.RTP)
        transport = child(contents["audio"], "transport", stanzas.ICE_UDP)
        assert description is not None
        assert transport is not None
        for voice in self.voices:
            voice.source = replace(voice.source, ssrc=_random_ssrc())
        self._read_numbers(description)
        remote = read_transport(transport)
        media = MediaTransport(controlling=False, on_rtp=self._on_rtp, on_rtcp=ignore_packet)
        own = await media.gather()
        if self._sid != sid:
            return
        self._transport = media
        if "data" in contents:
            self._channel = media.open_channel()
            self._channel.on("open", self._on_channel_open)
            self._channel.on("message", self._on_channel_message)
        with contextlib.suppress(IqError):  # the session may have been ended meanwhile
            await self.send_jingle(self._acceptance(sid, contents, description, own))
            await self._connect(media, remote)

    async def _connect(self, media: MediaTransport, remote: Transport) -> None:
        try:
            await media.connect(remote)
        except ConnectionError:
            if self._transport is media:
                raise
            return
        self.connected.set()
        for voice in self.voices:
            self._spawn(self._speak(voice))

    def _read_numbers(self, description: ET.Element) -> None:
        for one in children(description, "payload-type", stanzas.RTP):
            if one.get("name") == "opus":
                self._payload_type = int(one.get("id", 0))
        for one in children(description, "rtp-hdrext", stanzas.RTP_HEADER_EXTENSIONS):
            if one.get("uri") == stanzas.AUDIO_LEVEL:
                self._level_id = int(one.get("id", 0))

    def _acceptance(
        self, sid: str, contents: dict[str | None, ET.Element], offered: ET.Element, own: Transport
    ) -> ET.Element:
        kept = [
            one for one in offered
            if one.get("name") == "opus" or one.get("uri") in (stanzas.AUDIO_LEVEL, stanzas.MID)
        ]  # fmt: skip
        sources = write_sources([voice.source for voice in self.voices])
        audio = element(
            "content", stanzas.JINGLE,
            element("description", stanzas.RTP, *kept, *sources, media="audio"), write_transport(own),
            creator="initiator", name="audio", senders="both",
        )  # fmt: skip
        data = element(
            "content", stanzas.JINGLE,
            element("description", stanzas.DTLS_SCTP), write_transport(own, sctp=True),
            creator="initiator", name="data", senders="both",
        )  # fmt: skip
        return element(
            "jingle", stanzas.JINGLE, audio, data if "data" in contents else None,
            action="session-accept", responder=self.jid, sid=sid,
        )  # fmt: skip

    async def _end_session(self) -> None:
        transport, self._transport, self._channel = self._transport, None, None
        self.connected.clear()
        if transport is not None:
            await transport.close()

    def _on_channel_open(self) -> None:
        assert self._channel is not None
        self._channel.send(json.dumps({"colibriClass": "ClientHello"}))
        if not self._listening:
            self._channel.send(json.dumps(
                {"colibriClass": "ReceiverAudioSubscription", "all": False, "mode": "None"}
            ))  # fmt: skip

    def _on_channel_message(self, text: str) -> None:
        self.channel_messages.append(json.loads(text))

    async def _on_rtp(self, data: bytes) -> None:
        packet = parse_rtp(data)
        self._heard[packet.ssrc].add(packet)

    async def _speak(self, voice: Voice) -> None:
        """One packet every 20 ms, as long as the session that it began in lasts."""
        media, began_s = self._transport, time.monotonic()
        assert media is not None
        for tick in range(10**9):
            if self._transport is not media or voice not in self.voices:
                return
            packets = silence_packets() if voice.muted else tone_packets(voice.tone_hz)
            level = SILENT_LEVEL if voice.muted else 0x80 | TONE_LEVEL
            extensions = {self._level_id: bytes([level])} if self._level_id else {}
            await media.send(write_rtp(Rtp(
                payload_type=self._payload_type, ssrc=voice.source.ssrc,
                sequence=(voice.sequence + voice.packets) & 0xFFFF,
                timestamp=(voice.timestamp + voice.packets * TIMESTAMPS_PER_PACKET) & 0xFFFF_FFFF,
                payload=packets[voice.packets % len(packets)], extensions=extensions,
            )))  # fmt: skip
            voice.packets += 1
            await asyncio.sleep(began_s + (tick + 1) * _PACKET_S - time.monotonic())

    def _new_voice(self, tone_hz: int) -> Voice:
        number = len(self.voices)
        name = f"{self.nick}-a{number}"
        source = Source(
            owner=self.nick,
            ssrc=_random_ssrc(),
            name=name,
            msid=f"{self.nick}-stream-{number} {secrets.token_hex(8)}",
        )
        return Voice(source, tone_hz, secrets.randbelow(0x8000), secrets.randbelow(0xFFFF_FFFF))

    def _answer(self, stanza: ET.Element) -> None:
        self._spawn(self._send(stanza))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, aiohttp.ClientError | ConnectionError) and not self.nick:
                return
            self.errors.append(error)


def _random_ssrc() -> int:
    return secrets.randbelow(0xFFFF_FFFE) + 1
