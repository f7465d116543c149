"""The jitter buffer on simulated networks; all times are media time."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.webrtc.streams import (
    CONCEALED,
    FEC_FLAG,
    RECOVERED,
    TICK_S,
    TOC_FEC,
    Arrival,
    FakeDecoder,
    Playback,
    delayed,
    play,
    randomly_lost,
    sample_values,
    stream,
    without,
)
from webrtc.jitter import CODEC_DELAY_S, JitterBuffer
from webrtc.opus import OpusDecoder
from webrtc.packets import MAX_BYTES, MAX_PACKETS, AudioPacket
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

SPURT_END = 3 * 480  # what is concealed behind a stream's last packet
FADE = 60  # and the ramp to silence behind that


def media_of(playback: Playback) -> Pcm:
    """The samples between the first and the last that are not silence."""
    heard = np.flatnonzero(playback.pcm)
    return playback.pcm[heard[0] : heard[-1] + 1]


def pitch_hz(pcm: Pcm) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))) * SAMPLE_RATE_HZ / len(pcm))


def spoken(playback: Playback, first_sample: int, samples: int) -> bool:
    """Whether the output has these samples of the source, in one piece."""
    wanted = sample_values(first_sample, samples)
    pcm = playback.pcm
    starts = np.flatnonzero(pcm[: len(pcm) - samples + 1] == wanted[0])
    return any(np.array_equal(pcm[at : at + samples], wanted) for at in starts)


class ToneDecoder(FakeDecoder):
    """A voice-like tone: steering must leave no clicks in it, and this is where they would show."""

    HZ = 120.0

    def decode(self, payload: bytes) -> Pcm:
        first = int.from_bytes(payload[2:], "big", signed=True)
        return self.tone(first, 480)

    @classmethod
    def tone(cls, first: int, samples: int) -> Pcm:
        angle = 2 * np.pi * cls.HZ * np.arange(first, first + samples) / SAMPLE_RATE_HZ
        return (0.4 * np.sin(angle) + 0.2 * np.sin(2 * angle + 1)).astype(np.float32)


class NoiseDecoder(FakeDecoder):
    """The worst case for splicing: nothing in it repeats."""

    def decode(self, payload: bytes) -> Pcm:
        first = int.from_bytes(payload[2:], "big", signed=True)
        return (0.1 * np.random.default_rng(first).standard_normal(480)).astype(np.float32)


# Nothing wrong


def test_without_loss_every_sample_is_played_once_and_in_order() -> None:
    playback = play(stream(100))
    assert spoken(playback, 0, 100 * 480)
    stats = playback.buffer.stats()
    assert (stats.lost, stats.late, stats.skipped, stats.reanchors, stats.spliced_samples) == (0, 0, 0, 0, 0)


@given(
    jitter_s=st.lists(st.floats(0, 0.009), min_size=60, max_size=60),
    phase_s=st.floats(0, TICK_S),
    first_sequence=st.integers(0, 2**16 - 1),
    first_timestamp=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_small_jitter_changes_no_sample(
    jitter_s: list[float], phase_s: float, first_sequence: int, first_timestamp: int
) -> None:
    arrivals = stream(60, first_sequence=first_sequence, first_timestamp=first_timestamp)
    playback = play(delayed(arrivals, jitter_s.__getitem__), first_tick_s=99.9 + phase_s)
    assert spoken(playback, 0, 60 * 480)
    assert playback.concealed == SPURT_END


@pytest.mark.parametrize("duration_ms", [10, 20, 40, 60])
def test_every_packet_duration_works(duration_ms: int) -> None:
    count = 2400 // duration_ms
    playback = play(stream(count, duration_ms=duration_ms))
    assert spoken(playback, 0, 2400 * 24)


def test_the_delay_on_a_clean_network_is_20_to_40_ms() -> None:
    chance = random.Random(1)
    playback = play(delayed(stream(500), lambda n: chance.random() * 0.003))
    assert all(20 <= delay <= 40 for delay in playback.delays_ms[2:120])


def test_capture_time_is_arrival_at_base_transit_less_the_packet_and_the_codec_s_delay() -> None:
    playback = play(stream(50))
    at = next(n for n, frame in enumerate(playback.frames) if frame.pcm.all())
    first_sample = int(np.flatnonzero(sample_values(0, 24_000) == playback.frames[at].pcm[0])[0])
    assert playback.frames[at].captured_at_s == pytest.approx(
        100.0 + first_sample / SAMPLE_RATE_HZ - CODEC_DELAY_S, abs=1e-4
    )


# Loss


def test_a_lost_packet_costs_its_own_duration() -> None:
    playback = play(without(stream(50), [20]))
    assert playback.concealed == 480 + SPURT_END
    assert playback.buffer.stats().lost == 1
    assert spoken(playback, 0, 20 * 480)
    assert spoken(playback, 21 * 480, 29 * 480)
    assert len(media_of(playback)) == 50 * 480 + SPURT_END + FADE


@pytest.mark.parametrize("burst", [3, 5])
def test_a_burst_of_losses_costs_its_own_duration(burst: int) -> None:
    playback = play(without(stream(80), range(20, 20 + burst)))
    assert playback.buffer.stats().lost == burst
    assert len(media_of(playback)) == 80 * 480 + SPURT_END + FADE
    assert 3 * 480 <= playback.concealed - SPURT_END <= burst * 480
    assert spoken(playback, (20 + burst) * 480, (60 - burst) * 480)


def test_a_long_loss_fades_into_silence_and_costs_no_delay() -> None:
    playback = play(without(stream(150), range(50, 100)))
    media = media_of(playback)
    assert np.count_nonzero(media[: 150 * 480] == np.float32(CONCEALED)) <= 6 * 480
    assert spoken(playback, 100 * 480, 50 * 480)
    assert playback.delays_ms[-1] == pytest.approx(playback.delays_ms[5], abs=1)


def test_error_correction_recovers_the_packet_before() -> None:
    playback = play(without(stream(60, fec=True), [20, 31, 32]))
    media = media_of(playback)[: 60 * 480]
    assert playback.recovered == 2 * 480
    assert np.all(media[20 * 480 : 21 * 480] == np.float32(RECOVERED))
    assert np.all(media[31 * 480 : 32 * 480] == np.float32(CONCEALED))
    assert np.all(media[32 * 480 + 60 : 33 * 480] == np.float32(RECOVERED))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.20])
@pytest.mark.parametrize("seed", range(3))
def test_random_loss_costs_what_was_lost_and_no_delay(share: float, seed: int) -> None:
    count = 1500
    arrivals = randomly_lost(stream(count), share, seed)
    lost = count - len(arrivals)
    playback = play(arrivals)
    stats = playback.buffer.stats()
    assert abs(stats.lost - lost) <= 2  # the very last ones cannot be known
    assert stats.late == 0
    assert playback.concealed <= (lost + 3) * 480
    assert all(abs(delay - playback.delays_ms[5]) < 1 for delay in playback.delays_ms[5:-10])


def test_random_loss_with_error_correction_is_mostly_recovered() -> None:
    playback = play(randomly_lost(stream(1500, fec=True), 0.05, 1))
    assert playback.recovered > 0.7 * playback.buffer.stats().lost * 480


# Order and timing


def test_reordered_packets_are_played_in_order() -> None:
    arrivals = delayed(stream(100), lambda n: 0.025 if n % 10 == 3 else 0.0)
    playback = play(arrivals)
    assert playback.buffer.stats().lost == 0
    assert spoken(playback, 50 * 480, 50 * 480)


def test_duplicates_are_counted_and_dropped() -> None:
    arrivals = stream(50)
    playback = play([*arrivals, *delayed(arrivals, lambda n: 0.005)])
    stats = playback.buffer.stats()
    assert stats.duplicates == 50
    assert (stats.lost, stats.late) == (0, 0)
    assert spoken(playback, 0, 50 * 480)


def test_a_packet_after_its_time_is_late_not_lost() -> None:
    arrivals = delayed(stream(100), lambda n: 0.5 if n == 40 else 0.0)
    stats = play(arrivals).buffer.stats()
    assert (stats.late, stats.lost, stats.reanchors) == (1, 0, 0)


@pytest.mark.parametrize("decoder", [ToneDecoder, NoiseDecoder])
def test_the_delay_rises_at_once_with_jitter_and_falls_again(decoder: type[FakeDecoder]) -> None:
    chance = random.Random(3)

    def jitter_s(n: int) -> float:
        return chance.random() * 0.05 if 500 <= n < 1000 else 0.0

    playback = play(delayed(stream(1500), jitter_s), buffer=JitterBuffer(decoder()))
    assert all(55 <= delay <= 95 for delay in playback.delays_between_ms(112, 120))
    assert all(delay <= 45 for delay in playback.delays_between_ms(124.5, 130))
    in_jitter = playback.frames[int(12 / TICK_S) : int(20 / TICK_S)]
    assert sum(frame.concealed_samples for frame in in_jitter) < 0.01 * len(in_jitter) * FRAME_SAMPLES


@pytest.mark.parametrize("decoder", [ToneDecoder, NoiseDecoder])
def test_a_stall_and_its_burst_leave_no_lasting_delay(decoder: type[FakeDecoder]) -> None:
    def stalled_s(n: int) -> float:
        return max(0.0, 0.4 - 0.02 * (n - 200)) if 200 <= n < 220 else 0.0

    playback = play(delayed(stream(500), stalled_s), buffer=JitterBuffer(decoder()))
    before_ms = playback.delays_between_ms(103, 104)[-1]
    assert max(playback.delays_ms) <= 175
    after = playback.delays_between_ms(104.4 + 2, 109)
    assert all(abs(delay - before_ms) <= 20 for delay in after)
    stats = playback.buffer.stats()
    assert 0 < stats.late < 20
    assert (stats.lost, stats.reanchors) == (0, 0)


def test_the_delay_is_back_two_seconds_after_a_loss_burst_with_jitter() -> None:
    chance = random.Random(5)
    arrivals = [
        arrival
        for n, arrival in enumerate(delayed(stream(600), lambda n: 0.03 if 200 <= n < 300 and n % 3 else 0.0))
        if not (200 <= n < 300 and chance.random() < 0.3)
    ]
    playback = play(arrivals)
    before_ms = playback.delays_between_ms(103, 104)[-1]
    assert all(abs(delay - before_ms) <= 20 for delay in playback.delays_between_ms(106 + 2, 111))


# Pauses


def test_a_silence_gap_is_as_long_as_the_sender_s_pause() -> None:
    pause = 10 * SAMPLE_RATE_HZ
    arrivals = [
        *stream(50),
        *stream(
            50,
            start_s=111.0,
            first_sequence=50,
            first_timestamp=2 * (50 * 480 + pause),
            first_sample=50 * 480,
        ),
    ]
    playback = play(arrivals)
    pcm = playback.pcm
    onsets = np.flatnonzero(pcm == sample_values(50 * 480, 1)[0])
    start = int(np.flatnonzero(pcm)[0])
    assert int(onsets[-1]) - start == 50 * 480 + pause
    assert spoken(playback, 50 * 480, 50 * 480)
    stats = playback.buffer.stats()
    assert (stats.lost, stats.reanchors) == (0, 0)
    assert sum(frame.silent for frame in playback.frames) >= 120


def test_a_pause_between_consecutive_packets_that_are_both_here_is_silent() -> None:
    late = stream(10, start_s=100.22, first_sequence=10, first_timestamp=2 * (4800 + 480), first_sample=4800)
    playback = play([*stream(10), *late])
    assert np.count_nonzero(media_of(playback)[: 20 * 480] == np.float32(CONCEALED)) in (0, 480)


def test_the_tail_of_a_spurt_is_released_by_time() -> None:
    playback = play(stream(7), until_s=101)
    assert spoken(playback, 0, 7 * 480)
    last = int(np.flatnonzero(playback.pcm == sample_values(7 * 480 - 1, 1)[0])[0])
    played_s = playback.ticks_s[last // FRAME_SAMPLES]
    assert played_s <= 100.14 + 0.022 + TICK_S


def test_after_a_spurt_comes_at_most_60_ms_of_concealment() -> None:
    playback = play(stream(50), until_s=103)
    assert playback.concealed == 3 * 480
    assert playback.frames[-1].silent


# Jumps of the sender's clock


@pytest.mark.parametrize("jump_s", [-3600.0, -5.0, 5.0, 3600.0])
def test_a_clock_jump_costs_neither_silence_nor_delay(jump_s: float) -> None:
    timestamp = (2 * 100 * 480 + int(jump_s * 48_000)) % 2**32
    second = stream(100, start_s=102.0, first_sequence=100, first_timestamp=timestamp, first_sample=100 * 480)
    playback = play([*stream(100), *second])
    assert spoken(playback, 0, 200 * 480)
    assert playback.buffer.stats().reanchors == 1
    assert playback.buffer.stats().lost == 0
    assert max(playback.delays_ms) <= 40


def test_a_restarted_sender_continues_without_a_hole() -> None:
    second = stream(
        100, start_s=102.0, ssrc=2, first_sequence=7000, first_timestamp=123_456, first_sample=100 * 480
    )
    decoder = FakeDecoder()
    playback = play([*stream(100), *second], buffer=JitterBuffer(decoder))
    assert spoken(playback, 0, 200 * 480)
    assert decoder.resets == 1


def test_a_slower_route_is_followed_after_a_few_packets() -> None:
    playback = play(delayed(stream(400), lambda n: 0.5 if n >= 200 else 0.0))
    assert playback.buffer.stats().reanchors == 1
    assert playback.delays_ms[-10] <= 40
    assert spoken(playback, 210 * 480, 150 * 480)


def test_sequence_numbers_and_timestamps_wrap() -> None:
    playback = play(stream(200, first_sequence=2**16 - 50, first_timestamp=2**32 - 100 * 960))
    assert spoken(playback, 0, 200 * 480)
    stats = playback.buffer.stats()
    assert (stats.lost, stats.reanchors) == (0, 0)


# Drift


@pytest.mark.slow
@pytest.mark.parametrize("drift_ppm", [-200.0, 200.0])
def test_drift_is_absorbed_for_half_an_hour_without_clicks(drift_ppm: float) -> None:
    playback = play(
        stream(30 * 60 * 50, drift_ppm=drift_ppm), buffer=JitterBuffer(ToneDecoder()), until_s=1899.0
    )
    settled = playback.delays_ms[100:]
    assert max(settled) - min(settled) <= 30
    assert playback.concealed == 0
    assert playback.buffer.stats().spliced_samples == pytest.approx(0.36 * SAMPLE_RATE_HZ, rel=0.1)
    pcm = playback.pcm[SAMPLE_RATE_HZ:]
    steepest = np.max(np.abs(np.diff(ToneDecoder.tone(0, 2400))))
    assert np.max(np.abs(np.diff(pcm))) <= 1.1 * steepest
    minute = pcm[-SAMPLE_RATE_HZ * 60 :]
    assert pitch_hz(minute) == pytest.approx(ToneDecoder.HZ, abs=0.05)


# The consumer


def test_ticks_missed_by_the_consumer_leave_no_delay() -> None:
    arrivals = stream(500)
    buffer = JitterBuffer(FakeDecoder())
    first = play([a for a in arrivals if a.at_s < 103], buffer=buffer, until_s=103)
    rest = play([a for a in arrivals if a.at_s >= 103], buffer=buffer, first_tick_s=105.02)
    assert rest.delays_ms[-10] == pytest.approx(first.delays_ms[-1], abs=20)
    assert max(rest.delays_ms) <= 100
    assert buffer.stats().skipped > 50


def test_pulling_before_the_first_packet_gives_silence() -> None:
    frame = JitterBuffer(FakeDecoder()).pull(5.0)
    assert frame.silent
    assert not frame.pcm.any()
    assert frame.captured_at_s == pytest.approx(4.92)


# Hostile input


def test_a_flood_stays_bounded() -> None:
    buffer = JitterBuffer(FakeDecoder())
    for arrival in stream(5000):
        buffer.add(arrival.packet, arrival.at_s)
    assert len(buffer._store) <= MAX_PACKETS
    for n in range(5000):
        packet = AudioPacket(
            ssrc=9, sequence_number=n, timestamp=960 * n, payload=bytes((0xF8,)) + bytes(60_000)
        )
        buffer.add(packet, 300.0)
    assert buffer._store.bytes_held <= MAX_BYTES


def test_an_unparsable_payload_is_malformed_and_nothing_else() -> None:
    arrivals = stream(50)
    broken = Arrival(100.5, AudioPacket(ssrc=1, sequence_number=60_000, timestamp=5, payload=b""))
    playback = play([*arrivals, broken])
    assert playback.buffer.stats().malformed == 1
    assert spoken(playback, 0, 50 * 480)


packets = st.builds(
    AudioPacket,
    ssrc=st.integers(1, 2),
    sequence_number=st.one_of(st.integers(0, 40), st.integers(0, 2**16 - 1)),
    timestamp=st.one_of(st.integers(0, 40).map(lambda n: 960 * n), st.integers(0, 2**32 - 1)),
    payload=st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=30).map(lambda tail: bytes((TOC_FEC, FEC_FLAG)) + tail),
    ),
)


@given(events=st.lists(st.tuples(packets, st.floats(0, 0.3), st.booleans()), max_size=120))
@settings(max_examples=100, deadline=None)
def test_no_sequence_of_packets_and_pulls_breaks_the_buffer(
    events: list[tuple[AudioPacket, float, bool]],
) -> None:
    buffer = JitterBuffer(OpusDecoder())
    now_s = 0.0
    for packet, step_s, pulls in events:
        now_s += step_s
        buffer.add(packet, now_s)
        if pulls:
            frame = buffer.pull(now_s)
            assert frame.pcm.shape == (FRAME_SAMPLES,)
            assert frame.pcm.dtype == np.float32
            assert np.all(np.abs(frame.pcm) <= 1.0)
        assert len(buffer._store) <= MAX_PACKETS
        assert len(buffer._pcm) <= 2 * SAMPLE_RATE_HZ // 10
