from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.echo_search import EchoSearch, Peak

FRAMES = 25
FOUND = 20.0


def voice(seed: int, frames: int = FRAMES, dbfs: float = -20.0) -> Pcm:
    """Noise in bursts, sounding like nothing, and like no other seed's."""
    chance = np.random.default_rng(seed)
    bursts = np.repeat(chance.uniform(0, 2, 4 * frames) ** 2, FRAME_SAMPLES // 4)
    return (10 ** (dbfs / 20) * bursts * chance.normal(size=frames * FRAME_SAMPLES)).astype(np.float32)


def searched(near: Pcm, sent: Pcm) -> tuple[EchoSearch, Peak | None]:
    search = EchoSearch()
    for near_frame, sent_frame in zip(
        near.reshape(-1, FRAME_SAMPLES), sent.reshape(-1, FRAME_SAMPLES), strict=True
    ):
        search.advance(near_frame, sent_frame)
    return search, search.likeliest()


def late(pcm: Pcm, samples: int) -> Pcm:
    return np.concatenate((np.zeros(samples, dtype=np.float32), pcm))[: len(pcm)]


@settings(max_examples=15)
@example(seed=0, delay_s=1.0, gain=1.0)  # between two windows
@given(seed=st.integers(0, 1_000), delay_s=st.floats(0.0, 1.0), gain=st.sampled_from([1.0, 0.1, 0.01]))
def test_an_echo_is_found_to_the_millisecond(seed: int, delay_s: float, gain: float) -> None:
    sent = voice(seed)
    delay = round(delay_s * SAMPLE_RATE_HZ)
    search, peak = searched(np.float32(gain) * late(sent, delay), sent)
    assert peak is not None
    assert peak.score > FOUND
    assert abs(peak.delay_samples - delay) <= 24
    assert search.likeness(delay) > 20
    assert search.likeness(delay + SAMPLE_RATE_HZ // 20) < 8


@settings(max_examples=10)
@given(st.integers(0, 1_000))
def test_an_echo_is_found_beside_a_voice_ten_times_as_loud(seed: int) -> None:
    sent = voice(seed, 50)
    _, peak = searched(np.float32(0.1) * late(sent, 5_000) + voice(seed + 2_000, 50), sent)
    assert peak is not None
    assert abs(peak.delay_samples - 5_000) <= 24


@settings(max_examples=10)
@given(st.integers(0, 1_000))
def test_unrelated_sounds_give_no_echo(seed: int) -> None:
    search, peak = searched(voice(seed + 2_000), voice(seed))
    assert peak is not None
    assert peak.score < FOUND / 1.5
    assert search.likeness(peak.delay_samples) < 10


def test_a_tone_in_both_is_no_echo() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(FRAMES * FRAME_SAMPLES) / SAMPLE_RATE_HZ)
    _, peak = searched(
        voice(1, dbfs=-40) + tone.astype(np.float32), voice(2, dbfs=-40) + tone.astype(np.float32)
    )
    assert peak is not None
    assert peak.score < FOUND


def test_silence_on_either_side_tells_nothing() -> None:
    silence = np.zeros(FRAMES * FRAME_SAMPLES, dtype=np.float32)
    for near, sent in ((silence, voice(1)), (voice(1), silence)):
        search, peak = searched(near, sent)
        assert peak is None
        assert search.likeliest_now() is None
        assert search.likeness(5_000) == 0.0


def test_an_echo_that_moved_is_seen_at_once_by_the_last_window() -> None:
    sent = voice(3, 60)
    near = np.concatenate((late(sent, 4_800)[: 54 * FRAME_SAMPLES], late(sent, 9_600)[54 * FRAME_SAMPLES :]))
    search, by_all = searched(near, sent)
    now = search.likeliest_now()
    assert by_all is not None
    assert now is not None
    assert abs(by_all.delay_samples - 4_800) <= 24
    assert abs(now.delay_samples - 9_600) <= 24
    search.forget()
    assert search.likeliest() is not None
    assert search.likeliest() == Peak(delay_samples=-960, score=0.0)


def test_after_a_gap_what_was_sent_before_it_still_counts() -> None:
    sent, delay = voice(4, 40), 14_400
    near = late(sent, delay)
    search = EchoSearch()
    search.resume(sent[: 20 * FRAME_SAMPLES])
    for number in range(20, 25):
        part = slice(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES)
        search.advance(near[part], sent[part])
    peak = search.likeliest()
    assert peak is not None
    assert peak.score > FOUND
    assert peak.delay_samples == pytest.approx(delay, abs=24)
