"""A seat's voice: what it says, over one connection after another, with true silence between.

It outlives connections: a meeting that moves to another bridge gets a new one, and what is being said goes on there.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiortc
import av
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from av.stream import Stream

from webrtc.errors import MediaLibraryError
from webrtc.room import Pcm
from webrtc.talk import Talk, TalkPacket
from webrtc.tracks import RTP_TIME_BASE, Clock

_SEAM = "_next_encoded_frame"
_NextFrame = Callable[[RTCRtpCodecParameters], Awaitable[RTCEncodedFrame | None]]


@dataclass(frozen=True, kw_only=True)
class VoiceStats:
    """What became of what was played."""

    packets: int
    """Handed to a connection."""

    dropped: int
    """Came too late, or when there was no connection."""

    muted: bool


class OutgoingVoice:
    """What one seat says; implements `OutgoingAudio`. Sends nothing while there is nothing to say, or while muted."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._talk = Talk(clock(), lambda _: self._changed.set())
        self._changed = asyncio.Event()
        self._ready: deque[TalkPacket] = deque()
        self._track: VoiceTrack | None = None
        self._muted = False
        self._packets = 0

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        """Gives the 80 ms of one tick; see `OutgoingAudio.play`.

        Raises:
            LocalError: wrong shape, or a tick that does not come after the one before.
        """
        if not self._muted:
            self._talk.play(tick, pcm, at_s)

    def replace(self, tick: int, pcm: Pcm) -> None:
        """Changes what was not sent yet of a tick; see `OutgoingAudio.replace`.

        Raises:
            LocalError: wrong shape.
        """
        self._talk.replace(tick, pcm)

    def set_muted(self, muted: bool) -> None:
        """Falls silent at once, in the middle of a word if need be, or may speak again."""
        self._muted = muted
        if muted:
            self._talk.stop()
            self._ready.clear()

    def new_track(self) -> VoiceTrack:
        """The voice for one more connection; the track before it ends."""
        if self._track is not None:
            self._track.stop()
        self._track = VoiceTrack(self)
        return self._track

    def stats(self) -> VoiceStats:
        """A snapshot."""
        return VoiceStats(packets=self._packets, dropped=self._talk.dropped, muted=self._muted)

    async def next_packet(self, track: VoiceTrack) -> TalkPacket:
        """The next packet, when it is due.

        Raises:
            MediaStreamError: the track was stopped.
        """
        while True:
            if track is not self._track or track.readyState != "live":
                raise MediaStreamError("the voice goes on over another connection, or was stopped")
            events = self._talk.take(self._clock())
            self._ready += (event for event in events if isinstance(event, TalkPacket))
            if self._ready:
                self._packets += 1
                return self._ready.popleft()
            await self._until_due()

    def wake(self) -> None:
        """Has whoever waits for a packet look again."""
        self._changed.set()

    async def _until_due(self) -> None:
        self._changed.clear()
        due_s = self._talk.next_due_s()
        try:
            async with asyncio.timeout(None if due_s is None else max(0.0, due_s - self._clock())):
                await self._changed.wait()
        except TimeoutError:
            pass


class VoiceTrack(aiortc.MediaStreamTrack):
    """An `OutgoingVoice` as aiortc's sender takes it: ready packets, whenever there are any."""

    kind = "audio"

    def __init__(self, voice: OutgoingVoice) -> None:
        super().__init__()
        self._voice = voice
        self._level_dbov = 0

    async def recv(self) -> av.Packet[Stream]:
        """The next packet, when it is due; called by aiortc's sender alone, back to back."""
        talk = await self._voice.next_packet(self)
        self._level_dbov = talk.level_dbov
        packet = av.Packet(talk.payload)
        packet.pts, packet.time_base = talk.timestamp, RTP_TIME_BASE
        return packet

    def stop(self) -> None:
        """Ends the track, and a `recv` that waits."""
        super().stop()
        self._voice.wake()

    def tell_levels(self, sender: aiortc.RTCRtpSender) -> None:
        """Has the sender say how loud each packet is (RFC 6464), which aiortc does for raw sound alone.

        Without it the bridge takes us for silent, and nobody is shown that we speak.

        Raises:
            MediaLibraryError: this aiortc has another inside than the one this was written for.
        """
        next_frame: _NextFrame | None = getattr(sender, _SEAM, None)
        if next_frame is None:
            raise MediaLibraryError(
                f"expected an aiortc 1.16 sender with {_SEAM}, got aiortc {aiortc.__version__} without it"
            )

        async def next_frame_with_level(codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
            frame = await next_frame(codec)
            if frame is not None:
                frame.audio_level = self._level_dbov
            return frame

        setattr(sender, _SEAM, next_frame_with_level)
