"""Levels, tones and fades against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.errors import SpecError
from duplex_model.sound import FADE_SAMPLES, SILENCE_DBFS, fade_out, level_dbfs, read_wav, tone


@pytest.mark.parametrize(
    ("amplitude", "expected"), [(1.0, 0.0), (0.1, -20.0), (0.0, SILENCE_DBFS), (1e-9, SILENCE_DBFS)]
)
def test_level_of_a_square_wave_is_its_amplitude(amplitude: float, expected: float) -> None:
    assert level_dbfs(np.full(1920, amplitude, np.float32)) == pytest.approx(expected, abs=1e-4)


@given(st.floats(20, 11_000), st.floats(-60, 0), st.floats(0, 0.5))
def test_a_tone_is_as_long_and_loud_as_asked_and_begins_and_ends_in_silence(
    hz: float, peak_dbfs: float, duration_s: float
) -> None:
    pcm = tone(hz, peak_dbfs, duration_s)
    peak = 10 ** (peak_dbfs / 20)
    assert pcm.dtype == np.float32
    assert len(pcm) == round(duration_s * 24_000)
    assert np.abs(pcm).max(initial=0.0) <= peak * 1.0001
    if len(pcm) > 240:
        assert max(abs(pcm[0]), abs(pcm[-1])) < peak * 0.001


@given(st.integers(0, 3 * FADE_SAMPLES))
def test_a_fade_falls_from_one_to_nothing_however_short(samples: int) -> None:
    faded = fade_out(np.ones(samples, np.float32))
    assert len(faded) == min(samples, FADE_SAMPLES)
    assert (np.diff(faded) < 0).all()
    assert ((faded > 0) & (faded < 1)).all()


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"not a wav file at all, not even nearly"])
def test_files_that_are_no_wav_are_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "said.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match="said.wav"):
        read_wav(path)
