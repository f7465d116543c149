"""Where a clean recording sounds, and how loud. Pure; for audio whose background is known to be silent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm

PAUSE_S = 0.2
"""A shorter silence is part of what sounds: the interpausal unit of dGSLM (arXiv:2203.16502)."""

SILENT_DBFS = -58.0
"""Softer hops are silence. Speech is at -26 dBFS, its softest consonants 25 dB below."""

_HOP_SAMPLES = SAMPLE_RATE_HZ // 200  # 5 ms
_ACTIVE_BELOW_PEAK_DB = 30.0
"""Hops softer than the loudest by more do not count towards the level, as in the spirit of ITU-T P.56."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of time."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length."""
        return self.end_s - self.start_s

    def shifted(self, by_s: float) -> Span:
        """The span, so much later."""
        return Span(start_s=self.start_s + by_s, end_s=self.end_s + by_s)

    def within(self, start_s: float, end_s: float) -> Span:
        """What of the span lies between; empty, at one of them, where nothing does."""
        return Span(
            start_s=min(max(self.start_s, start_s), end_s), end_s=min(max(self.end_s, start_s), end_s)
        )


def active_level_dbfs(pcm: Pcm) -> float | None:
    """RMS level of pcm [T] while it sounds; None for digital silence."""
    power = _hop_power(pcm)
    if not power.size or power.max() <= 0.0:
        return None
    active = power[power > power.max() * 10 ** (-_ACTIVE_BELOW_PEAK_DB / 10)]
    return float(10 * np.log10(active.mean()))


def voiced_spans(pcm: Pcm) -> tuple[Span, ...]:
    """Where pcm [T] sounds, to 5 ms: stretches apart by `PAUSE_S` or more."""
    sounding = np.flatnonzero(_hop_power(pcm) > 10 ** (SILENT_DBFS / 10))
    if not sounding.size:
        return ()
    hop_s = _HOP_SAMPLES / SAMPLE_RATE_HZ
    breaks = np.flatnonzero(np.diff(sounding) > PAUSE_S / hop_s)
    firsts = sounding[np.concatenate(([0], breaks + 1))]
    lasts = sounding[np.concatenate((breaks, [sounding.size - 1]))]
    return tuple(
        Span(start_s=float(first * hop_s), end_s=float((last + 1) * hop_s))
        for first, last in zip(firsts, lasts, strict=True)
    )


def _hop_power(pcm: Pcm) -> NDArray[np.float64]:
    hops = len(pcm) // _HOP_SAMPLES
    whole = pcm[: hops * _HOP_SAMPLES].reshape(-1, _HOP_SAMPLES)
    power: NDArray[np.float64] = np.mean(np.square(whole, dtype=np.float64), axis=1)
    return power
