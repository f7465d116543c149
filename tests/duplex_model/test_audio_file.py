from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from duplex_model.audio_file import read_audio, write_wav
from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.errors import PromptError


def sine(hz: float, duration_s: float, rate_hz: int) -> Pcm:
    return (0.25 * np.sin(2 * np.pi * hz * np.arange(round(duration_s * rate_hz)) / rate_hz)).astype(
        np.float32
    )


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_any_rate_and_format_is_heard_at_its_pitch(tmp_path: Path, rate_hz: int, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, sine(440, 2.0, rate_hz), rate_hz)
    recording = read_audio(path, max_s=10, error=PromptError)
    assert recording.duration_s == pytest.approx(2.0, abs=0.01)
    pcm = recording.resampled()
    assert pcm.dtype == np.float32
    assert len(pcm) == pytest.approx(2 * SAMPLE_RATE_HZ, abs=0.01 * SAMPLE_RATE_HZ)
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    assert spectrum.argmax() * SAMPLE_RATE_HZ / len(pcm) == pytest.approx(440, abs=1)
    assert pcm[4000:-4000].std() == pytest.approx(0.25 / 2**0.5, rel=0.02)


def test_the_first_channel_is_taken(tmp_path: Path) -> None:
    left, right = sine(300, 1, 24_000), sine(700, 1, 24_000)
    soundfile.write(tmp_path / "two.wav", np.stack([left, right], axis=1), 24_000, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "two.wav", max_s=10, error=PromptError).pcm, left)


def test_what_is_written_is_read_back_within_a_step(tmp_path: Path) -> None:
    pcm = sine(440, 1, 24_000)
    write_wav(tmp_path / "out.wav", pcm)
    back = read_audio(tmp_path / "out.wav", max_s=10, error=PromptError)
    assert back.rate_hz == SAMPLE_RATE_HZ
    assert np.abs(back.pcm - pcm).max() <= 1 / 32768


def test_what_exceeds_full_scale_is_clipped_and_does_not_wrap(tmp_path: Path) -> None:
    write_wav(tmp_path / "out.wav", 8 * sine(440, 1, 24_000))
    pcm = read_audio(tmp_path / "out.wav", max_s=10, error=PromptError).pcm
    assert pcm.max() == pytest.approx(1, abs=1e-4)
    assert np.abs(np.diff(pcm)).max() < 0.5


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100, bytes(5000)])
def test_no_audio(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "voice.wav").write_bytes(content)
    with pytest.raises(PromptError, match="expected an audio file, such as WAV or FLAC"):
        read_audio(tmp_path / "voice.wav", max_s=10, error=PromptError)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="got nothing"):
        read_audio(tmp_path / "missing.wav", max_s=10, error=PromptError)
    with pytest.raises(PromptError, match="got a folder"):
        read_audio(tmp_path, max_s=10, error=PromptError)


def test_too_long(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", sine(440, 3.01, 24_000), 24_000)
    with pytest.raises(PromptError, match="at most 3 s of audio, got more"):
        read_audio(tmp_path / "long.wav", max_s=3, error=PromptError)


def test_empty_and_not_finite(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, dtype=np.float32), 24_000)
    with pytest.raises(PromptError, match="empty recording"):
        read_audio(tmp_path / "empty.wav", max_s=3, error=PromptError)
    soundfile.write(tmp_path / "nan.wav", np.array([0, np.nan], dtype=np.float32), 24_000, subtype="FLOAT")
    with pytest.raises(PromptError, match="finite samples"):
        read_audio(tmp_path / "nan.wav", max_s=3, error=PromptError)
