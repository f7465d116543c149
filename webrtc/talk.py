"""What is said on its way to the bridges: frames on the tick grid become talks of 20 ms packets. Sans-IO.

The bridge sends on what it gets when it gets it, and where it asked for a rendering its listeners are shown that
somebody is being interpreted between the start and the stop of a *talk*. So packets leave at their time and not before,
silence between talks is not sent at all, and timestamps follow the media while sequence numbers follow the packets:

    frames       |  silence  | speech | speech | silence | silence ...              | speech
    sent                     S p p p p  p p p p  p p p p   p p p X                  S p p p
    sequence                   7 8 9 ...                      21                      22 23
    timestamp                  k ...                      k + 14 * 960     the time in between included
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log10, sqrt

import numpy as np

from webrtc.errors import LocalError
from webrtc.opus import OpusEncoder
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, Pcm
from webrtc.schedule import (
    CATCH_UP_S,
    MAX_QUEUED_PACKETS,
    PACKET_S,
    PACKETS_PER_FRAME,
    RTP_SAMPLES_PER_PACKET,
    crossfaded,
)

RTP_CLOCK_HZ = 48_000  # of Opus, whatever the codec's own rate (RFC 7587 section 4.1)

SOUND_RMS = 10 ** (-60 / 20)
"""A packet below this level is a pause: far below a quiet voice, above what a model's silence sounds like."""

HANGOVER_PACKETS = 20
"""400 ms: pauses between words are sent, pauses between sentences end the talk."""

SILENT_DBOV = -127  # the least that RFC 6464 can express


@dataclass(frozen=True, kw_only=True)
class TalkStarted:
    """A talk begins: packets of a rendering follow without a pause."""

    timestamp: int
    """Of its first packet, 48 kHz."""


@dataclass(frozen=True, kw_only=True)
class TalkPacket:
    """20 ms of a talk."""

    sequence_number: int
    """Modulo 2**16; without a gap from talk to talk."""

    timestamp: int
    """48 kHz; with a gap from talk to talk."""

    payload: bytes
    """An Opus packet."""

    level_dbov: int
    """How loud it is, -127 to 0 (RFC 6464); mediajson does not tell it."""


@dataclass(frozen=True, kw_only=True)
class TalkStopped:
    """A talk is over."""

    timestamp: int
    """Behind its last packet."""

    bytes_sent: int
    """Opus, before base64."""

    duration_ms: int
    """From its first packet to its end."""


TalkEvent = TalkStarted | TalkPacket | TalkStopped


@dataclass(frozen=True)
class _Queued:
    timestamp: int
    at_s: float
    pcm: Pcm


class Talk:
    """The talks of one source; fulfils `webrtc.room.OutgoingAudio`. Single-threaded.

    Args:
        origin_s: monotonic time of timestamp 0.
        wake: is called with the time at which there is something to send next, when that was not known before.
    """

    def __init__(self, origin_s: float, wake: Callable[[float], None] = lambda due_s: None) -> None:
        self._origin_s = origin_s
        self._wake = wake
        self._encoder: OpusEncoder | None = None  # one for each talk: what is not being said costs nothing
        self._queue: deque[_Queued] = deque()
        self._first: tuple[int, int] | None = None  # tick, timestamp
        self._last_tick = 0
        self._number = 0
        self._next_timestamp = 0
        self._next_at_s = 0.0  # of the packet after the last one
        self._started: int | None = None  # timestamp of the running talk
        self._quiet_packets = 0
        self._bytes = 0
        self.dropped = 0
        """Packets that came too late to be sent, or for which there was no room."""

    @property
    def talking(self) -> bool:
        """Whether a talk has begun and not ended."""
        return self._started is not None

    @property
    def idle(self) -> bool:
        """Whether nothing is being said, nor waits to be."""
        return self._started is None and not any(_sounds(one.pcm) for one in self._queue)

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        """Gives the 80 ms of one tick; see `OutgoingAudio.play`.

        Raises:
            LocalError: wrong shape, or a tick that does not come after the one before.
        """
        if pcm.shape != (FRAME_SAMPLES,):
            raise LocalError(f"expected pcm [{FRAME_SAMPLES}], got {list(pcm.shape)}")
        if self._first is None:
            # On the grid of packets, so that every talk's timestamps are whole packets apart.
            number = round((at_s - self._origin_s) * RTP_CLOCK_HZ / RTP_SAMPLES_PER_PACKET)
            self._first = tick, max(0, number) * RTP_SAMPLES_PER_PACKET
        elif tick <= self._last_tick:
            raise LocalError(f"expected a tick after {self._last_tick}, got {tick}")
        self._last_tick = tick
        if self._started is None and not self._queue and not _sounds(pcm):
            return
        first_tick, first_timestamp = self._first
        number = (tick - first_tick) * PACKETS_PER_FRAME
        for k in range(PACKETS_PER_FRAME):
            piece = pcm[k * PACKET_SAMPLES : (k + 1) * PACKET_SAMPLES]
            timestamp = first_timestamp + (number + k) * RTP_SAMPLES_PER_PACKET
            self._queue.append(_Queued(timestamp, at_s + k * PACKET_S, piece))
        while len(self._queue) > MAX_QUEUED_PACKETS:
            self._queue.popleft()
            self.dropped += 1
        self._wake(self._queue[0].at_s)

    def replace(self, tick: int, pcm: Pcm) -> None:
        """Changes what waits of a tick; see `OutgoingAudio.replace`.

        Raises:
            LocalError: wrong shape.
        """
        if pcm.shape != (FRAME_SAMPLES,):
            raise LocalError(f"expected pcm [{FRAME_SAMPLES}], got {list(pcm.shape)}")
        if self._first is None:
            return
        first_tick, first_timestamp = self._first
        first = first_timestamp + (tick - first_tick) * PACKETS_PER_FRAME * RTP_SAMPLES_PER_PACKET
        for place, queued in enumerate(self._queue):
            k, rest = divmod(queued.timestamp - first, RTP_SAMPLES_PER_PACKET)
            if rest == 0 and 0 <= k < PACKETS_PER_FRAME:
                piece = pcm[k * PACKET_SAMPLES : (k + 1) * PACKET_SAMPLES]
                self._queue[place] = replace(
                    queued, pcm=crossfaded(queued.pcm, piece) if place == 0 else piece
                )

    def next_due_s(self) -> float | None:
        """When something is to be sent next; None while nothing is being said."""
        if self._queue:
            return self._queue[0].at_s
        if self._started is not None:
            return self._next_at_s + HANGOVER_PACKETS * PACKET_S
        return None

    def take(self, now_s: float) -> list[TalkEvent]:
        """What is to be sent now, in this order."""
        events: list[TalkEvent] = []
        while self._queue and self._queue[0].at_s <= now_s:
            packet = self._queue.popleft()
            if packet.at_s < now_s - CATCH_UP_S:
                self.dropped += 1
            else:
                events += self._follow(packet)
        due_s = self.next_due_s()
        if due_s is not None and due_s <= now_s:
            events += self.stop()  # no frames come any more
        return events

    def so_far(self) -> TalkStopped | None:
        """The end of the running talk, if it ended with what was sent of it; None where there is none."""
        if self._started is None:
            return None
        return TalkStopped(
            timestamp=self._next_timestamp,
            bytes_sent=self._bytes,
            duration_ms=1000 * (self._next_timestamp - self._started) // RTP_CLOCK_HZ,
        )

    def stop(self) -> list[TalkEvent]:
        """Ends the running talk at once; what waits is forgotten."""
        self._queue.clear()
        return self._end()

    def _end(self) -> list[TalkEvent]:
        stopped = self.so_far()
        self._encoder = None
        self._started, self._bytes, self._quiet_packets = None, 0, 0
        return [] if stopped is None else [stopped]

    def _follow(self, packet: _Queued) -> list[TalkEvent]:
        sounds = _sounds(packet.pcm)
        events: list[TalkEvent] = []
        if self._started is None:
            if not sounds:
                return []
            self._started = packet.timestamp
            events.append(TalkStarted(timestamp=packet.timestamp))
        events.append(self._encoded(packet))
        self._quiet_packets = 0 if sounds else self._quiet_packets + 1
        if self._quiet_packets >= HANGOVER_PACKETS:
            events += self._end()
        return events

    def _encoded(self, packet: _Queued) -> TalkPacket:
        self._encoder = self._encoder or OpusEncoder()
        payload = self._encoder.encode(packet.pcm.astype(np.float32, copy=False))
        number, self._number = self._number, (self._number + 1) % 2**16
        self._next_timestamp = packet.timestamp + RTP_SAMPLES_PER_PACKET
        self._next_at_s = packet.at_s + PACKET_S
        self._bytes += len(payload)
        return TalkPacket(
            sequence_number=number,
            timestamp=packet.timestamp,
            payload=payload,
            level_dbov=_level_dbov(packet.pcm),
        )


def _sounds(pcm: Pcm) -> bool:
    return _rms(pcm) >= SOUND_RMS


def _level_dbov(pcm: Pcm) -> int:
    rms = _rms(pcm)
    return min(0, max(SILENT_DBOV, round(20 * log10(rms)))) if rms else SILENT_DBOV


def _rms(pcm: Pcm) -> float:
    return sqrt(float(np.dot(pcm, pcm)) / pcm.size)
