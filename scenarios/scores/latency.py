"""Lag of one segment as simultaneous translation measures it. Pure arithmetic, in whatever unit of time comes in.

Notation: |X| is the duration of the source, d_i the source time that has passed when target unit i comes out, |Y| the
number of units that came out, |Y*| that of the reference. Definitions are those of the tools that others compare with,
and the tests hold every one of them equal to its tool on random cases:

    AL, LAAL, DAL, AP, ATD   SimulEval 1.1.4 (Ma et al. 2020, arXiv:2007.16193), `latency_scorer.py`
    YAAL                     OmniSTEval 0.1.10 (arXiv:2509.17349), `scoring.py`
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby
from statistics import fmean

ATD_TOKEN = 300.0
"""Length, in ms, of the tokens that speech is cut into (Kano et al., arXiv:2211.13173)."""

Delays = Sequence[float]


def average_lagging(delays: Delays, source: float, reference_units: int) -> float:
    """AL = mean over i = 1..tau of d_i - (i - 1) |X| / |Y*|; tau is the first i with d_i >= |X|.

    Ma et al. 2019, arXiv:1810.08398. An output longer than its reference is rewarded: see `laal`.

    Args:
        delays: d, at least one.
        source: |X|, more than 0.
        reference_units: |Y*|, at least 1.

    Returns:
        d_1 where the first unit comes after the source's end.
    """
    return _lagging(delays, source, reference_units)


def laal(delays: Delays, source: float, reference_units: int) -> float:
    """LAAL: `average_lagging` with max(|Y|, |Y*|) in the place of |Y*| (arXiv:2206.05807)."""
    return _lagging(delays, source, max(len(delays), reference_units))


def yaal(delays: Delays, source: float, reference_units: int, *, ends: float | None = None) -> float | None:
    """YAAL: as LAAL, over the units that come out before the source ends (arXiv:2509.17349).

    Args:
        delays: d, relative to the segment's beginning.
        source: |X|.
        reference_units: |Y*|.
        ends: end of the whole recording, relative to the segment's beginning, for long form: units count until then,
            and not only until the segment's end. Infinite where it is not known.

    Returns:
        None where no unit comes out before that.
    """
    last = source if ends is None else ends
    counted = [delay for delay, within in zip(delays, _until(delays, last), strict=True) if within]
    if not counted:
        return None
    slope = source / max(len(delays), reference_units)
    return fmean(delay - i * slope for i, delay in enumerate(counted))


def dal(delays: Delays, source: float) -> float:
    """DAL = mean of g_i - (i - 1) |X| / |Y|, with g_i = max(d_i, g_{i-1} + |X| / |Y|) (arXiv:1906.05218)."""
    slope = source / len(delays)
    waited = list(accumulate(delays, lambda before, delay: max(delay, before + slope)))
    return fmean(delay - i * slope for i, delay in enumerate(waited))


def average_proportion(delays: Delays, source: float, reference_units: int) -> float:
    """AP = sum of d_i / (|X| |Y*|), a share of the source (arXiv:1606.02012)."""
    return sum(delays) / (source * reference_units)


def atd(delays: Delays, durations: Sequence[float] | None = None, *, token: float = ATD_TOKEN) -> float:
    """ATD: how much later than its source token each target token ends, on average (arXiv:2211.13173).

    Source and target speech are cut into tokens, a chunk's last one shorter; text takes no time. Target token t, in
    the chunk that came out after source chunk c, is paired with the source token in its place, or with an earlier one
    by as much as the target had run ahead of the source, and never with one that had not been read.

    Since it uses ends, a long burst of speech counts as late.

    Args:
        delays: d in ms, at least one; units with the same delay are one chunk.
        durations: of each unit of target speech, in ms; None for text.
        token: length of a token, in ms.
    """
    chunk_delays = list(dict.fromkeys(delays))
    source_lengths = [
        _tokens(delay - before, token)
        for delay, before in zip(chunk_delays, [0.0, *chunk_delays[:-1]], strict=True)
    ]
    target_lengths = _target_tokens(delays, durations, token)
    source_ends = [0.0, *accumulate(length for chunk in source_lengths for length in chunk)]
    lags: list[float] = []
    read, said, last_end = 0, 0, 0.0
    for delay, source_chunk, target_chunk in zip(chunk_delays, source_lengths, target_lengths, strict=True):
        ahead = max(0, said - read)
        read += len(source_chunk)
        for length in target_chunk:
            said_now = said + 1
            last_end = max(delay, last_end) + length
            lags.append(last_end - source_ends[min(said_now - ahead, read)])
            said = said_now
    return fmean(lags)


def playback(delays: Delays, durations: Sequence[float]) -> list[tuple[float, float]]:
    """When each unit of target speech sounds: start_i = max(end_{i-1}, d_i), as SimulEval plays them."""
    spans: list[tuple[float, float]] = []
    end = 0.0
    for delay, duration in zip(delays, durations, strict=True):
        start = max(end, delay)
        end = start + duration
        spans.append((start, end))
    return spans


def start_offset(delays: Delays) -> float:
    """StartOffset = d_1."""
    return delays[0]


def end_offset(delays: Delays, durations: Sequence[float], source: float) -> float:
    """EndOffset = end of the last unit as it is played back, minus |X|."""
    return playback(delays, durations)[-1][1] - source


def _lagging(delays: Delays, source: float, units: int) -> float:
    if delays[0] > source:
        return delays[0]
    last = next((i for i, delay in enumerate(delays) if delay >= source), len(delays) - 1)
    slope = source / units
    return fmean(delay - i * slope for i, delay in enumerate(delays[: last + 1]))


def _until(delays: Delays, end: float) -> list[bool]:
    """Whether each unit, and all before it, came out before `end`."""
    return list(accumulate((delay < end for delay in delays), lambda before, now: before and now))


def _tokens(duration: float, token: float) -> list[float]:
    """Lengths of the tokens that a stretch of speech is cut into."""
    whole, rest = divmod(duration, token)
    return [token] * int(whole) + ([rest] if rest else [])


def _target_tokens(delays: Delays, durations: Sequence[float] | None, token: float) -> list[list[float]]:
    """Lengths of the target's tokens, by chunk."""
    lengths = [0.0] * len(delays) if durations is None else list(durations)
    chunks = [
        [length for _, length in chunk]
        for _, chunk in groupby(zip(delays, lengths, strict=True), key=lambda unit: unit[0])
    ]
    return chunks if durations is None else [_tokens(sum(chunk), token) for chunk in chunks]
