"""A figure with what it rests on: how many cases, and a 95 % interval. Pure and seeded.

A share has Wilson's interval (Wilson 1927), which is sensible at 0 and 1. Everything else has a percentile bootstrap
over cases (Efron 1979) with a fixed seed, so that the same run gives the same figures. Fewer than `LEAST_FOR_RATE`
cases make no rate: the counts are told and no share, as in tau-voice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from scenarios.plain_data import encoded

SCHEMA = "interp-scores/1"
LEAST_FOR_RATE = 10
LEAST_FOR_SLOPE_MIN = 0.5
RESAMPLES = 1000
NOT_SCORED = "not scored"

_SEED = 0
_Z = NormalDist().inv_cdf(0.975)
_CELLS_AT_ONCE = 4_000_000  # of the matrix of resamples, which need not be in memory whole

Values = NDArray[np.float64]
Statistic = Callable[[Values], Values]
"""[R, n] -> [R]: the figure of each row."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One figure of a run."""

    name: str
    """Dotted, unique in a list of scores: `lag.ear_voice_span.p50`."""

    value: float | None
    """None where there is nothing to tell; `note` says why."""

    unit: str
    """`s`, `ms`, `dB`, `LUFS`, `share`, `count`, `points`, `s/min` and the like."""

    n: int
    """Cases."""

    low: float | None = None
    """Of the 95 % interval; None where there are too few cases for one, or none is defined."""

    high: float | None = None
    note: str = ""
    """Where the words are from, which alignment was used, why there is no value."""


def to_json(scores: Sequence[Score]) -> str:
    """Scores as text, a final newline included: the same bytes for the same scores."""
    whole = {"schema": SCHEMA, "scores": encoded(scores)}
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"


def not_scored(name: str, unit: str, why: str) -> Score:
    """A figure that cannot be had."""
    return Score(name=name, value=None, unit=unit, n=0, note=f"{NOT_SCORED}: {why}")


def count(name: str, value: int, *, note: str = "") -> Score:
    """How often something happened; a count has no interval."""
    return Score(name=name, value=float(value), unit="count", n=value, note=note)


def share(name: str, outcomes: Sequence[bool], *, note: str = "") -> Score:
    """How often something held, with Wilson's interval; no rate of fewer than `LEAST_FOR_RATE` cases."""
    n, held = len(outcomes), sum(outcomes)
    if n < LEAST_FOR_RATE:
        said = f"{held} of {n}; fewer than {LEAST_FOR_RATE} cases make no rate"
        return Score(name=name, value=None, unit="share", n=n, note=_joined(said, note))
    low, high = wilson(held, n)
    return Score(name=name, value=held / n, unit="share", n=n, low=low, high=high, note=note)


def wilson(held: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, n at least 1."""
    p = held / n
    centre, spread = p + _Z**2 / (2 * n), _Z * sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return 0.0 if held == 0 else low, 1.0 if held == n else high  # exactly, where arithmetic misses by an ulp


def mean(name: str, values: Sequence[float], unit: str, *, note: str = "") -> Score:
    """The mean of cases, with a bootstrap interval."""
    return statistic(name, values, unit, lambda rows: np.asarray(rows.mean(axis=-1)), note=note)


def median(name: str, values: Sequence[float], unit: str, *, note: str = "") -> Score:
    """The median of cases, with a bootstrap interval."""
    return quantile(name, values, 0.5, unit, note=note)


def quantile(name: str, values: Sequence[float], q: float, unit: str, *, note: str = "") -> Score:
    """The value below which a share `q` of cases lies (linear between cases), with a bootstrap interval."""
    return statistic(name, values, unit, lambda rows: np.asarray(np.quantile(rows, q, axis=-1)), note=note)


def statistic(name: str, values: Sequence[float], unit: str, of: Statistic, *, note: str = "") -> Score:
    """Any figure of cases, with a percentile bootstrap over them; no interval of fewer than two cases."""
    cases = np.asarray(values, dtype=np.float64)
    n = len(cases)
    if not n:
        return Score(name=name, value=None, unit=unit, n=0, note=_joined("no case", note))
    value = float(of(cases[np.newaxis])[0])
    if n < 2:
        return Score(name=name, value=value, unit=unit, n=n, note=note)
    low, high = _interval(np.concatenate([of(cases[rows]) for rows in _resamples(n)]))
    return Score(name=name, value=value, unit=unit, n=n, low=low, high=high, note=note)


def ratio(name: str, above: Sequence[float], below: Sequence[float], unit: str, *, note: str = "") -> Score:
    """The sum of one thing over the sum of another, cases together, with a bootstrap over cases.

    Args:
        name: of the score.
        above: of each case.
        below: of each case, more than 0.
        unit: of the quotient.
        note: of the score.
    """
    a, b = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)

    def quotients(rows: Values) -> Values:
        cases = rows.astype(np.intp)
        return np.asarray(a[cases].sum(axis=-1) / b[cases].sum(axis=-1))

    return statistic(name, range(len(a)), unit, quotients, note=note)


def slope(name: str, x: Sequence[float], y: Sequence[float], unit: str, *, note: str = "") -> Score:
    """The least-squares slope of y over x, in minutes, with a percentile bootstrap over pairs.

    None of fewer than three cases, or of less than half a minute: a sentence has a slope of its own.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    n = len(a)
    if n < 3 or np.ptp(a) < LEAST_FOR_SLOPE_MIN:
        why = "fewer than three cases" if n < 3 else "less than half a minute"
        return Score(name=name, value=None, unit=unit, n=n, note=_joined(why, note))
    return statistic(
        name, range(n), unit, lambda rows: slopes(a[rows.astype(np.intp)], b[rows.astype(np.intp)]), note=note
    )


def slopes(x: Values, y: Values) -> Values:
    """Least-squares slopes of y over x, [R, n] -> [R]; 0 where all x of a row are the same."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.square(centred).sum(axis=-1)
    together = (centred * y).sum(axis=-1)
    return np.asarray(np.divide(together, spread, out=np.zeros_like(together), where=spread > 0))


def _resamples(n: int) -> list[NDArray[np.intp]]:
    """Indices [rows, n] of `RESAMPLES` resamples in all."""
    rng = np.random.default_rng(_SEED)
    rows = max(1, min(RESAMPLES, _CELLS_AT_ONCE // n))
    sizes = [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]
    return [rng.integers(n, size=(size, n)) for size in sizes]


def _interval(figures: Values) -> tuple[float, float]:
    low, high = np.quantile(figures, [0.025, 0.975])
    return float(low), float(high)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
