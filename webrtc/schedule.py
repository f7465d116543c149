"""Which packet leaves when: frames on the tick grid become packets on absolute times. Sans-IO.

Packets are numbered on the media timeline, one every 20 ms; number n has RTP time n * 960. A frame of tick t holds
four of them. What is sent when is another matter: `at_s` of the frame says so, and may shift from frame to frame
(the cushion adapts) while the numbers run on, so the listener's jitter buffer sees a change of network delay and not
a change of content.

    before the first frame     | fill | fill | fill |
    frame of tick t                                 | 4t | 4t+1 | 4t+2 | 4t+3 |
    frame of tick t+1, too late by 25 ms                                      | fill | fill | 2 of 4 | 3 of 4 |
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from webrtc.errors import LocalError
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE_HZ, Pcm

PACKET_S = PACKET_SAMPLES / SAMPLE_RATE_HZ
PACKETS_PER_FRAME = FRAME_SAMPLES // PACKET_SAMPLES
RTP_SAMPLES_PER_PACKET = 960  # 20 ms of the 48 kHz RTP clock, RFC 7587
MAX_QUEUED_PACKETS = 16 * PACKETS_PER_FRAME
FADE_SAMPLES = SAMPLE_RATE_HZ * 5 // 1000  # of a packet whose sound is replaced: not heard as a fade
CATCH_UP_S = 0.1  # packets later than this are not sent at all: a burst of old sound helps nobody


@dataclass(frozen=True, kw_only=True)
class DuePacket:
    """What to send now."""

    pts: int
    """RTP time since the first packet, 48 kHz."""

    pcm: Pcm | None
    """[480], or None for fill."""


@dataclass(frozen=True, kw_only=True)
class ScheduleStats:
    """One listener's send path since it began."""

    packets: int
    """Packets sent, fill included."""

    underruns: int
    """Packets filled because their frame had not come, after the first frame."""

    late_frames: int
    """Frames that lost at least one packet to fill."""

    overflow: int
    """Packets dropped because too many were waiting."""

    skipped: int
    """Packets not sent because their time had long passed."""


@dataclass(frozen=True, kw_only=True)
class _Queued:
    number: int
    at_s: float
    pcm: Pcm


class PacketSchedule:
    """One listener's packets. Single-threaded."""

    def __init__(self) -> None:
        self._queue: deque[_Queued] = deque()
        self._number = 0  # of the next packet to send
        self._anchor_number: int | None = None  # a packet whose time is known; later ones follow at 20 ms
        self._anchor_s = 0.0
        self._first_tick: int | None = None
        self._first_tick_number = 0
        self._last_tick = 0
        self._packets = self._underruns = self._late_frames = self._overflow = self._skipped = 0

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        """Queues a frame; see `OutgoingAudio.play`.

        Raises:
            LocalError: wrong shape, or a tick that does not come after the one before.
        """
        if pcm.shape != (FRAME_SAMPLES,):
            raise LocalError(f"expected pcm [{FRAME_SAMPLES}], got {list(pcm.shape)}")
        if self._first_tick is None:
            self._first_tick, self._first_tick_number = tick, self._number_at(at_s)
        elif tick <= self._last_tick:
            raise LocalError(f"expected a tick after {self._last_tick}, got {tick}")
        self._last_tick = tick
        first = self._first_tick_number + (tick - self._first_tick) * PACKETS_PER_FRAME
        missed = min(max(0, self._number - first), PACKETS_PER_FRAME)
        self._late_frames += missed > 0
        for k in range(missed, PACKETS_PER_FRAME):
            piece = pcm[k * PACKET_SAMPLES : (k + 1) * PACKET_SAMPLES]
            self._queue.append(_Queued(number=first + k, at_s=at_s + k * PACKET_S, pcm=piece))
        while len(self._queue) > MAX_QUEUED_PACKETS:
            self._number = max(self._number, self._queue.popleft().number + 1)
            self._overflow += 1

    def replace(self, tick: int, pcm: Pcm) -> None:
        """Changes what waits of a frame; see `OutgoingAudio.replace`.

        Raises:
            LocalError: wrong shape.
        """
        if pcm.shape != (FRAME_SAMPLES,):
            raise LocalError(f"expected pcm [{FRAME_SAMPLES}], got {list(pcm.shape)}")
        if self._first_tick is None:
            return
        first = self._first_tick_number + (tick - self._first_tick) * PACKETS_PER_FRAME
        for place, queued in enumerate(self._queue):
            k = queued.number - first
            if 0 <= k < PACKETS_PER_FRAME:
                piece = pcm[k * PACKET_SAMPLES : (k + 1) * PACKET_SAMPLES]
                if queued.number == self._number:
                    piece = crossfaded(queued.pcm, piece)
                self._queue[place] = replace(queued, pcm=piece)

    def next_due_s(self, now_s: float) -> float:
        """When the next packet leaves, as far as is known at `now_s`; may lie in the past."""
        if self._queue and self._queue[0].number == self._number:
            return self._queue[0].at_s
        if self._anchor_number is not None:
            return self._extrapolated_s(self._number)
        return now_s

    def take(self, now_s: float) -> DuePacket:
        """The next packet, to be sent now; call when `next_due_s` has come."""
        self._skip_old(now_s)
        due_s = self.next_due_s(now_s)
        queued = self._queue.popleft() if self._queue and self._queue[0].number == self._number else None
        if queued is None and self._first_tick is not None and self._number >= self._first_tick_number:
            self._underruns += 1
        packet = DuePacket(
            pts=self._number * RTP_SAMPLES_PER_PACKET, pcm=None if queued is None else queued.pcm
        )
        self._packets += 1
        self._advance(due_s)
        return packet

    def stats(self) -> ScheduleStats:
        """A snapshot."""
        return ScheduleStats(
            packets=self._packets,
            underruns=self._underruns,
            late_frames=self._late_frames,
            overflow=self._overflow,
            skipped=self._skipped,
        )

    def _skip_old(self, now_s: float) -> None:
        while (due_s := self.next_due_s(now_s)) < now_s - CATCH_UP_S:
            if self._queue and self._queue[0].number == self._number:
                self._queue.popleft()
            self._skipped += 1
            self._advance(due_s)

    def _advance(self, due_s: float) -> None:
        self._anchor_number, self._anchor_s = self._number, due_s
        self._number += 1

    def _extrapolated_s(self, number: int) -> float:
        assert self._anchor_number is not None, "there is no time before the first packet"
        return self._anchor_s + (number - self._anchor_number) * PACKET_S

    def _number_at(self, at_s: float) -> int:
        """The packet number that belongs to `at_s`, never one already sent: fill is sent until then."""
        if self._anchor_number is None:
            return self._number
        ahead = math.floor((at_s - self._extrapolated_s(self._number)) / PACKET_S + 0.5)
        return self._number + max(0, ahead)


def crossfaded(before: Pcm, after: Pcm) -> Pcm:
    """`after` [480], whose first 5 ms come out of `before` [480]."""
    rise = np.arange(1, FADE_SAMPLES + 1, dtype=np.float32) / np.float32(FADE_SAMPLES)
    piece = after.astype(np.float32, copy=True)
    piece[:FADE_SAMPLES] = before[:FADE_SAMPLES] * (1 - rise) + after[:FADE_SAMPLES] * rise
    return piece
