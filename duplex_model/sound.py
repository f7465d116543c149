"""Pure functions of pcm that engines without a model need: tones, levels, fades, WAV files."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.errors import SpecError

FADE_SAMPLES = SAMPLE_RATE_HZ * 20 // 1000
"""20 ms: long enough to be free of clicks, short enough that an interruption is felt as immediate."""

SILENCE_DBFS = -120.0
"""Reported for digital silence, and the least level a tone can have."""

_EDGE_SAMPLES = SAMPLE_RATE_HZ * 5 // 1000
_MAX_WAV_S = 600


def level_dbfs(pcm: Pcm) -> float:
    """RMS level; a full-scale square wave is 0 dBFS."""
    power = float(np.mean(np.square(pcm, dtype=np.float64)))
    return max(10 * float(np.log10(power)), SILENCE_DBFS) if power > 0 else SILENCE_DBFS


def tone(hz: float, peak_dbfs: float, duration_s: float) -> Pcm:
    """A sine of the given peak level, with 5 ms raised-cosine edges."""
    samples = round(duration_s * SAMPLE_RATE_HZ)
    phase = 2 * np.pi * hz / SAMPLE_RATE_HZ * np.arange(samples)
    amplitude: float = 10 ** (peak_dbfs / 20)
    pcm: Pcm = (amplitude * np.sin(phase)).astype(np.float32)
    edge = min(_EDGE_SAMPLES, samples // 2)
    falling = _falling(edge)
    pcm[:edge] *= falling[::-1]
    pcm[samples - edge :] *= falling
    return pcm


def fade_out(pcm: Pcm) -> Pcm:
    """The first 20 ms of `pcm`, or all of it if shorter, falling to silence."""
    start = pcm[:FADE_SAMPLES]
    return np.multiply(start, _falling(len(start)), dtype=np.float32)


def read_wav(path: Path) -> Pcm:
    """The pcm of a 16-bit mono WAV file at 24 kHz.

    Raises:
        SpecError: no such file, another format, or longer than ten minutes.
    """
    try:
        with wave.open(str(path), "rb") as file:
            found = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
            if found != (SAMPLE_RATE_HZ, 1, 16):
                raise SpecError(
                    f"{path}: expected 24000 Hz, 1 channel, 16 bit, got {found[0]} Hz, {found[1]}, {found[2]}"
                )
            if file.getnframes() > _MAX_WAV_S * SAMPLE_RATE_HZ:
                raise SpecError(f"{path}: expected at most {_MAX_WAV_S} s, got {file.getnframes()} samples")
            samples = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SpecError(f"expected a WAV file at {path}: {error}") from error
    pcm: Pcm = np.frombuffer(samples, dtype="<i2").astype(np.float32) / np.float32(32768)
    return pcm


def _falling(samples: int) -> Pcm:
    """Raised cosine from just below 1 to just above 0."""
    return (0.5 + 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / max(samples, 1))).astype(np.float32)
