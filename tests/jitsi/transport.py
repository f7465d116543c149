"""ICE, DTLS, SRTP and SCTP of one peer out of aiortc's parts: raw RTP in and out, no tracks, no SDP.

`RTCPeerConnection` would decode every packet it gets and route by what its m-lines say; a bridge must do neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiortc
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer, RTCIceTransport
from aiortc.rtcsctptransport import RTCSctpTransport

from tests.jitsi.jingle import Transport

CHANNEL_LABEL = "JVB data channel"
CHANNEL_PROTOCOL = "http://jitsi.org/protocols/colibri"

Packets = Callable[[bytes], Awaitable[None]]


class _RawDtls(RTCDtlsTransport):
    """Hands decrypted packets over as they are."""

    on_rtp: Packets
    on_rtcp: Packets

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        await self.on_rtp(data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        await self.on_rtcp(data)


class _PassiveSctp(RTCSctpTransport):
    """Waits for the other side to start the association, as the bridge does."""

    async def _init(self) -> None:
        return


async def ignore_packet(data: bytes) -> None:
    """For packets that nobody needs."""


class MediaTransport:
    """One side of a connection.

    Args:
        controlling: the bridge is; a client is not.
        on_rtp: gets each decrypted RTP packet.
        on_rtcp: gets each decrypted RTCP packet.
    """

    def __init__(self, *, controlling: bool, on_rtp: Packets, on_rtcp: Packets) -> None:
        self._gatherer = RTCIceGatherer(iceServers=[])
        self._gatherer._connection.ice_controlling = controlling
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = _RawDtls(self._ice, [aiortc.RTCCertificate.generateCertificate()])
        self._dtls.on_rtp, self._dtls.on_rtcp = on_rtp, on_rtcp
        self._controlling = controlling
        self._closed = False
        self.sctp: RTCSctpTransport | None = None

    async def gather(self) -> Transport:
        """Our side, all candidates in it."""
        await self._gatherer.gather()
        ice = self._gatherer.getLocalParameters()
        sha256 = next(
            one for one in self._dtls.getLocalParameters().fingerprints if one.algorithm == "sha-256"
        )
        return Transport(
            ufrag=ice.usernameFragment or "", pwd=ice.password or "",
            hash=sha256.algorithm, fingerprint=sha256.value,
            setup="actpass" if self._controlling else "active",
            candidates=tuple(self._gatherer.getLocalCandidates()),
        )  # fmt: skip

    def offer_channel(self, on_channel: Callable[[aiortc.RTCDataChannel], None]) -> None:
        """Lets the other side open data channels; before `connect`."""
        self.sctp = _PassiveSctp(self._dtls)
        self.sctp.on("datachannel", on_channel)

    def open_channel(
        self, label: str = CHANNEL_LABEL, protocol: str = CHANNEL_PROTOCOL
    ) -> aiortc.RTCDataChannel:
        """Opens one; before `connect`, or after it when there is one already."""
        if self.sctp is None:
            self.sctp = RTCSctpTransport(self._dtls)
        return aiortc.RTCDataChannel(
            self.sctp, aiortc.rtcdatachannel.RTCDataChannelParameters(label=label, protocol=protocol)
        )

    async def connect(self, remote: Transport) -> None:
        """Connects to the other side; raises ConnectionError."""
        for candidate in remote.candidates:
            await self._ice.addRemoteCandidate(replace(candidate))
        await self._ice.addRemoteCandidate(None)
        await self._ice.start(aiortc.RTCIceParameters(usernameFragment=remote.ufrag, password=remote.pwd))
        if self._ice.state != "completed":
            raise ConnectionError(f"expected ICE to complete, got {self._ice.state}")
        self._dtls._set_role("server" if remote.setup == "active" else "client")
        await self._dtls.start(
            aiortc.RTCDtlsParameters(
                fingerprints=[aiortc.RTCDtlsFingerprint(algorithm=remote.hash, value=remote.fingerprint)]
            )
        )
        if self._dtls.state != "connected":
            raise ConnectionError(f"expected DTLS to connect, got {self._dtls.state}")
        if self.sctp is not None:
            await self.sctp.start(None, 5000)

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._ice.state == "completed" and self._dtls.state == "connected"

    async def send(self, packet: bytes) -> None:
        """Sends RTP or RTCP; where nobody is connected it is lost."""
        if self.connected:
            try:
                await self._dtls._send_rtp(packet)
            except ConnectionError:
                return

    async def close(self) -> None:
        """Ends it in order."""
        if not self._closed:
            self._closed = True
            if self.sctp is not None:
                await self.sctp.stop()
            await self._dtls.stop()
            await self._ice.stop()

    async def vanish(self) -> None:
        """Ends it without a word to the other side, as a crash does."""
        if not self._closed:
            self._closed = True
            await self._ice.stop()
            await asyncio.sleep(0)
            await self._dtls.stop()
