"""The media of one Jingle session: a connection with the bridge, a track for every source, and the channel.

A meeting that moves to another bridge gets another `BridgePeer`. What is decided in pure code, which lines there are
and what is said on the channel, stands in `sdp` and `bridge_channel`; this is what touches aiortc.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import aiortc
from aiortc.rtcconfiguration import RTCBundlePolicy
from aiortc.sdp import candidate_from_sdp

from webrtc.ending import Ending
from webrtc.errors import SdpError
from webrtc.jitsi.bridge_channel import LABEL, PROTOCOL, BridgeChannel, ChannelEvent
from webrtc.jitsi.bridge_socket import BridgeSocket, usable_sockets
from webrtc.jitsi.jingle import Candidate, LocalMedia, Offer
from webrtc.jitsi.sdp import OWN_MID, MediaLines, candidate_words, local_media
from webrtc.jitsi.sources import Heard, RemoteSource
from webrtc.jitter import JitterStats
from webrtc.peer import CONNECT_TIMEOUT_S, NEGOTIATION_ERRORS, IceSettings, error_words, rtc_configuration
from webrtc.room import IncomingAudio
from webrtc.tracks import RtpIncomingAudio
from webrtc.voice import OutgoingVoice, VoiceTrack

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BridgePeerStats:
    """One session's connection."""

    state: str
    """`new`, `connecting`, `connected`, `failed` or `closed`."""

    channel: str
    """`sctp`, `websocket` or `none`."""

    channel_open: bool
    incoming: Mapping[str, JitterStats]
    """By the sources' names."""


class BridgePeer:
    """One connection with one bridge, from `answer` to `close`. Everything runs on one event loop.

    Args:
        ice: STUN, TURN and policy.
        voice: what is said; None sends nothing, and signals no source.
        nick: our id in the room, of which our source's name is made.
        on_track: called once for each source when it can be pulled, not before the connection stands.
        on_track_ended: called for each of those when it is not heard any more, but not by `close`.
        on_connected: called once.
        on_failed: called once with the reason, when the connection ends by itself; never after `close`.
        on_channel: called with what the bridge says.
        tls: for the channel where that is a WebSocket; None for the system's certificates.
        insecure: such a channel may do without TLS.
        connect_timeout_s: seconds from the answer until a connection that does not stand is given up.
    """

    def __init__(
        self,
        *,
        ice: IceSettings,
        voice: OutgoingVoice | None,
        nick: str,
        on_track: Callable[[RemoteSource, IncomingAudio], None],
        on_track_ended: Callable[[RemoteSource], None],
        on_connected: Callable[[], None],
        on_failed: Callable[[str], None],
        on_channel: Callable[[ChannelEvent], None] = lambda event: None,
        tls: ssl.SSLContext | None = None,
        insecure: bool = False,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._connection = aiortc.RTCPeerConnection(rtc_configuration(ice, RTCBundlePolicy.MAX_BUNDLE))
        self._connection.on("connectionstatechange", self._on_state)
        self._voice = voice
        self._nick = nick
        self._on_track = on_track
        self._on_track_ended = on_track_ended
        self._on_connected = on_connected
        self._on_channel = on_channel
        self._tls = tls
        self._insecure = insecure
        self._connect_timeout_s = connect_timeout_s
        self._lock = asyncio.Lock()
        self._lines: MediaLines | None = None
        self._voice_track: VoiceTrack | None = None
        self._tracks: dict[str, tuple[RemoteSource, RtpIncomingAudio]] = {}  # by mid
        self._announced: set[str] = set()
        self._channel: BridgeChannel | None = None
        self._data_channel: aiortc.RTCDataChannel | None = None
        self._socket: BridgeSocket | None = None
        self._connected = False
        self._ending = Ending(self._close_all, on_failed)

    async def answer(self, offer: Offer, heard: Heard) -> LocalMedia:
        """Our end of the session, with all candidates in it; the connection then builds up by itself. Once.

        Raises:
            SdpError: the offer cannot be used, or the peer was closed; close it.
        """
        async with self._lock:
            if not self._ending.came:
                self._lines = MediaLines(offer, sends=self._voice is not None)
                self._add_own_line()
                await self._negotiate(self._lines, self._lines.hear(heard.sources).added)
            if self._ending.came:
                raise SdpError("expected to answer an offer, got closed meanwhile")
            self._open_channel(offer, heard)
            words = f"No connection with the bridge came about within {self._connect_timeout_s:g} s."
            self._ending.unless_standing_within(self._connect_timeout_s, words)
            return local_media(self._connection.localDescription.sdp, source_name=f"{self._nick}-a0")

    async def hear(self, heard: Heard) -> None:
        """Hears these sources and no others from now on; those that it heard before go on undisturbed.

        Raises:
            SdpError: aiortc refuses; the connection is of no use any more.
        """
        async with self._lock:
            if self._ending.came or self._lines is None:
                return
            if self._channel is not None:
                self._channel.hear(heard)
                self._flush()
            change = self._lines.hear(heard.sources)
            for mid, _ in change.removed:
                self._forget(mid)
            if change.added or change.removed:
                await self._negotiate(self._lines, change.added)
            for mid, _ in change.removed:
                # aiortc would keep its thread and its reports until the whole connection ends.
                await self._transceiver(mid).receiver.stop()

    async def add_candidates(self, candidates: Iterable[Candidate]) -> None:
        """The bridge can be reached under further addresses."""
        async with self._lock:
            if self._ending.came:
                return
            for candidate in candidates:
                parsed = candidate_from_sdp(candidate_words(candidate))
                parsed.sdpMid = OWN_MID
                try:
                    await self._connection.addIceCandidate(parsed)
                except NEGOTIATION_ERRORS as error:
                    logger.info("an address of the bridge cannot be used: %s", error_words(error))

    async def close(self) -> None:
        """Ends the connection; returns when its sockets and threads are gone. Idempotent."""
        await self._ending.close()

    def stats(self) -> BridgePeerStats:
        """A snapshot."""
        kind = "websocket" if self._socket is not None else "sctp"
        return BridgePeerStats(
            state=self._connection.connectionState,
            channel="none" if self._channel is None else kind,
            channel_open=self._channel is not None and self._channel.is_open,
            incoming={source.name: audio.stats() for source, audio in self._tracks.values()},
        )

    # Lines

    def _add_own_line(self) -> None:
        if self._voice is None:
            self._connection.addTransceiver("audio", direction="inactive")
            return
        self._voice_track = self._voice.new_track()
        own = self._connection.addTransceiver(self._voice_track, direction="sendonly")
        self._voice_track.tell_levels(own.sender)

    async def _negotiate(self, lines: MediaLines, added: Iterable[tuple[str, RemoteSource]]) -> None:
        """Has aiortc take the lines as they are now, and puts our receive path behind the new ones."""
        try:
            await self._connection.setRemoteDescription(aiortc.RTCSessionDescription(lines.sdp(), "offer"))
            for mid, source in added:
                audio = RtpIncomingAudio(self._transceiver(mid).receiver, ssrc=source.ssrc)
                self._tracks[mid] = source, audio
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except NEGOTIATION_ERRORS as error:
            if self._ending.came:
                return  # closed in the middle of it
            raise SdpError(f"expected a session that aiortc takes, got: {error_words(error)}") from error
        self._announce()

    def _transceiver(self, mid: str) -> aiortc.RTCRtpTransceiver:
        return next(one for one in self._connection.getTransceivers() if one.mid == mid)

    def _announce(self) -> None:
        if not self._connected or self._ending.came:
            return
        for mid, (source, audio) in list(self._tracks.items()):
            if mid not in self._announced:
                self._announced.add(mid)
                self._on_track(source, audio)

    def _forget(self, mid: str) -> None:
        source, _ = self._tracks.pop(mid)
        if mid in self._announced:
            self._announced.discard(mid)
            self._on_track_ended(source)

    # The channel

    def _open_channel(self, offer: Offer, heard: Heard) -> None:
        """SCTP where it is offered, as Jitsi's own clients prefer it; else a WebSocket, if there is one to be had."""
        urls = usable_sockets(offer.transport.web_sockets, insecure=self._insecure)
        if self._connection.sctp is not None:
            self._channel = BridgeChannel(greets=True)
            self._data_channel = self._connection.createDataChannel(LABEL, protocol=PROTOCOL)
            self._data_channel.on("open", self._on_channel_open)
            self._data_channel.on("close", self._channel.closed)
            self._data_channel.on("message", self._on_message)
        elif urls:
            self._channel = BridgeChannel(greets=False)
            self._socket = BridgeSocket(
                urls[0], self._channel, on_events=self._report_channel_events, tls=self._tls
            )
            self._socket.start()
        else:
            logger.warning("the bridge offers no channel: it cannot be told whom to send")
            return
        self._channel.hear(heard)

    def _on_channel_open(self) -> None:
        assert self._channel is not None, "it was made with the data channel"
        self._channel.opened()
        self._flush()

    def _on_message(self, message: str | bytes) -> None:
        assert self._channel is not None, "it was made with the data channel"
        if isinstance(message, str):
            self._channel.receive(message)
            self._report_channel_events()

    def _flush(self) -> None:
        if self._socket is not None:
            self._socket.flush()
        elif (
            self._channel is not None
            and self._data_channel is not None
            and self._data_channel.readyState == "open"
        ):
            for message in self._channel.messages():
                self._data_channel.send(message)

    def _report_channel_events(self) -> None:
        if self._channel is not None and not self._ending.came:
            for event in self._channel.events():
                self._on_channel(event)

    # The connection

    def _on_state(self) -> None:
        state = self._connection.connectionState
        logger.debug("connection with the bridge is %s", state)
        if state == "connected" and not self._connected and not self._ending.came:
            self._connected = True
            self._ending.stands()
            self._on_connected()
            self._announce()
        elif state == "failed":
            self._ending.come("The connection with the bridge was lost.")
        elif state == "closed":
            self._ending.come("The bridge closed the connection.")

    async def _close_all(self) -> None:
        if self._voice_track is not None:
            self._voice_track.stop()
        if self._socket is not None:
            await self._socket.close()
        await self._connection.close()
