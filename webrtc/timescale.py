"""Shortens or lengthens speech by one pitch period, without changing its pitch and without clicks.

Waveform-similarity overlap-add (Verhelst and Roelands, ICASSP 1993), one splice at a time: where two stretches of
`period` samples follow one another and look alike, one can be faded into the other.

    remove   | before |  A  |  B  | after |  ->  | before | A fades into B | after |
    insert   | before |  A  |  B  | after |  ->  | before | A | B fades into A | B | after |

Both ends of each fade meet samples that were neighbours before, so the waveform has no step anywhere.
Everything here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from webrtc.room import SAMPLE_RATE_HZ, Pcm

MIN_PERIOD_SAMPLES = SAMPLE_RATE_HZ * 25 // 10_000  # 2.5 ms, one period of the highest voices
MAX_PERIOD_SAMPLES = SAMPLE_RATE_HZ * 15 // 1_000  # 15 ms, one period of the lowest
QUIET_RMS = 10 ** (-50 / 20)  # below -50 dBFS any splice goes unheard
_ABOUT_AS_HIGH = 0.02
_STEP_SAMPLES = SAMPLE_RATE_HZ * 10 // 1_000  # places tried are 10 ms apart

_Sample = TypeVar("_Sample", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Splice:
    """Where one period may be removed or inserted."""

    at: int
    """Index of A's first sample."""

    period: int
    """Length of A and of B, in samples."""

    correlation: float
    """Normalised cross-correlation of A and B, in [-1, 1]; 1 where it is quiet."""


def find_splice(pcm: Pcm, max_period: int = MAX_PERIOD_SAMPLES) -> Splice | None:
    """The place and period where a splice is heard least, or None where pcm is too short.

    Args:
        pcm: [n], 24 kHz.
        max_period: longest period wanted, in samples; at least `MIN_PERIOD_SAMPLES` is tried.
    """
    max_period = min(max(max_period, MIN_PERIOD_SAMPLES), MAX_PERIOD_SAMPLES)
    best: Splice | None = None
    for at in range(0, len(pcm) - 2 * max_period + 1, _STEP_SAMPLES):
        here = _splice_at(pcm, at, max_period)
        if best is None or here.correlation > best.correlation:
            best = here
    return best


def _splice_at(pcm: Pcm, at: int, max_period: int) -> Splice:
    """The period that fits best at `at`: A's first samples compared with those that begin `period` later."""
    window = pcm[at : at + max_period]
    ahead = pcm[at + MIN_PERIOD_SAMPLES : at + 2 * max_period]
    energy = float(window @ window)
    if energy <= QUIET_RMS**2 * len(window) and float(ahead @ ahead) <= QUIET_RMS**2 * len(ahead):
        return Splice(at=at, period=max_period, correlation=1.0)
    products = np.correlate(ahead, window, mode="valid")
    sums = np.concatenate(([0.0], np.cumsum(np.square(ahead, dtype=np.float64))))
    energies = sums[len(window) :] - sums[: -len(window)]
    correlations = products / np.sqrt(np.maximum(energies * energy, 1e-12))
    lag = _longest_good_lag(correlations)
    return Splice(at=at, period=MIN_PERIOD_SAMPLES + lag, correlation=float(correlations[lag]))


def _longest_good_lag(correlations: NDArray[np.floating]) -> int:
    """Index of the last peak about as high as the highest: of a tone's periods, several at once are one splice."""
    padded = np.concatenate(([-np.inf], correlations, [-np.inf]))
    is_peak = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] >= padded[2:])
    good = is_peak & (correlations >= np.max(correlations) - _ABOUT_AS_HIGH)
    return int(np.flatnonzero(good)[-1])


def remove(pcm: Pcm, splice: Splice) -> Pcm:
    """`pcm` without one period: [n] -> [n - period]."""
    a, b, end = splice.at, splice.at + splice.period, splice.at + 2 * splice.period
    return np.concatenate((pcm[:a], _fade(pcm[a:b], pcm[b:end]), pcm[end:]))


def insert(pcm: Pcm, splice: Splice) -> Pcm:
    """`pcm` with one period more: [n] -> [n + period]."""
    a, b, end = splice.at, splice.at + splice.period, splice.at + 2 * splice.period
    return np.concatenate((pcm[:b], _fade(pcm[b:end], pcm[a:b]), pcm[b:]))


def remove_marks(marks: NDArray[_Sample], splice: Splice) -> NDArray[_Sample]:
    """What `remove` does, to one mark per sample: A's marks go."""
    return np.concatenate((marks[: splice.at], marks[splice.at + splice.period :]))


def insert_marks(marks: NDArray[_Sample], splice: Splice) -> NDArray[_Sample]:
    """What `insert` does, to one mark per sample: A's marks come twice."""
    b = splice.at + splice.period
    return np.concatenate((marks[:b], marks[splice.at :]))


def _fade(old: Pcm, new: Pcm) -> Pcm:
    """Linear: for similar stretches it keeps the level, which an equal-power fade would raise."""
    weight = (np.arange(len(old), dtype=np.float32) + 0.5) / np.float32(len(old))
    return (old * (1 - weight) + new * weight).astype(np.float32, copy=False)


def bridge_step(previous: float, pcm: Pcm, samples: int = MIN_PERIOD_SAMPLES) -> Pcm:
    """`pcm` bent at its start so that it continues from `previous` without a step.

    The difference between `previous` and the first sample fades over `samples`: a click becomes a slope.
    """
    if not len(pcm):
        return pcm
    bent = pcm.copy()
    count = min(samples, len(bent))
    ramp = np.linspace(1, 0, count, endpoint=False, dtype=np.float32)
    bent[:count] += ramp * np.float32(previous - float(pcm[0]))
    return np.clip(bent, -1.0, 1.0)
