from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.training.evaluation.voice_identity import VoiceBook, pitch_hz, summary


def voice(hz: float, tilt: float, seconds: float = 1.0, seed: int = 0) -> Pcm:
    """Harmonics of `hz` that fall by `tilt` per harmonic, its melody and loudness wandering."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    melody = hz * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(1, 3) * time_s + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(melody) / SAMPLE_RATE_HZ
    harmonics = [np.sin(n * phase) / n**tilt for n in range(1, int(6000 / hz))]
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s)
    return (0.05 * loudness * np.sum(harmonics, axis=0) + 1e-4 * rng.standard_normal(len(time_s))).astype(
        np.float32
    )


@settings(max_examples=12, deadline=None)
@given(st.floats(75, 330))
def test_the_pitch_of_a_voice_is_found(hz: float) -> None:
    assert float(np.median(pitch_hz(voice(hz, 1.0)))) == pytest.approx(hz, rel=0.03)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32)
    assert len(pitch_hz(noise)) < 10
    assert len(pitch_hz(np.zeros(SAMPLE_RATE_HZ, np.float32))) == 0
    assert len(pitch_hz(np.zeros(10, np.float32))) == 0


def test_loudness_does_not_change_a_summary() -> None:
    pcm = voice(120, 1.0)
    assert np.allclose(summary(pcm), summary(pcm * 0.1), atol=0.02)


@pytest.mark.slow
def test_voices_are_told_apart_by_pitch_and_by_timbre() -> None:
    kinds = {"low": (100, 1.0), "low, bright": (100, 0.4), "high": (210, 1.0), "high, dull": (210, 1.8)}
    book = VoiceBook({name: [voice(*kind, seed=seed) for seed in range(3)] for name, kind in kinds.items()})
    for name, kind in kinds.items():
        for seed in range(10, 14):
            assert book.identify(voice(*kind, seed=seed)) == name


def test_nothing_at_all_is_some_voice() -> None:
    book = VoiceBook({"a": [voice(100, 1)], "b": [voice(200, 1)]})
    assert book.identify(np.zeros(0, np.float32)) in book.names
