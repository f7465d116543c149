"""Whether the interpreter keeps its voice over a call, and whether it jumps from one sentence to the next. Pure.

A **section** is a rendering's sound between silences of a second, at least 0.6 s long. Of each:

    pitch    median of F0 by autocorrelation (Boersma 1993), in semitones above 100 Hz
    timbre   long-term mel spectrum in 20 bands, in dB, without its mean over bands
    level    RMS while it sounds, in dBFS

**Drift** is the slope over the call by least squares, for timbre the RMS distance of the first and the last third's
means. A **jump** is the difference between neighbouring sections: a voice that turns excited for a sentence. No
figure knows whether the speaker did the same; compare them with those of the speaker's own track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from scenarios.run_log import RunLog, rendering_sound
from scenarios.scores.bench_v15 import merged
from scenarios.scores.score import Score, not_scored, quantile, slope
from scenarios.voicing import Span, active_level_dbfs

Features = NDArray[np.float64]

SECTION_GAP_S = 1.0
LEAST_SECTION_S = 0.6
BANDS = 20

_WINDOW = SAMPLE_RATE_HZ * 40 // 1000
_HOP = SAMPLE_RATE_HZ * 20 // 1000
_LOWEST_HZ, _HIGHEST_HZ = 60, 400
_VOICED = 0.5  # least normalised autocorrelation at the period
_AS_HIGH = 0.9  # an earlier peak this high, relative to the best, is the period and not half of it
_LOUD = 0.1  # of the loudest window's RMS
_MINUTE_S = 60.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """One stretch of a voice."""

    at_s: float
    """Its middle."""

    pitch_st: float | None
    """None where nothing is voiced."""

    level_dbfs: float
    timbre_db: Features
    """[BANDS]."""


def sections_of(pcm: Pcm, spurts: Sequence[Span]) -> tuple[Section, ...]:
    """The sections of a track.

    Args:
        pcm: [T], 24 kHz.
        spurts: where it sounds.
    """
    sections = []
    for span in merged(spurts, SECTION_GAP_S):
        part = pcm[round(span.start_s * SAMPLE_RATE_HZ) : round(span.end_s * SAMPLE_RATE_HZ)]
        level = active_level_dbfs(part) if len(part) >= LEAST_SECTION_S * SAMPLE_RATE_HZ else None
        if level is not None:
            pitch = pitch_hz(part)
            sections.append(
                Section(
                    at_s=(span.start_s + span.end_s) / 2,
                    pitch_st=float(12 * np.log2(np.median(pitch) / 100)) if len(pitch) else None,
                    level_dbfs=level,
                    timbre_db=_timbre(part),
                )
            )
    return tuple(sections)


def voice_scores(runs: Sequence[RunLog]) -> list[Score]:
    """Drift and jumps of all renderings whose sounds the runs have."""
    tracks = [
        sections_of(pcm, one.spurts)
        for run in runs
        for one in run.renderings
        if (pcm := run.sounds.get(rendering_sound(one.speaker_id, one.language_out))) is not None
    ]
    if not any(tracks):
        return [not_scored("voice.pitch_drift", "st/min", "no sound of a rendering")]
    pitched = [[one for one in track if one.pitch_st is not None] for track in tracks]
    return [
        _drift("voice.pitch_drift", "st/min", pitched, [[one.pitch_st or 0.0 for one in t] for t in pitched]),
        _drift("voice.level_drift", "dB/min", tracks, [[one.level_dbfs for one in t] for t in tracks]),
        _timbre_drift(tracks),
        _jumps("voice.pitch_jump.p95", "st", [[one.pitch_st or 0.0 for one in t] for t in pitched]),
        _jumps("voice.level_jump.p95", "dB", [[one.level_dbfs for one in t] for t in tracks]),
    ]


def pitch_hz(pcm: Pcm) -> Features:
    """[n]: F0 of the voiced and loud windows of pcm, every 20 ms."""
    windows = _windows(pcm)
    if not len(windows):
        return np.zeros(0)
    taper = np.hanning(_WINDOW)
    correlation = _autocorrelation((windows - windows.mean(axis=1, keepdims=True)) * taper)
    # A window's own correlation falls with the period, so that long periods would always lose (Boersma 1993).
    normal = correlation / np.maximum(_autocorrelation(taper[np.newaxis]), 1e-3)
    first, last = SAMPLE_RATE_HZ // _HIGHEST_HZ, SAMPLE_RATE_HZ // _LOWEST_HZ
    searched = normal[:, first - 1 : last + 2]
    inner = searched[:, 1:-1]
    peaks = np.where((inner >= searched[:, :-2]) & (inner >= searched[:, 2:]), inner, 0.0)
    best = peaks.max(axis=1, keepdims=True)
    periods = first + (peaks >= _AS_HIGH * best).argmax(axis=1)
    level = np.sqrt(np.square(windows).mean(axis=1))
    voiced = (best[:, 0] > _VOICED) & (level > _LOUD * level.max())
    hz: Features = SAMPLE_RATE_HZ / periods[voiced]
    return hz


def _autocorrelation(windows: Features) -> Features:
    """[n, window]: normalised to 1 at lag 0."""
    spectrum = np.fft.rfft(windows, 2 * _WINDOW)
    correlation = np.fft.irfft(np.square(np.abs(spectrum)))[:, :_WINDOW]
    return np.asarray(correlation / np.maximum(correlation[:, :1], 1e-12))


def _windows(pcm: Pcm) -> Features:
    """[n, window]."""
    if len(pcm) < _WINDOW:
        return np.zeros((0, _WINDOW))
    return np.lib.stride_tricks.sliding_window_view(pcm.astype(np.float64), _WINDOW)[::_HOP]


def _timbre(pcm: Pcm) -> Features:
    """[BANDS]: mean power of the loud windows in mel bands, in dB without its mean."""
    windows = _windows(pcm)
    level = np.sqrt(np.square(windows).mean(axis=1))
    loud = windows[level >= _LOUD * level.max()]
    power = np.square(np.abs(np.fft.rfft(loud * np.hanning(_WINDOW)))).mean(axis=0)
    highest_mel = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest_mel, BANDS + 1) / 2595) - 1)
    edges = np.round(edges_hz * _WINDOW / SAMPLE_RATE_HZ).astype(int)
    bands = np.array([power[a : max(b, a + 1)].mean() for a, b in zip(edges[:-1], edges[1:], strict=True)])
    decibels = 10 * np.log10(bands + 1e-9 * bands.max() + 1e-12)
    return np.asarray(decibels - decibels.mean())


def _drift(
    name: str, unit: str, tracks: Sequence[Sequence[Section]], values: Sequence[Sequence[float]]
) -> Score:
    """Slope over minutes, of every track about its own mean."""
    x = [one.at_s / _MINUTE_S for track in tracks for one in track]
    y = [value - float(np.mean(own)) for own in values for value in own]
    return slope(name, x, y, unit)


def _timbre_drift(tracks: Sequence[Sequence[Section]]) -> Score:
    name = "voice.timbre_drift"
    distances = []
    for track in tracks:
        third = len(track) // 3
        if third:
            first = np.mean([one.timbre_db for one in track[:third]], axis=0)
            last = np.mean([one.timbre_db for one in track[-third:]], axis=0)
            distances.append(float(np.sqrt(np.mean(np.square(last - first)))))
    if not distances:
        return not_scored(name, "dB", "fewer than three sections of a voice")
    return Score(name=name, value=max(distances), unit="dB", n=len(distances), note="of the worst rendering")


def _jumps(name: str, unit: str, values: Sequence[Sequence[float]]) -> Score:
    jumps = [float(jump) for own in values for jump in np.abs(np.diff(own))]
    return quantile(name, jumps, 0.95, unit)
