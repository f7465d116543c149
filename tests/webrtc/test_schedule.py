"""Which packet leaves when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import LocalError
from webrtc.room import FRAME_SAMPLES, Pcm
from webrtc.schedule import (
    CATCH_UP_S,
    FADE_SAMPLES,
    MAX_QUEUED_PACKETS,
    PACKET_S,
    RTP_SAMPLES_PER_PACKET,
    PacketSchedule,
)


def frame(value: float) -> Pcm:
    """A frame whose packets tell tick and place: 5.0, 5.25, 5.5, 5.75."""
    return (value + np.repeat(np.arange(4), FRAME_SAMPLES // 4) / 4).astype(np.float32)


def sent(schedule: PacketSchedule, until_s: float, now_s: float) -> list[tuple[float, int, float | None]]:
    """Runs a perfect clock: (time, packet number, first sample or None for fill)."""
    out = []
    while (due_s := max(now_s, schedule.next_due_s(now_s))) <= until_s:
        now_s = due_s
        packet = schedule.take(now_s)
        assert packet.pts % RTP_SAMPLES_PER_PACKET == 0
        value = None if packet.pcm is None else float(packet.pcm[0])
        out.append((round(now_s, 6), packet.pts // RTP_SAMPLES_PER_PACKET, value))
    return out


def test_a_frame_leaves_in_four_packets_20_ms_apart() -> None:
    schedule = PacketSchedule()
    schedule.play(7, frame(7), at_s=10.0)
    schedule.play(8, frame(8), at_s=10.08)
    assert sent(schedule, 10.15, 9.9) == [
        (10.0, 0, 7.0),
        (10.02, 1, 7.25),
        (10.04, 2, 7.5),
        (10.06, 3, 7.75),
        (10.08, 4, 8.0),
        (10.1, 5, 8.25),
        (10.12, 6, 8.5),
        (10.14, 7, 8.75),
    ]
    assert schedule.stats().underruns == 0


def test_fill_is_sent_before_the_first_frame_and_is_no_underrun() -> None:
    schedule = PacketSchedule()
    assert sent(schedule, 5.05, 5.0) == [(5.0, 0, None), (5.02, 1, None), (5.04, 2, None)]
    schedule.play(100, frame(1), at_s=5.1)
    assert sent(schedule, 5.13, 5.05) == [
        (5.06, 3, None),
        (5.08, 4, None),
        (5.1, 5, 1.0),
        (5.12, 6, 1.25),
    ]
    assert schedule.stats().underruns == 0


def test_a_missing_frame_is_filled_and_counted() -> None:
    schedule = PacketSchedule()
    schedule.play(0, frame(0), at_s=1.0)
    schedule.play(2, frame(2), at_s=1.16)
    packets = sent(schedule, 1.23, 1.0)
    assert [value for _, _, value in packets[4:8]] == [None] * 4
    assert [number for _, number, _ in packets] == list(range(12))
    assert packets[8] == (1.16, 8, 2.0)
    assert schedule.stats().underruns == 4


def test_a_late_frame_is_cut_to_the_packets_not_yet_due() -> None:
    schedule = PacketSchedule()
    schedule.play(0, frame(0), at_s=1.0)
    sent(schedule, 1.105, 1.0)  # two packets into the next frame
    schedule.play(1, frame(1), at_s=1.08)
    assert sent(schedule, 1.15, 1.105) == [(1.12, 6, 1.5), (1.14, 7, 1.75)]
    stats = schedule.stats()
    assert (stats.underruns, stats.late_frames) == (2, 1)


def test_a_frame_that_comes_after_all_of_it_was_filled_is_dropped_whole() -> None:
    schedule = PacketSchedule()
    schedule.play(0, frame(0), at_s=1.0)
    sent(schedule, 1.205, 1.0)
    schedule.play(1, frame(1), at_s=1.08)
    schedule.play(3, frame(3), at_s=1.24)
    assert [value for _, _, value in sent(schedule, 1.25, 1.205)] == [None, 3.0]
    assert schedule.stats().late_frames == 1


@pytest.mark.parametrize("shift_s", [0.013, -0.013])
def test_a_change_of_cushion_shifts_sending_and_not_media_time(shift_s: float) -> None:
    schedule = PacketSchedule()
    schedule.play(0, frame(0), at_s=1.0)
    schedule.play(1, frame(1), at_s=1.08 + shift_s)
    packets = sent(schedule, 1.16 + shift_s - 0.001, 1.0)
    assert [number for _, number, _ in packets] == list(range(8))
    assert packets[4][0] == pytest.approx(1.08 + shift_s)
    assert None not in [value for _, _, value in packets]


def test_a_sender_that_was_held_up_skips_instead_of_bursting() -> None:
    schedule = PacketSchedule()
    for tick in range(10):
        schedule.play(tick, frame(tick), at_s=1 + 0.08 * tick)
    packets = sent(schedule, 1.5, 1.5)
    assert packets[0][1] * PACKET_S == pytest.approx(0.5 - CATCH_UP_S, abs=PACKET_S)
    assert schedule.stats().skipped == packets[0][1]


def test_the_queue_is_bounded_while_nothing_is_sent() -> None:
    schedule = PacketSchedule()
    for tick in range(100):
        schedule.play(tick, frame(tick), at_s=0.08 * tick)
    assert schedule.stats().overflow == 400 - MAX_QUEUED_PACKETS
    first_left = 100 - MAX_QUEUED_PACKETS // 4
    assert sent(schedule, 8.0, 0.08 * first_left)[0][2] == first_left


def test_ticks_must_rise_and_frames_have_their_shape() -> None:
    schedule = PacketSchedule()
    schedule.play(5, frame(5), at_s=1.0)
    with pytest.raises(LocalError, match="expected a tick after 5, got 5"):
        schedule.play(5, frame(5), at_s=1.08)
    with pytest.raises(LocalError, match=r"expected pcm \[1920\], got \[480\]"):
        schedule.play(6, np.zeros(480, dtype=np.float32), at_s=1.08)


@given(
    steps=st.lists(st.tuples(st.integers(1, 3), st.floats(-0.1, 0.1), st.floats(0, 0.2)), max_size=40),
    started=st.booleans(),
)
def test_media_time_never_repeats_and_never_runs_backwards(
    steps: list[tuple[int, float, float]], started: bool
) -> None:
    schedule = PacketSchedule()
    now_s, tick, last_pts = 50.0, 0, -1
    if started:
        schedule.take(now_s)
        last_pts = 0
    for tick_step, cushion_s, wait_s in steps:
        tick += tick_step
        schedule.play(tick, frame(0), at_s=50 + 0.08 * tick + cushion_s)
        now_s += wait_s
        while schedule.next_due_s(now_s) <= now_s:
            packet = schedule.take(now_s)
            assert packet.pts > last_pts
            last_pts = packet.pts


def test_what_waits_is_replaced_from_the_next_packet_on() -> None:
    schedule = PacketSchedule()
    schedule.play(7, frame(7), at_s=10.0)
    schedule.play(8, frame(8), at_s=10.08)
    assert [value for _, _, value in sent(schedule, 10.03, 9.9)] == [7.0, 7.25]
    nothing = np.zeros(FRAME_SAMPLES, dtype=np.float32)
    schedule.replace(7, nothing)
    schedule.replace(8, nothing)
    next_packet = schedule.take(10.04).pcm
    assert next_packet is not None
    fade, after = next_packet[:FADE_SAMPLES], next_packet[FADE_SAMPLES:]
    assert 0.0 < fade[0] < 7.5
    assert (np.diff(fade) < 0.0).all(), "it goes down without a step"
    assert not fade[-1:].any()
    assert not after.any()
    assert [value for _, _, value in sent(schedule, 10.15, 10.04)] == [0.0] * 5
    assert schedule.stats().underruns == 0


@pytest.mark.parametrize("tick", [6, 7, 9, 500])
def test_replacing_what_was_sent_or_never_played_changes_nothing(tick: int) -> None:
    schedule = PacketSchedule()
    schedule.replace(tick, frame(0))
    schedule.play(7, frame(7), at_s=10.0)
    schedule.play(8, frame(8), at_s=10.08)
    assert len(sent(schedule, 10.07, 9.9)) == 4
    schedule.replace(tick, frame(0))
    assert [value for _, _, value in sent(schedule, 10.15, 10.07)] == [8.0, 8.25, 8.5, 8.75]


def test_a_replacement_of_another_shape_is_refused() -> None:
    with pytest.raises(LocalError, match=r"expected pcm \[1920\], got \[480\]"):
        PacketSchedule().replace(7, np.zeros(480, dtype=np.float32))
