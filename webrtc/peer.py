"""One peer connection: one audio track in, one out, answered from the other side's offer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import aiortc
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from webrtc.errors import LocalError, SdpError
from webrtc.jitter import JitterStats
from webrtc.room import IncomingAudio
from webrtc.schedule import ScheduleStats
from webrtc.sdp import check_offer, with_opus_parameters
from webrtc.tracks import Fill, RtpIncomingAudio, RtpOutgoingAudio

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 30.0

# What aiortc raises for offers it cannot parse or use. It parses with bare asserts, lookups and conversions, and has
# no exception of its own for that.
_OFFER_ERRORS = (
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
        self._connection = aiortc.RTCPeerConnection(_configuration(ice))
        self._connection.on("connectionstatechange", self._on_state)
        self._outgoing = RtpOutgoingAudio(fill)
        self._incoming: RtpIncomingAudio | None = None
        self._on_audio = on_audio
        self._on_closed = on_closed
        self._connect_timeout_s = connect_timeout_s
        self._offered = False
        self._announced = False
        self._ended = False
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def outgoing(self) -> RtpOutgoingAudio:
        """Where to play what the other side hears; may be played to before the connection stands."""
        return self._outgoing

    async def answer(self, offer_sdp: str) -> str:
        """Our answer, with all candidates in it; the connection then builds up by itself.

        Raises:
            SdpError: the offer is not one usable Opus audio track, or there was an offer before. After the former,
                close the peer.
        """
        if self._offered:
            raise SdpError("expected one offer per connection, got another")
        self._offered = True
        check_offer(offer_sdp)
        try:
            transceiver = self._connection.addTransceiver(self._outgoing, direction="sendrecv")
            transceiver.setCodecPreferences(_opus_only())
            await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(offer_sdp, "offer"))
            if transceiver.receiver.track is not None:
                self._incoming = RtpIncomingAudio(transceiver.receiver)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except _OFFER_ERRORS as error:
            raise SdpError(f"expected an offer that can be answered, got: {_words(error)}") from error
        if not self._ended:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._connect_timeout_s, self._on_timeout)
        return with_opus_parameters(self._connection.localDescription.sdp)

    async def close(self) -> None:
        """Ends the connection; returns when its sockets and threads are gone. Idempotent."""
        self._ended = True
        await asyncio.shield(self._start_closing())

    def stats(self) -> PeerStats:
        """A snapshot."""
        return PeerStats(
            state=self._connection.connectionState,
            incoming=None if self._incoming is None else self._incoming.stats(),
            outgoing=self._outgoing.stats(),
        )

    def _on_state(self) -> None:
        state = self._connection.connectionState
        logger.debug("connection is %s", state)
        if state == "connected":
            self._stop_timer()
            self._announce()
        elif state == "failed":
            self._end("connection lost")
        elif state == "closed":
            self._end("closed by the other side")

    def _announce(self) -> None:
        if self._incoming is not None and not self._announced and not self._ended:
            self._announced = True
            self._on_audio(self._incoming)

    def _on_timeout(self) -> None:
        self._end(f"no connection within {self._connect_timeout_s:g} s")

    def _end(self, reason: str) -> None:
        """Reports the end, unless it was asked for or reported before."""
        if self._ended:
            return
        self._ended = True
        self._start_closing()
        self._on_closed(reason)

    def _start_closing(self) -> asyncio.Task[None]:
        self._stop_timer()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close_all())
        return self._closing

    async def _close_all(self) -> None:
        self._outgoing.stop()
        await self._connection.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _configuration(ice: IceSettings) -> aiortc.RTCConfiguration:
    # An empty list, not None: with None aiortc would ask a public STUN server.
    return aiortc.RTCConfiguration(
        iceServers=[
            aiortc.RTCIceServer(
                urls=list(server.urls), username=server.username, credential=server.credential
            )
            for server in ice.servers
        ],
        iceTransportPolicy=RTCIceTransportPolicy.RELAY if ice.relay_only else RTCIceTransportPolicy.ALL,
    )


def _opus_only() -> list[aiortc.RTCRtpCodecCapability]:
    """Opus alone: the receive path understands nothing else."""
    capabilities = aiortc.RTCRtpSender.getCapabilities("audio")
    return [codec for codec in capabilities.codecs if codec.mimeType.lower() == "audio/opus"]


def _words(error: Exception) -> str:
    """The error's own words, or its kind where aiortc gave none, short enough for a log line."""
    return (str(error) or type(error).__name__)[:200]
