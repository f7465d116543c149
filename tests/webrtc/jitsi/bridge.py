"""The least that is a bridge: one aiortc connection that offers, sends tones, and hears what a seat says.

Like a real one it controls ICE, waits for SCTP and for the one channel, and tells its sources by Jingle alone. It is
no test of Jitsi's signalling: for that there is `tests/jitsi`, which knows nothing of this file.
"""

from __future__ import annotations

import asyncio
import fractions
import time
from xml.etree.ElementTree import Element, fromstring

import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.rtp import RtpPacket
from aiortc.sdp import MediaDescription, SessionDescription

from tests.webrtc.jitsi import goldens
from webrtc.room import SAMPLE_RATE_HZ, Pcm
from webrtc.tracks import RtpIncomingAudio

LEVEL = 0.25
ICE = "{urn:xmpp:jingle:transports:ice-udp:1}"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"


def pitch_hz(pcm: Pcm) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)), 8 * len(pcm)))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / (8 * len(pcm)))


class Tone(aiortc.MediaStreamTrack):
    """48 kHz stereo, as aiortc's encoder wants it."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._hz = hz
        self._sent = 0
        self._start_s = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError("stopped")
        await asyncio.sleep(max(0.0, self._start_s + self._sent / 48_000 - time.monotonic()))
        t = np.arange(self._sent, self._sent + 960) / 48_000
        mono = (32767 * LEVEL * np.sin(2 * np.pi * self._hz * t)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(mono, 2)[np.newaxis], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._sent, fractions.Fraction(1, 48_000)
        self._sent += 960
        return frame


class Bridge:
    """One bridge with one seat."""

    def __init__(self, *, data: bool = True) -> None:
        self._connection = aiortc.RTCPeerConnection(
            aiortc.RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._data = data
        self._own = self._connection.addTransceiver("audio", direction="recvonly")
        if data:
            # There is no way to offer a data section without a channel that we open ourselves.
            self._connection._RTCPeerConnection__createSctpTransport()
            self._connection.sctp._init = _wait_for_the_other_side
            self._connection.sctp.on("datachannel", self._on_channel)
        self._senders: dict[str, aiortc.RTCRtpSender] = {}
        self._accept: Element | None = None
        self.heard: RtpIncomingAudio | None = None
        self.levels: list[tuple[bool, int] | None] = []
        """Of every packet that came from the seat."""

        self.ssrcs: set[int] = set()
        self.channels: list[aiortc.RTCDataChannel] = []
        self.messages: list[str] = []
        self.said = asyncio.Event()

    async def close(self) -> None:
        await self._connection.close()

    def add_tone(self, owner: str, hz: float) -> str:
        """Somebody begins to hum; their source in XML."""
        transceiver = self._connection.addTransceiver(Tone(hz), direction="sendonly")
        self._senders[owner] = transceiver.sender
        return goldens.source_xml(transceiver.sender._ssrc, owner)

    def source(self, owner: str) -> str:
        return goldens.source_xml(self._senders[owner]._ssrc, owner)

    async def initiate(self, *, sid: str = "s1", web_socket: str = "") -> Element:
        """The session-initiate, with everybody who hums."""
        await self._offer()
        media = self._local().media
        own = next(one for one in media if one.kind == "audio")
        opus = next(codec for codec in own.rtp.codecs if codec.name.lower() == "opus")
        level = next(one.id for one in own.rtp.headerExtensions if one.uri == AUDIO_LEVEL)
        transport = self._transport_xml(own, web_socket)
        sctp = '<sctpmap xmlns="urn:xmpp:jingle:transports:dtls-sctp:1" number="5000"/>'
        data = f"""<content creator="initiator" name="data"><description xmlns="urn:xmpp:jingle:apps:rtp:1"
            media="application"/>{transport % sctp}</content>"""
        return fromstring(f"""
<jingle xmlns="urn:xmpp:jingle:1" action="session-initiate" sid="{sid}" initiator="focus@auth.meet.example/focus">
<content creator="initiator" name="audio"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">
<payload-type id="{opus.payloadType}" name="opus" clockrate="48000" channels="2"/>
<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="{level}" uri="{AUDIO_LEVEL}"/>
{"".join(self.source(owner) for owner in self._senders)}</description>{transport % ""}</content>
{data if self._data else ""}
<bridge-session xmlns="http://jitsi.org/protocol/focus" id="b1"/></jingle>""")

    async def accept(self, accept: Element) -> None:
        """Takes the seat's session-accept."""
        self._accept = accept
        source = accept.find(".//{urn:xmpp:jingle:apps:rtp:ssma:0}source")
        if source is not None:
            self.ssrcs.add(int(source.get("ssrc", "")))
        self.heard = RtpIncomingAudio(self._own.receiver)
        self._count_levels()
        await self._answered()

    async def renegotiate(self) -> None:
        """Sends what was added since; the seat is asked nothing, as with a real bridge."""
        await self._offer()
        await self._answered()

    async def _offer(self) -> None:
        await self._connection.setLocalDescription(await self._connection.createOffer())

    def _local(self) -> SessionDescription:
        return SessionDescription.parse(self._connection.localDescription.sdp)

    def _transport_xml(self, media: MediaDescription, web_socket: str) -> str:
        fingerprint = next(one for one in media.dtls.fingerprints if one.algorithm == "sha-256")
        candidates = "".join(
            f"""<candidate component="1" foundation="{one.foundation}" generation="0" id="{n}" ip="{one.ip}"
                port="{one.port}" priority="{one.priority}" protocol="udp" type="{one.type}"/>"""
            for n, one in enumerate(media.ice_candidates)
        )
        socket = (
            f'<web-socket xmlns="http://jitsi.org/protocol/colibri" url="{web_socket}"/>'
            if web_socket
            else ""
        )
        return f"""<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="{media.ice.usernameFragment}"
            pwd="{media.ice.password}"><rtcp-mux/>{candidates}{socket}
            <fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="actpass">
            {fingerprint.value}</fingerprint>%s</transport>"""

    async def _answered(self) -> None:
        """An answer as the seat would give it, of its session-accept."""
        assert self._accept is not None, "accepted before"
        transport = self._accept.find(f".//{ICE}transport")
        assert transport is not None
        fingerprint = transport.findtext("{urn:xmpp:jingle:apps:dtls:0}fingerprint")
        opus = self._accept.find(".//{urn:xmpp:jingle:apps:rtp:1}payload-type")
        level = self._accept.find(".//{urn:xmpp:jingle:apps:rtp:rtp-hdrext:0}rtp-hdrext")
        assert opus is not None
        assert level is not None
        local = self._local()
        lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:{local.group[0]}"]
        lines += [f"a=ice-ufrag:{transport.get('ufrag')}", f"a=ice-pwd:{transport.get('pwd')}"]
        lines += [f"a=fingerprint:sha-256 {fingerprint}", "a=setup:active"]
        for media in local.media:
            if media.kind == "application":
                lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=sctp-port:5000"]
            else:
                lines += [f"m=audio 9 UDP/TLS/RTP/SAVPF {opus.get('id')}", "a=rtcp-mux"]
                lines += [
                    f"a=rtpmap:{opus.get('id')} opus/48000/2",
                    f"a=extmap:{level.get('id')} {AUDIO_LEVEL}",
                ]
                lines += ["a=recvonly" if media.direction == "sendonly" else "a=sendonly"]
                if media.direction == "recvonly":
                    lines += [f"a=ssrc:{ssrc} cname:seat" for ssrc in self.ssrcs]
            lines += [f"a=mid:{media.rtp.muxId}", "c=IN IP4 0.0.0.0"]
            lines += [
                f"a=candidate:{c.get('foundation')} 1 udp {c.get('priority')} {c.get('ip')} {c.get('port')} typ host"
                for c in transport.iterfind(f"{ICE}candidate")
            ]
        sdp = "".join(f"{line}\r\n" for line in lines)
        await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))

    def _count_levels(self) -> None:
        receiver = self._own.receiver
        handle = receiver._handle_rtp_packet

        async def counted(packet: RtpPacket, arrival_time_ms: int) -> None:
            self.levels.append(packet.extensions.audio_level)
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = counted

    def _on_channel(self, channel: aiortc.RTCDataChannel) -> None:
        self.channels.append(channel)

        @channel.on("message")
        def on_message(message: str) -> None:
            self.messages.append(message)
            if "ClientHello" in message:
                channel.send('{"colibriClass":"ServerHello","version":"test"}')
            self.said.set()


async def _wait_for_the_other_side() -> None:
    """In place of the INIT of an SCTP end that begins: a bridge waits for its client's."""
