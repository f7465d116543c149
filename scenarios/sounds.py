"""Sounds that nobody says, synthesised: backgrounds that go on, and short ones such as coughs. Pure, by seed."""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm

_Samples = NDArray[np.float64]


class Background(enum.Enum):
    """What may sound all the time."""

    HISS = "hiss"  # white: a cheap microphone
    ROOM = "room"  # pink: ventilation, a street through a window
    HUM = "hum"  # mains: 50 Hz and its harmonics


class Noise(enum.Enum):
    """What happens beside talking."""

    COUGH = "cough"
    THROAT = "throat"  # cleared, with a creaking voice
    KNOCK = "knock"  # on wood: a table, a door
    CLATTER = "clatter"  # of things put down
    RUSTLE = "rustle"  # of paper or cloth at the microphone
    BREATH = "breath"


def background(kind: Background, samples: int, level_dbfs: float, seed: int) -> Pcm:
    """A sound that goes on, of RMS level `level_dbfs`: pcm [samples]."""
    rng = np.random.default_rng([seed, 0])
    if kind is Background.HUM:
        t = np.arange(samples) / SAMPLE_RATE_HZ
        sound = sum(
            (np.sin(2 * np.pi * (50 * n * t + rng.random())) / n for n in range(1, 9)), np.zeros(samples)
        )
    else:
        sound = _noise(rng, samples, slope_db=0.0 if kind is Background.HISS else -3.0)
    return _levelled(sound, level_dbfs)


def noise(kind: Noise, level_dbfs: float, seed: int) -> Pcm:
    """One event, 0.05 to 1 s long, of RMS level `level_dbfs`: pcm [T]. Another seed gives another of its kind."""
    rng = np.random.default_rng([seed, 1])
    makers = {
        Noise.COUGH: _cough,
        Noise.THROAT: _throat,
        Noise.KNOCK: _knock,
        Noise.CLATTER: _clatter,
        Noise.RUSTLE: _rustle,
        Noise.BREATH: _breath,
    }
    sound = makers[kind](rng)
    edge = min(len(sound) // 4, SAMPLE_RATE_HZ // 500)
    sound[-edge:] *= np.linspace(1, 0, edge)
    return _levelled(sound, level_dbfs)


def _levelled(sound: _Samples, level_dbfs: float) -> Pcm:
    """Scaled to the level, or as far towards it as fits without clipping."""
    rms = np.sqrt(np.mean(np.square(sound))) if sound.size else 0.0
    gain = 10 ** (level_dbfs / 20) / rms if rms else 0.0
    peak = np.abs(sound).max(initial=0.0) * gain
    levelled: Pcm = (sound * gain / max(1.0, peak)).astype(np.float32)
    return levelled


def _noise(
    rng: np.random.Generator,
    samples: int,
    *,
    low_hz: float = 0.0,
    high_hz: float = SAMPLE_RATE_HZ / 2,
    slope_db: float = 0.0,
) -> _Samples:
    """Noise between two frequencies, falling by `slope_db` per octave of power."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    shape = np.where((hz >= low_hz) & (hz <= high_hz), 1.0, 0.0)
    shape *= np.maximum(hz / 1000, 0.02) ** (slope_db / 6.02)
    return np.fft.irfft(spectrum * shape, samples)


def _seconds(rng: np.random.Generator, low: float, high: float) -> int:
    return round(rng.uniform(low, high) * SAMPLE_RATE_HZ)


def _decay(samples: int, time_s: float) -> _Samples:
    return np.exp(-np.arange(samples) / (time_s * SAMPLE_RATE_HZ))


def _cough(rng: np.random.Generator) -> _Samples:
    """One to three times: a burst as the glottis opens, a hollow rush, often a voiced end."""
    coughs = []
    for _ in range(rng.integers(1, 4)):
        samples = _seconds(rng, 0.16, 0.3)
        rush = _noise(rng, samples, low_hz=350, high_hz=rng.uniform(3000, 6000), slope_db=-2.0)
        cough = rush / np.abs(rush).max() * _decay(samples, rng.uniform(0.04, 0.09))
        if rng.random() < 0.6:
            voiced = _seconds(rng, 0.05, 0.1)
            cough[-voiced:] += 0.15 * _creak(rng, voiced, rng.uniform(120, 260)) * np.hanning(voiced)
        coughs += [rng.uniform(0.6, 1.0) * cough, np.zeros(_seconds(rng, 0.03, 0.12))]
    return np.concatenate(coughs[:-1])


def _throat(rng: np.random.Generator) -> _Samples:
    samples = _seconds(rng, 0.25, 0.5)
    rasp = _noise(rng, samples, low_hz=200, high_hz=2500, slope_db=-3.0)
    rasp /= np.abs(rasp).max()
    flutter = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(22, 35) * np.arange(samples) / SAMPLE_RATE_HZ)
    return (0.8 * rasp + 0.3 * _creak(rng, samples, rng.uniform(60, 90))) * flutter * np.hanning(samples)


def _creak(rng: np.random.Generator, samples: int, hz: float) -> _Samples:
    """Pulses of an unsteady rate, peak 1."""
    rate = hz * (1 + 0.15 * _noise(rng, samples, high_hz=40) / 0.06)
    phase = np.cumsum(np.maximum(rate, 20.0)) / SAMPLE_RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0) * rng.uniform(0.7, 1.0, samples)
    ringing = np.convolve(
        pulses, _decay(240, 0.002) * np.sin(2 * np.pi * 700 * np.arange(240) / SAMPLE_RATE_HZ)
    )
    return ringing[:samples] / max(1e-9, float(np.abs(ringing).max()))


def _knock(rng: np.random.Generator) -> _Samples:
    knocks = []
    for _ in range(rng.integers(1, 4)):
        samples = _seconds(rng, 0.08, 0.16)
        t = np.arange(samples) / SAMPLE_RATE_HZ
        body = sum(
            (
                rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * rng.uniform(90, 900) * t) * _decay(samples, tau)
                for tau in (0.012, 0.02, 0.03)
            ),
            np.zeros(samples),
        )
        click = rng.standard_normal(samples) * _decay(samples, 0.001)
        knocks += [body + 0.5 * click, np.zeros(_seconds(rng, 0.05, 0.15))]
    return np.concatenate(knocks[:-1])


def _clatter(rng: np.random.Generator) -> _Samples:
    samples = _seconds(rng, 0.3, 0.8)
    sound = np.zeros(samples)
    for start in np.sort(rng.integers(0, samples * 3 // 4, rng.integers(4, 10))):
        length = min(samples - start, _seconds(rng, 0.03, 0.15))
        t = np.arange(length) / SAMPLE_RATE_HZ
        for hz in rng.uniform(900, 6000, 3):
            ring = np.sin(2 * np.pi * hz * t) * _decay(length, rng.uniform(0.004, 0.02))
            sound[start : start + length] += rng.uniform(0.2, 1.0) * ring
        sound[start : start + length] += rng.standard_normal(length) * _decay(length, 0.002)
    return sound


def _rustle(rng: np.random.Generator) -> _Samples:
    samples = _seconds(rng, 0.3, 1.0)
    swell = np.maximum(_noise(rng, samples, high_hz=12), 0.0)
    return _noise(rng, samples, low_hz=800, high_hz=9000) * swell * np.hanning(samples)


def _breath(rng: np.random.Generator) -> _Samples:
    samples = _seconds(rng, 0.4, 0.9)
    return _noise(rng, samples, low_hz=300, high_hz=4000, slope_db=-3.0) * np.hanning(samples) ** 2
