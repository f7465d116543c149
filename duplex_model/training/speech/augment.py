"""What a room, a microphone and a line do to speech, so that a checkpoint does not depend on clean sound; pure.

Each effect keeps the length of the sound and the time of each word: an impulse response begins with the direct sound,
and filters are without delay. Changes of speed and of the vocal tract would move the words, so those are left to the
voices.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm

_NEAREST_WALL_SAMPLES = round(0.002 * SAMPLE_RATE_HZ)
"""No echo is earlier: a way of 0.7 m."""

_SILENCE_POWER = 1e-6
"""Samples below -60 dB of full scale do not count as sound."""

_LOWEST_TILTED_HZ = 100.0
"""Below it, tilted spectra are flat."""

_MU = 255.0  # ITU-T G.711
_TELEPHONE_BAND_HZ = (200.0, 3_600.0)

_Spectrum = NDArray[np.complexfloating]


def augment(pcm: Pcm, rng: Generator, strength: float) -> Pcm:
    """`pcm` as it might arrive: through a room, with noise, coloured, louder or softer, and at times by telephone.

    Args:
        pcm: float32 [T], 24 kHz, in [-1, 1].
        rng: decides everything.
        strength: 0 leaves the sound as it is, 1 is the worst that is trained on. It scales how often each effect
            comes and how strong it is.

    Returns:
        float32 [T], in [-1, 1].

    Raises:
        ValueError: the strength is not in [0, 1], or the sound is not one channel.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"expected a strength in [0, 1], got {strength}")
    if pcm.ndim != 1:
        raise ValueError(f"expected pcm [T], got {list(pcm.shape)}")
    if strength == 0 or not len(pcm):
        return pcm.copy()
    sound = pcm
    if rng.random() < 0.5 * strength:
        sound = in_room(
            sound, rng, decay_s=rng.uniform(0.08, 0.08 + 0.4 * strength), direct_db=rng.uniform(3, 12)
        )
    if rng.random() < 0.8 * strength:
        sound = with_noise(sound, rng, snr_db=rng.uniform(32 - 22 * strength, 42), tilt_db=rng.uniform(-6, 0))
    if rng.random() < 0.5 * strength:
        sound = tilted(sound, tilt_db=rng.uniform(-3, 3) * strength)
    if rng.random() < 0.15 * strength:
        sound = by_telephone(sound)
    gain_db = rng.uniform(-10, 6) * strength
    loud: Pcm = np.clip(sound * np.float32(10 ** (gain_db / 20)), -1, 1)
    return loud


def in_room(pcm: Pcm, rng: Generator, decay_s: float, direct_db: float) -> Pcm:
    """`pcm` with the echoes of a room: noise that decays exponentially after the direct sound.

    Args:
        pcm: float32 [T].
        rng: decides the echoes.
        decay_s: in which the echoes fall by 60 dB.
        direct_db: energy of the direct sound over that of all echoes.
    """
    samples = max(2 * _NEAREST_WALL_SAMPLES, round(decay_s * SAMPLE_RATE_HZ))
    decay = np.power(10, -3 * np.arange(samples, dtype=np.float32) / samples, dtype=np.float32)
    response = rng.standard_normal(samples, dtype=np.float32) * decay
    response[:_NEAREST_WALL_SAMPLES] = 0
    response *= np.float32(10 ** (-direct_db / 20) / np.linalg.norm(response))
    response[0] = 1
    length = _fast_length(len(pcm) + samples)
    return _back(np.fft.rfft(pcm, length) * np.fft.rfft(response, length), len(pcm), length)


def with_noise(pcm: Pcm, rng: Generator, snr_db: float, tilt_db: float) -> Pcm:
    """`pcm` with noise, relative to its own energy where it is not silent.

    Args:
        pcm: float32 [T].
        rng: decides the noise.
        snr_db: energy of the sound over that of the noise.
        tilt_db: by how much the noise rises per octave: 0 is white, negative is duller.
    """
    power = np.square(pcm)
    active = power > _SILENCE_POWER
    if not active.any():
        return pcm
    noise = tilted(rng.standard_normal(len(pcm), dtype=np.float32), tilt_db)
    level = np.sqrt(power[active].mean() / np.square(noise).mean()) * 10 ** (-snr_db / 20)
    return pcm + np.float32(level) * noise


def tilted(pcm: Pcm, tilt_db: float) -> Pcm:
    """`pcm` with its spectrum raised by `tilt_db` per octave, and with the energy that it had."""
    length = _fast_length(len(pcm))
    octaves = np.log2(np.maximum(_frequencies_hz(length) / _LOWEST_TILTED_HZ, 1))
    rise = np.power(np.float32(10 ** (tilt_db / 20)), octaves)
    coloured = _back(np.fft.rfft(pcm, length) * rise, len(pcm), length)
    before, after = np.square(pcm).mean(), np.square(coloured).mean()
    return coloured * np.float32(np.sqrt(before / after)) if after else coloured


def by_telephone(pcm: Pcm) -> Pcm:
    """`pcm` limited to the telephone's band and coded as ITU-T G.711 does, in eight bits on the mu law."""
    narrow = np.clip(_in_telephone_band(pcm), -1, 1)
    companded = np.copysign(np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU), narrow)
    coded = np.round(companded * 127) / 127
    expanded = np.copysign(np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU, coded)
    return _in_telephone_band(expanded.astype(np.float32))


def _in_telephone_band(pcm: Pcm) -> Pcm:
    low_hz, high_hz = _TELEPHONE_BAND_HZ
    length = _fast_length(len(pcm))
    frequency_hz = np.maximum(_frequencies_hz(length), 1)
    passed = 1 / np.sqrt((1 + (low_hz / frequency_hz) ** 8) * (1 + (frequency_hz / high_hz) ** 16))
    return _back(np.fft.rfft(pcm, length) * passed, len(pcm), length)


def _frequencies_hz(length: int) -> NDArray[np.float32]:
    return np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ).astype(np.float32)


def _back(spectrum: _Spectrum, samples: int, length: int) -> Pcm:
    return np.fft.irfft(spectrum, length)[:samples].astype(np.float32)


def _fast_length(samples: int) -> int:
    """At least `samples`, and quick to transform: a power of two, or three quarters of one."""
    power = 1 << max(2, (samples - 1).bit_length())
    return power * 3 // 4 if power * 3 // 4 >= samples else power
