"""Which of several voices speaks: pitch and long-term spectrum, nothing learnt. Pure.

A voice is summed up as the median and spread of log-F0 (autocorrelation of voiced frames) and its mean mel spectrum
without overall level. What is said matters little once some seconds are averaged, and not at all where every voice
says the same. The nearest enrolled voice wins, each feature in units of how much it varies within a voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm

Features = NDArray[np.float64]

_WINDOW_SAMPLES = SAMPLE_RATE_HZ * 40 // 1000
_HOP_SAMPLES = SAMPLE_RATE_HZ * 10 // 1000
_LOWEST_HZ, _HIGHEST_HZ = 60, 400
_VOICED = 0.5  # normalised autocorrelation at the pitch period
_AS_HIGH = 0.85
_LOUD = 0.1  # of the loudest frame's amplitude
_BANDS = 20
_LEAST_SPREAD = 0.02
"""Of a feature within a voice, where its few recordings happen to agree: 2 % of pitch, 0.1 dB."""


def pitch_hz(pcm: Pcm) -> Features:
    """[n]: F0 of the voiced frames of pcm, every 10 ms; unvoiced and quiet ones are left out."""
    frames = _frames(pcm)
    if not len(frames):
        return np.zeros(0)
    centred = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(centred * np.hanning(_WINDOW_SAMPLES), 2 * _WINDOW_SAMPLES)) ** 2
    correlation = np.fft.irfft(spectrum)[:, :_WINDOW_SAMPLES]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(_WINDOW_SAMPLES), 2 * _WINDOW_SAMPLES)) ** 2)
    # Without the window's own decay, long periods would always lose against short ones (Boersma 1993).
    normal = (
        correlation / np.maximum(correlation[:, :1], 1e-12) / (window[:_WINDOW_SAMPLES] / window[0] + 1e-3)
    )
    shortest, longest = SAMPLE_RATE_HZ // _HIGHEST_HZ, SAMPLE_RATE_HZ // _LOWEST_HZ
    searched = normal[:, shortest - 1 : longest + 1]
    inner = searched[:, 1:-1]
    # A period's multiples are as good as itself, so that the first peak that is about as high as any is taken.
    peaks = (inner >= searched[:, :-2]) & (inner >= searched[:, 2:])
    high = peaks & (inner > _AS_HIGH * inner.max(axis=1, keepdims=True))
    best = high.argmax(axis=1)
    level = np.sqrt((frames**2).mean(axis=1))
    voiced = (inner[np.arange(len(best)), best] > _VOICED) & (level > _LOUD * level.max())
    hz: Features = SAMPLE_RATE_HZ / (shortest + best[voiced])
    return hz


def summary(pcm: Pcm) -> Features:
    """[2 + bands]: median and spread of log-F0 (0 without any), then the mean log spectrum in mel bands."""
    pitch = np.log(pitch_hz(pcm))
    low, middle, high = np.percentile(pitch, [20, 50, 80]) if len(pitch) else (0.0, 0.0, 0.0)
    return np.concatenate([[middle, high - low], _spectrum(pcm)])


class VoiceBook:
    """Enrolled voices."""

    def __init__(self, enrolled: Mapping[str, Sequence[Pcm]]) -> None:
        """Takes some recordings of each voice."""
        self.names = sorted(enrolled)
        summaries = [np.stack([summary(pcm) for pcm in enrolled[name]]) for name in self.names]
        self._means = np.stack([of_voice.mean(axis=0) for of_voice in summaries])
        within = np.sqrt(np.mean([of_voice.var(axis=0) for of_voice in summaries], axis=0))
        self._spread = np.maximum(within, _LEAST_SPREAD)

    def identify(self, pcm: Pcm) -> str:
        """The name of the nearest voice."""
        difference = (summary(pcm) - self._means) / self._spread
        return self.names[int((difference**2).sum(axis=1).argmin())]


def _frames(pcm: Pcm) -> Features:
    """[n, window] of pcm, in float64."""
    if len(pcm) < _WINDOW_SAMPLES:
        return np.zeros((0, _WINDOW_SAMPLES))
    windows = np.lib.stride_tricks.sliding_window_view(pcm.astype(np.float64), _WINDOW_SAMPLES)
    return windows[::_HOP_SAMPLES]


def _spectrum(pcm: Pcm) -> Features:
    """[bands]: mean log power of the loud frames, without its mean over bands."""
    frames = _frames(pcm)
    if not len(frames):
        return np.zeros(_BANDS)
    level = np.sqrt((frames**2).mean(axis=1))
    loud = frames[level > _LOUD * level.max()] if level.max() > 0 else frames
    power = (np.abs(np.fft.rfft(loud * np.hanning(_WINDOW_SAMPLES))) ** 2).mean(axis=0)
    highest = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, _BANDS + 1) / 2595) - 1)
    edges = np.round(edges_hz / (SAMPLE_RATE_HZ / _WINDOW_SAMPLES)).astype(int)
    bands = np.array([power[a : max(b, a + 1)].mean() for a, b in zip(edges[:-1], edges[1:], strict=True)])
    nats = np.log(bands + 1e-9 * bands.max() + 1e-12)
    flat: Features = nats - nats.mean()
    return flat
