"""Places on the timeline, and the bounded store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.opus import PacketInfo
from webrtc.packets import MAX_BYTES, MAX_PACKETS, AudioPacket, MediaTimeline, PacketStore, PlacedPacket
from webrtc.transit import TransitEstimator

INFO = PacketInfo(samples=480, fec_samples=0)


def packet(sequence_number: int, timestamp: int, ssrc: int = 1) -> AudioPacket:
    return AudioPacket(
        ssrc=ssrc, sequence_number=sequence_number % 2**16, timestamp=timestamp % 2**32, payload=b"x"
    )


class Sender:
    """Places packets that arrive exactly when due, unless told otherwise."""

    def __init__(self, sequence_number: int = 0, timestamp: int = 0) -> None:
        self.timeline = MediaTimeline(TransitEstimator())
        self.sequence_number, self.timestamp, self.now_s = sequence_number, timestamp, 50.0

    def send(self, *, skip: int = 0, jump: int = 0, wait_s: float = 0.0, ssrc: int = 1) -> PlacedPacket:
        placed = self.timeline.place(
            packet(self.sequence_number + skip, self.timestamp + 960 * skip + jump, ssrc),
            INFO,
            self.now_s + wait_s,
        )
        self.sequence_number += 1 + skip
        self.timestamp += 960 * (1 + skip) + jump
        self.now_s += 0.02 * (1 + skip) + wait_s
        return placed


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1))
def test_packets_lie_end_to_end_whatever_wraps(sequence_number: int, timestamp: int) -> None:
    sender = Sender(sequence_number, timestamp)
    placed = [sender.send() for _ in range(100)]
    assert [p.start for p in placed] == [480 * n for n in range(100)]
    assert sender.timeline.epoch == 0
    assert sender.timeline.expected == 100
    assert all(b.missing_since(a) == 0 for a, b in zip(placed, placed[1:], strict=False))


def test_a_loss_leaves_a_hole_and_is_counted() -> None:
    sender = Sender()
    first = sender.send()
    second = sender.send(skip=3)
    assert second.start - first.end == 3 * 480
    assert second.missing_since(first) == 3
    assert sender.timeline.expected == 5


def test_a_pause_leaves_a_hole_and_nothing_is_missing() -> None:
    sender = Sender()
    first = sender.send()
    second = sender.send(jump=48_000, wait_s=1.0)
    assert second.start - first.end == 24_000
    assert second.missing_since(first) == 0
    assert sender.timeline.epoch == 0


@pytest.mark.parametrize("jump", [48_000, -48_000, 2**31 - 960, -960])
def test_a_jump_without_a_pause_leaves_no_hole(jump: int) -> None:
    sender = Sender()
    first = sender.send()
    second = sender.send(jump=jump)
    assert second.start == first.end
    assert sender.timeline.epoch == 1
    assert second.missing_since(first) == 0


def test_a_new_ssrc_after_a_pause_lies_where_it_arrives() -> None:
    sender = Sender()
    first = sender.send()
    second = sender.send(ssrc=2, jump=777, wait_s=0.5)
    assert second.start - first.end == 12_000


def test_a_burst_behind_a_stall_is_no_jump() -> None:
    sender = Sender()
    for _ in range(50):
        sender.send()
    sender.send(wait_s=0.6)
    for _ in range(30):
        sender.send(wait_s=-0.02)
    assert sender.timeline.epoch == 0


def test_steadily_late_packets_are_followed() -> None:
    sender = Sender()
    for _ in range(50):
        sender.send()
    sender.send(wait_s=0.6)
    for _ in range(10):
        sender.send()
    assert sender.timeline.epoch == 1


def placed_at(start: int, payload: bytes = b"x") -> PlacedPacket:
    return PlacedPacket(start=start, sequence_number=0, epoch=0, payload=payload, info=INFO)


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 3000)), max_size=200))
def test_the_store_is_ordered_and_bounded(entries: list[tuple[int, int]]) -> None:
    store = PacketStore()
    for start, size in entries:
        store.add(placed_at(start, bytes(size)))
    assert len(store) <= MAX_PACKETS
    assert store.bytes_held <= MAX_BYTES
    assert len(store) + store.overflow == len(entries)
    starts = [store.pop().start for _ in range(len(store))]
    assert starts == sorted(starts)
    assert store.first() is None
    assert store.bytes_held == 0


def test_a_duplicate_is_known() -> None:
    store = PacketStore()
    assert not store.is_duplicate(packet(1, 0))
    assert store.is_duplicate(packet(1, 0))
    assert not store.is_duplicate(packet(1, 0, ssrc=2))
