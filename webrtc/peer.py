"""One peer connection: one audio track in, one out, answered from the other side's offer.

The other side may offer a data channel beside its audio, on which it is sent attestations.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import aiortc
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCBundlePolicy, RTCIceTransportPolicy

from webrtc.attestations import AttestationChannel, AttestationStats
from webrtc.ending import Ending
from webrtc.errors import LocalError, SdpError
from webrtc.jitter import JitterStats
from webrtc.room import IncomingAudio
from webrtc.schedule import ScheduleStats
from webrtc.sdp import check_offer, with_opus_parameters
from webrtc.tracks import Fill, RtpIncomingAudio, RtpOutgoingAudio

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 30.0

NEGOTIATION_ERRORS = (
    ValueError,
    AssertionError,
    LookupError,
    AttributeError,
    TypeError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)
"""What aiortc raises for descriptions it cannot parse or use: it parses with bare asserts, lookups and conversions, and
has no exception of its own for that."""


@dataclass(frozen=True, kw_only=True)
class IceServer:
    """A STUN or TURN server."""

    urls: tuple[str, ...]
    """`stun:host:port`, `turn:host:port?transport=udp|tcp` or `turns:host:port?transport=tcp`."""

    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for url in self.urls:
            if not url.startswith(("stun:", "turn:", "turns:")):
                raise LocalError(f"expected a stun:, turn: or turns: URL, got {url!r}")


@dataclass(frozen=True, kw_only=True)
class IceSettings:
    """How the peers of a room find a way through the network."""

    servers: tuple[IceServer, ...] = ()
    """None by default: no server on the internet is asked unless it is configured. aiortc takes the first STUN and
    the first TURN server it finds."""

    relay_only: bool = False
    """Use nothing but the TURN server, which hides our addresses."""


@dataclass(frozen=True, kw_only=True)
class PeerStats:
    """One connection's state and media paths."""

    state: str
    """`new`, `connecting`, `connected`, `failed` or `closed`."""

    incoming: JitterStats | None
    """None when the other side offered no track."""

    outgoing: ScheduleStats

    attestations: AttestationStats | None
    """None when the other side offered no data channel."""


class Peer:
    """One connection, from `answer` to `close`. Everything runs on one event loop.

    Args:
        ice: STUN, TURN and policy.
        fill: what the other side receives where there is nothing to say.
        on_audio: called once, when the connection stands, unless the other side sends no audio.
        on_closed: called once with the reason, when the connection ends by itself; never after `close`. The peer is
            closing then; calling `close` as well is harmless and waits for the end of that.
        connect_timeout_s: seconds from the answer until a connection that does not stand is given up.
    """

    def __init__(
        self,
        *,
        ice: IceSettings,
        fill: Fill,
        on_audio: Callable[[IncomingAudio], None],
        on_closed: Callable[[str], None],
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._connection = aiortc.RTCPeerConnection(rtc_configuration(ice))
        self._relay_only = ice.relay_only
        self._connection.on("connectionstatechange", self._on_state)
        self._outgoing = RtpOutgoingAudio(fill)
        self._incoming: RtpIncomingAudio | None = None
        self._attestations: AttestationChannel | None = None
        self._on_audio = on_audio
        self._connect_timeout_s = connect_timeout_s
        self._offered = False
        self._announced = False
        self._ending = Ending(self._close_all, on_closed)

    @property
    def outgoing(self) -> RtpOutgoingAudio:
        """Where to play what the other side hears; may be played to before the connection stands."""
        return self._outgoing

    async def answer(self, offer_sdp: str) -> str:
        """Our answer, with all candidates in it; the connection then builds up by itself.

        Raises:
            SdpError: the offer is not one usable Opus audio track, with or without a data channel, or there was an
                offer before. After the former, close the peer.
        """
        if self._offered:
            raise SdpError("expected one offer per connection, got another")
        self._offered = True
        check_offer(offer_sdp)
        try:
            transceiver = self._connection.addTransceiver(self._outgoing, direction="sendrecv")
            transceiver.setCodecPreferences(opus_only())
            await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(offer_sdp, "offer"))
            if transceiver.receiver.track is not None:
                self._incoming = RtpIncomingAudio(transceiver.receiver)
            if self._connection.sctp is not None:
                if self._connection.sctp.transport is not transceiver.receiver.transport:
                    raise SdpError("expected the data section bundled with the audio, got one apart")
                self._attestations = AttestationChannel(self._connection.sctp, self._ending.come)
                self._connection.on("datachannel", self._attestations.take)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except NEGOTIATION_ERRORS as error:
            raise SdpError(f"expected an offer that can be answered, got: {error_words(error)}") from error
        if not self._ending.came:
            words = f"no connection within {self._connect_timeout_s:g} s"
            self._ending.unless_standing_within(self._connect_timeout_s, words)
        if self._relay_only and "\na=candidate:" not in self._connection.localDescription.sdp:
            logger.warning(
                "the TURN server gave no address: expected it reachable, with this user and password"
            )
        return with_opus_parameters(self._connection.localDescription.sdp)

    def attest(self, line: str) -> None:
        """Sends an attestation, where the other side offered a channel for it; never blocks, never raises."""
        if self._attestations is not None:
            self._attestations.send(line)

    async def close(self) -> None:
        """Ends the connection; returns when its sockets and threads are gone. Idempotent."""
        await self._ending.close()

    def stats(self) -> PeerStats:
        """A snapshot."""
        return PeerStats(
            state=self._connection.connectionState,
            incoming=None if self._incoming is None else self._incoming.stats(),
            outgoing=self._outgoing.stats(),
            attestations=None if self._attestations is None else self._attestations.stats(),
        )

    def _on_state(self) -> None:
        state = self._connection.connectionState
        logger.debug("connection is %s", state)
        if state == "connected":
            self._ending.stands()
            self._announce()
        elif state == "failed":
            self._ending.come("connection lost")
        elif state == "closed":
            self._ending.come("closed by the other side")

    def _announce(self) -> None:
        if self._incoming is not None and not self._announced and not self._ending.came:
            self._announced = True
            self._on_audio(self._incoming)

    async def _close_all(self) -> None:
        self._outgoing.stop()
        await self._connection.close()


def rtc_configuration(
    ice: IceSettings, bundle: RTCBundlePolicy = RTCBundlePolicy.BALANCED
) -> aiortc.RTCConfiguration:
    """`ice` as aiortc takes it."""
    # An empty list, not None: with None aiortc would ask a public STUN server.
    return aiortc.RTCConfiguration(
        iceServers=[
            aiortc.RTCIceServer(
                urls=list(server.urls), username=server.username, credential=server.credential
            )
            for server in ice.servers
        ],
        iceTransportPolicy=RTCIceTransportPolicy.RELAY if ice.relay_only else RTCIceTransportPolicy.ALL,
        bundlePolicy=bundle,
    )


def opus_only() -> list[aiortc.RTCRtpCodecCapability]:
    """Opus alone: the receive path understands nothing else."""
    capabilities = aiortc.RTCRtpSender.getCapabilities("audio")
    return [codec for codec in capabilities.codecs if codec.mimeType.lower() == "audio/opus"]


def error_words(error: Exception) -> str:
    """An error's own words, or its kind where aiortc gave none, short enough for a log line."""
    return (str(error) or type(error).__name__)[:200]
