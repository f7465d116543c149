"""RTP packets on one media timeline, in order, whatever the sender does to its clocks.

The timeline counts samples at 24 kHz from the first packet on. It never wraps, never runs backwards, and follows our
clock: a sender that jumps (restart, new SSRC, a timestamp step that the arrival time does not confirm) is put where
its packets arrive, so that a jump costs neither silence nor delay. A pause is different: there the timestamp step and
the arrival gap agree, and the timeline has a hole of that length.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass

from webrtc.opus import PacketInfo
from webrtc.room import SAMPLE_RATE_HZ
from webrtc.transit import MAX_TARGET_S, TransitEstimator

RTP_CLOCK_RATIO = 2  # the RTP clock of Opus runs at 48 kHz whatever the codec's rate (RFC 7587 section 4.1)
MAX_PACKETS = 64  # 1.3 s of 20 ms packets: eight times the largest target
MAX_BYTES = 64 * 1024
STEADY_LATE_PACKETS = (
    5  # so many equally late packets are a slower route or a jump, not a burst behind a stall
)
STEADY_LATE_S = 0.015
JOIN_SAMPLES = (
    SAMPLE_RATE_HZ * 40 // 1000
)  # a jump's first packet joins the one before it over gaps up to 40 ms
MAX_MISSING_PACKETS = 500  # a larger step in sequence numbers is a restart, not a loss
_SEEN_PACKETS = 128


@dataclass(frozen=True, kw_only=True)
class AudioPacket:
    """What the receive path needs of an RTP packet (RFC 3550 section 5.1)."""

    ssrc: int
    sequence_number: int
    """Modulo 2**16."""

    timestamp: int
    """Modulo 2**32, 48 kHz."""

    payload: bytes


@dataclass(frozen=True, kw_only=True)
class PlacedPacket:
    """A packet with its place on the timeline."""

    start: int
    """Position of the first sample, 24 kHz."""

    sequence_number: int
    epoch: int
    """Number of jumps before it; sequence numbers are comparable within an epoch."""

    payload: bytes
    info: PacketInfo

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.start + self.info.samples

    def missing_since(self, earlier: PlacedPacket | None) -> int:
        """Packets sent between `earlier` and this one, by sequence number; 0 where that cannot be known."""
        if earlier is None or earlier.epoch != self.epoch:
            return 0
        missing = (self.sequence_number - earlier.sequence_number - 1) & 0xFFFF
        return missing if missing <= MAX_MISSING_PACKETS else 0


class MediaTimeline:
    """Gives every packet its place, and keeps the transit statistics in step with it."""

    def __init__(self, transit: TransitEstimator) -> None:
        self._transit = transit
        self._newest: AudioPacket | None = None
        self._unwrapped = 0  # the newest packet's timestamp, 48 kHz, without wrapping
        self._origin = 0  # unwrapped timestamp of position 0
        self._end = 0  # behind the last sample placed so far
        self._late_transit_s = 0.0
        self._late_packets = 0
        self.epoch = 0
        """Jumps so far."""
        self.expected = 0
        """Packets sent so far, by sequence numbers (RFC 3550 section 6.4.1)."""

    def place(self, packet: AudioPacket, info: PacketInfo, arrival_s: float) -> PlacedPacket:
        """The packet on the timeline; `arrival_s` does not decrease from call to call."""
        unwrapped = self._unwrap(packet)
        if self._newest is None:
            self._origin = unwrapped
        start = (unwrapped - self._origin) // RTP_CLOCK_RATIO
        if self._has_jumped(packet, unwrapped, _transit_s(arrival_s, start + info.samples)):
            start = self._start_after_jump(arrival_s, info.samples)
            self._origin = unwrapped - RTP_CLOCK_RATIO * start
            self.epoch += 1
            self._late_packets = 0
            self._follow(packet, unwrapped, jumped=True)
        elif self._newest is None or unwrapped > self._unwrapped:
            self._follow(packet, unwrapped)
        self._end = max(self._end, start + info.samples)
        self._transit.add(arrival_s, _transit_s(arrival_s, start + info.samples))
        return PlacedPacket(
            start=start,
            sequence_number=packet.sequence_number,
            epoch=self.epoch,
            payload=packet.payload,
            info=info,
        )

    def _unwrap(self, packet: AudioPacket) -> int:
        if self._newest is None:
            return packet.timestamp
        step = (packet.timestamp - self._newest.timestamp + 2**31) % 2**32 - 2**31
        return self._unwrapped + step

    def _follow(self, packet: AudioPacket, unwrapped: int, *, jumped: bool = False) -> None:
        step = 1 if self._newest is None else _sequence_step(self._newest, packet)
        self.expected += step if not jumped and step <= MAX_MISSING_PACKETS else 1
        self._newest, self._unwrapped = packet, unwrapped

    def _has_jumped(self, packet: AudioPacket, unwrapped: int, transit_s: float) -> bool:
        """Whether timestamps no longer mean what they meant for the packets before."""
        newest, base_s = self._newest, self._transit.base_s
        if newest is None or base_s is None:
            return False
        if packet.ssrc != newest.ssrc or transit_s < base_s - MAX_TARGET_S:
            return True
        if 0 < _sequence_step(newest, packet) <= MAX_MISSING_PACKETS and unwrapped <= self._unwrapped:
            return True
        return self._counts_as_steadily_late(transit_s, base_s)

    def _counts_as_steadily_late(self, transit_s: float, base_s: float) -> bool:
        """Counts packets that came equally late, too late ever to be played; whether they are enough by now."""
        if transit_s <= base_s + MAX_TARGET_S:
            self._late_packets = 0
        elif self._late_packets and abs(transit_s - self._late_transit_s) <= STEADY_LATE_S:
            self._late_packets += 1
        else:
            self._late_packets, self._late_transit_s = 1, transit_s
        return self._late_packets >= STEADY_LATE_PACKETS

    def _start_after_jump(self, arrival_s: float, samples: int) -> int:
        """Where a packet belongs that arrived at `arrival_s` with base transit, after everything before it."""
        base_s = self._transit.base_s
        assert base_s is not None, "there is no jump without an earlier packet"
        start = round((arrival_s - base_s) * SAMPLE_RATE_HZ) - samples
        return start if start > self._end + JOIN_SAMPLES else self._end


class PacketStore:
    """Placed packets that wait for their time, in media order; bounded in number and bytes."""

    def __init__(self) -> None:
        self._packets: list[PlacedPacket] = []
        self._bytes = 0
        self._seen: deque[tuple[int, int, int]] = deque(maxlen=_SEEN_PACKETS)
        self.overflow = 0
        """Packets dropped because the store was full."""

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def bytes_held(self) -> int:
        """Sum of the payloads."""
        return self._bytes

    def is_duplicate(self, packet: AudioPacket) -> bool:
        """Whether the same packet came recently; remembers it otherwise."""
        key = (packet.ssrc, packet.sequence_number, packet.timestamp)
        if key in self._seen:
            return True
        self._seen.append(key)
        return False

    def add(self, packet: PlacedPacket) -> None:
        """Takes a packet in; when full, the oldest go, so that delay stays bounded."""
        bisect.insort(self._packets, packet, key=_start)
        self._bytes += len(packet.payload)
        while len(self._packets) > MAX_PACKETS or self._bytes > MAX_BYTES:
            self.pop()
            self.overflow += 1

    def first(self) -> PlacedPacket | None:
        """The packet with the earliest media, or None."""
        return self._packets[0] if self._packets else None

    def pop(self) -> PlacedPacket:
        """Takes the first packet out; the store is not empty."""
        packet = self._packets.pop(0)
        self._bytes -= len(packet.payload)
        return packet


def _sequence_step(earlier: AudioPacket, later: AudioPacket) -> int:
    return (later.sequence_number - earlier.sequence_number) & 0xFFFF


def _start(packet: PlacedPacket) -> int:
    return packet.start


def _transit_s(arrival_s: float, end: int) -> float:
    return arrival_s - end / SAMPLE_RATE_HZ
