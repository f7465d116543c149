"""Loudness against the signals that EBU Tech 3341 (2016) section 2 defines, computed here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.contract import Pcm
from duplex_model.loudness import head_filter, highpass, integrated_loudness, k_weighted, normalised


def sine(level_dbfs: float, duration_s: float, rate_hz: int = 48_000, hz: float = 1000.0) -> Pcm:
    """A sine whose peak is at `level_dbfs`."""
    phase = 2 * np.pi * hz / rate_hz * np.arange(round(duration_s * rate_hz))
    pcm: Pcm = (10 ** (level_dbfs / 20) * np.sin(phase)).astype(np.float32)
    return pcm


def programme(*parts: tuple[float, float]) -> Pcm:
    """Stereo [2, T]: (level, duration) one after the other, equal in both channels."""
    return np.tile(np.concatenate([sine(level, duration) for level, duration in parts]), (2, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pcm", "lufs"),
    [
        (programme((-23, 20)), -23.0),
        (programme((-33, 20)), -33.0),
        (programme((-36, 10), (-23, 60), (-36, 10)), -23.0),
        (programme((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23.0),
        (programme((-26, 20), (-20, 20.1), (-26, 20)), -23.0),
        (np.stack([sine(level, 20) for level in (-28, -28, -24, -30, -30)]), -23.0),
    ],
    ids=["case 1", "case 2", "case 3", "case 4", "case 5", "case 6"],
)
def test_tech_3341(pcm: Pcm, lufs: float) -> None:
    assert integrated_loudness(pcm, 48_000) == pytest.approx(lufs, abs=0.1)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_full_scale_997_hz_in_one_channel(rate_hz: int) -> None:
    assert integrated_loudness(sine(0, 3, rate_hz, 997.0), rate_hz) == pytest.approx(-3.01, abs=0.1)


def test_filters_at_48_khz_are_those_of_the_recommendation() -> None:
    b, a = head_filter(48_000)
    assert b == pytest.approx([1.53512485958697, -2.69169618940638, 1.19839281085285], abs=1e-12)
    assert a == pytest.approx([1.0, -1.69065929318241, 0.73248077421585], abs=1e-12)
    b, a = highpass(48_000)
    assert b == pytest.approx([1.0, -2.0, 1.0])
    assert a == pytest.approx([1.0, -1.99004745483398, 0.99007225036621], abs=1e-12)


def test_weighting_is_the_recursion() -> None:
    pcm = np.random.default_rng(1).uniform(-1, 1, 24_000).astype(np.float32)
    expected = pcm.astype(np.float64)
    for b, a in (head_filter(24_000), highpass(24_000)):
        expected = _recursion(expected, b, a)
    assert np.abs(k_weighted(pcm, 24_000) - expected).max() < 1e-9


def _recursion(x: np.ndarray, b: np.ndarray, a: np.ndarray) -> np.ndarray:
    y = np.zeros_like(x)
    for n in range(len(x)):
        y[n] = sum(b[i] * x[n - i] for i in range(3) if n >= i) - sum(
            a[i] * y[n - i] for i in (1, 2) if n >= i
        )
    return y


def test_digital_silence_is_minus_infinity() -> None:
    assert integrated_loudness(np.zeros(48_000, dtype=np.float32), 48_000) == -math.inf


def test_too_short_to_measure() -> None:
    with pytest.raises(ValueError, match=r"expected at least 0.4 s, got 0.399 s"):
        integrated_loudness(np.zeros(19_152, dtype=np.float32), 48_000)


def test_six_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 5 channels, got 6"):
        integrated_loudness(np.zeros((6, 48_000), dtype=np.float32), 48_000)


def test_silence_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="got silence"):
        normalised(np.zeros(48_000, dtype=np.float32), 48_000, -24.0)


@given(seed=st.integers(0, 2**16), target_lufs=st.floats(-40, -10), gain_db=st.floats(-30, 20))
@settings(deadline=None, max_examples=30)
def test_normalised_reads_the_target(seed: int, target_lufs: float, gain_db: float) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.1, 24_000).astype(np.float32)
    pcm = normalised(noise * np.float32(10 ** (gain_db / 20)), 24_000, target_lufs)
    assert pcm.dtype == np.float32
    assert integrated_loudness(pcm, 24_000) == pytest.approx(target_lufs, abs=0.01)
