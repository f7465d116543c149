"""One peer connection's audio: `RtpIncomingAudio` to pull frames from, `RtpOutgoingAudio` to play frames into.

Both stand on aiortc's transport and leave its codecs alone: incoming packets go to our jitter buffer, outgoing ones
come ready encoded.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable
from fractions import Fraction

import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket
from av.stream import Stream

from webrtc.errors import MediaLibraryError
from webrtc.jitter import JitterBuffer, JitterStats
from webrtc.opus import OpusDecoder, OpusEncoder
from webrtc.packets import AudioPacket
from webrtc.room import PACKET_SAMPLES, IncomingFrame, Pcm
from webrtc.schedule import PacketSchedule, ScheduleStats

Clock = Callable[[], float]
"""Monotonic seconds."""

RTP_TIME_BASE = Fraction(1, 48_000)
COMFORT_NOISE_RMS = 10 ** (-65 / 20)
_SEAM = "_RTCRtpReceiver__jitter_buffer"


class Fill(enum.Enum):
    """What is sent where there is nothing to say."""

    COMFORT_NOISE = (
        "comfort noise"  # -65 dBFS: the line is audibly alive, and browsers keep their element playing
    )
    SILENCE = "silence"  # for bridges that stop forwarding a silent stream


class RtpIncomingAudio:
    """A receiver's audio, pulled in frames; implements `IncomingAudio`.

    aiortc's own jitter buffer holds 80 ms without loss, 280 ms after the first lost packet, and gives no sign of
    what was lost. This object takes its place in the receiver: it keeps every packet and hands none back, so that
    aiortc decodes nothing, while its receiver reports go on.
    """

    def __init__(
        self, receiver: aiortc.RTCRtpReceiver, *, ssrc: int | None = None, clock: Clock = time.monotonic
    ) -> None:
        """Takes the receiver's packets from now on.

        Args:
            receiver: has not received anything yet.
            ssrc: the only one that counts; where it is known, aiortc's guesses about others must not be heard.
            clock: monotonic seconds.
        """
        self._clock = clock
        self._ssrc = ssrc
        self._buffer = JitterBuffer(OpusDecoder())
        _take_packets(receiver, self._add)

    def pull(self, now_s: float) -> IncomingFrame:
        """The frame due at `now_s`; see `IncomingAudio.pull`."""
        return self._buffer.pull(now_s)

    def stats(self) -> JitterStats:
        """A snapshot of the receive path."""
        return self._buffer.stats()

    def _add(self, packet: RtpPacket) -> None:
        if self._ssrc is not None and packet.ssrc != self._ssrc:
            return
        self._buffer.add(
            AudioPacket(
                ssrc=packet.ssrc,
                sequence_number=packet.sequence_number,
                timestamp=packet.timestamp,
                payload=packet.payload,
            ),
            self._clock(),
        )


class _PacketTap:
    """Stands where aiortc expects its jitter buffer; only `add` is ever called there."""

    def __init__(self, keep: Callable[[RtpPacket], None]) -> None:
        self._keep = keep

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Keeps the packet: no picture loss to report, no frame to decode."""
        self._keep(packet)
        return False, None


def _take_packets(receiver: aiortc.RTCRtpReceiver, keep: Callable[[RtpPacket], None]) -> None:
    """Puts a tap in place of the receiver's jitter buffer; must happen before media flows."""
    if not hasattr(getattr(receiver, _SEAM, None), "add"):
        raise MediaLibraryError(
            f"expected an aiortc 1.16 receiver with {_SEAM}.add, got aiortc {aiortc.__version__} without it"
        )
    setattr(receiver, _SEAM, _PacketTap(keep))


class RtpOutgoingAudio(aiortc.MediaStreamTrack):
    """A track fed with frames; implements `OutgoingAudio`. aiortc only packetises what it returns."""

    kind = "audio"

    def __init__(self, fill: Fill, *, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._schedule = PacketSchedule()
        self._encoder = OpusEncoder()
        self._filler = _Filler(fill)

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        """Gives the 80 ms of one tick; see `OutgoingAudio.play`.

        Raises:
            LocalError: wrong shape, or a tick that does not come after the one before.
        """
        self._schedule.play(tick, pcm, at_s)

    def replace(self, tick: int, pcm: Pcm) -> None:
        """Changes what was not sent yet of a tick; see `OutgoingAudio.replace`.

        Raises:
            LocalError: wrong shape.
        """
        self._schedule.replace(tick, pcm)

    def stats(self) -> ScheduleStats:
        """A snapshot of the send path."""
        return self._schedule.stats()

    async def recv(self) -> av.Packet[Stream]:
        """The next packet, when it is due; called by aiortc's sender alone, back to back."""
        await self._until_due()
        if self.readyState != "live":
            raise MediaStreamError("the outgoing track was stopped")
        due = self._schedule.take(self._clock())
        packet = av.Packet(self._encoder.encode(self._filler.filled(due.pcm)))
        packet.pts, packet.time_base = due.pts, RTP_TIME_BASE
        return packet

    async def _until_due(self) -> None:
        # A frame that arrives while we sleep may move the time, so it is asked for again after each sleep.
        while True:
            now_s = self._clock()
            wait_s = self._schedule.next_due_s(now_s) - now_s
            if wait_s <= 0:
                return
            await asyncio.sleep(wait_s)


class _Filler:
    """Fills packets that would otherwise carry digital silence."""

    def __init__(self, fill: Fill) -> None:
        self._fill = fill
        self._random = np.random.default_rng(0)  # noise sounds like noise whatever its seed

    def filled(self, pcm: Pcm | None) -> Pcm:
        """`pcm` [480], or the fill where it is None or all zero."""
        if pcm is not None and pcm.any():
            return pcm.astype(np.float32, copy=False)
        if self._fill is Fill.SILENCE:
            return np.zeros(PACKET_SAMPLES, dtype=np.float32)
        return self._random.standard_normal(PACKET_SAMPLES, dtype=np.float32) * np.float32(COMFORT_NOISE_RMS)
