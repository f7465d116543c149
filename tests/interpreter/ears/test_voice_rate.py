from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from interpreter.ears.voice_model import MODEL_RATE_HZ
from interpreter.ears.voice_rate import Downsampler

BEHIND_S = 0.00076


def sine(hz: float, seconds: float, rate_hz: int, delay_s: float = 0.0) -> Pcm:
    return np.sin(2 * np.pi * hz * (np.arange(round(seconds * rate_hz)) / rate_hz - delay_s)).astype(
        np.float32
    )


@pytest.mark.parametrize("hz", [100.0, 440.0, 3000.0, 5000.0])
def test_a_voice_passes_in_time(hz: float) -> None:
    low = Downsampler().advance(sine(hz, 0.5, SAMPLE_RATE_HZ))
    assert low.dtype == np.float32
    expected = sine(hz, 0.5, MODEL_RATE_HZ, BEHIND_S)
    np.testing.assert_allclose(low[40:], expected[40:], atol=0.03)


@pytest.mark.parametrize("hz", [8_000.0, 9_500.0, 11_000.0])
def test_what_has_no_place_at_the_lower_rate_is_gone(hz: float) -> None:
    low = Downsampler().advance(sine(hz, 0.5, SAMPLE_RATE_HZ))
    assert np.abs(low[40:]).max() < 1e-3


@given(st.lists(st.integers(1, 700), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_cuts_are_heard_nowhere(thirds: list[int], seed: int) -> None:
    pcm = np.random.default_rng(seed).normal(0, 0.1, 3 * sum(thirds)).astype(np.float32)
    downsampler = Downsampler()
    pieces = np.split(pcm, 3 * np.cumsum(thirds)[:-1])
    heard = np.concatenate([downsampler.advance(piece) for piece in pieces])
    assert heard.shape == (2 * sum(thirds),)
    np.testing.assert_allclose(heard, Downsampler().advance(pcm), atol=1e-6)
