"""Full-Duplex-Bench v1.5 (arXiv:2507.23159): how soon a system stops under a user's voice, and answers. Pure.

Official mode is `get_timing.py`: gaps of up to 0.6 s in the user's voice and 0.5 s in the system's are closed (its
comments say 0.3 and 0.05; what runs counts), every overlap of the two is a stop, and every user's end is answered by
the next beginning of the system. So a user's "mm-hm" that is over sooner than the system makes a stop of 0.4 s out of a
system that never stopped.

Fixed mode looks only at users who begin while the system talks, and at systems that end while the user still talks or
within 2.0 s of their beginning; others did not stop, and are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scenarios.scores.bench_v1 import YIELD_S, TimedText
from scenarios.scores.score import Score, mean, share
from scenarios.voicing import Span

USER_GAP_S = 0.6
SYSTEM_GAP_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Intervals of one sample, in order of their ends."""

    stops: tuple[Span, ...]
    """From the user's beginning to the system's end, or whatever of it is overlap."""

    responses: tuple[Span, ...]
    """From a user's end to the system's next beginning."""


def merged(segments: Sequence[Span], gap_s: float) -> tuple[Span, ...]:
    """`segments` in order, those with a gap of at most `gap_s` joined."""
    joined: list[Span] = []
    for one in sorted(segments, key=lambda span: (span.start_s, span.end_s)):
        if joined and one.start_s - joined[-1].end_s <= gap_s:
            joined[-1] = Span(start_s=joined[-1].start_s, end_s=max(joined[-1].end_s, one.end_s))
        else:
            joined.append(one)
    return tuple(joined)


def official_timing(user: Sequence[Span], system: Sequence[Span]) -> Timing:
    """The intervals of `latency_intervals.json`, in seconds to three decimals.

    Args:
        user: voice segments of `input.wav`, not merged yet.
        system: those of `output.wav`.
    """
    users, systems = merged(user, USER_GAP_S), merged(system, SYSTEM_GAP_S)
    stops: dict[int, Span] = {}
    for overlap in _overlaps(users, systems):
        key = round(overlap.end_s * 1000)
        if key not in stops or overlap.duration_s < stops[key].duration_s:
            stops[key] = overlap
    responses: dict[int, Span] = {}
    for one in users:
        start_s = next((other.start_s for other in systems if other.start_s > one.end_s), None)
        if start_s is not None:
            key = round(start_s * 1000)
            found = responses.get(key)
            if found is None or round(one.end_s, 3) > found.start_s:
                responses[key] = Span(start_s=round(one.end_s, 3), end_s=round(start_s, 3))
    return Timing(
        stops=tuple(_rounded(one) for one in sorted(stops.values(), key=lambda span: span.end_s)),
        responses=tuple(sorted(responses.values(), key=lambda span: span.end_s)),
    )


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """A user who began while the system talked."""

    stop_s: float | None
    """From their beginning to the system's end; None where it did not stop."""

    response_s: float | None
    """From their end to the system's next beginning; None where there was none, or it had not stopped."""


def fixed_timing(user: Sequence[Span], system: Sequence[Span]) -> tuple[Overlap, ...]:
    """What became of every user's voice over the system's."""
    systems = merged(system, SYSTEM_GAP_S)
    found = []
    for one in merged(user, USER_GAP_S):
        running = next((other for other in systems if other.start_s < one.start_s < other.end_s), None)
        if running is None:
            continue
        stop_s = running.end_s - one.start_s
        stopped = running.end_s <= one.end_s or stop_s <= YIELD_S
        begins = next((other.start_s for other in systems if other.start_s > running.end_s), None)
        found.append(
            Overlap(
                stop_s=stop_s if stopped else None,
                response_s=begins - one.end_s if stopped and begins is not None else None,
            )
        )
    return tuple(found)


def words_per_minute(words: Sequence[TimedText]) -> float | None:
    """Speaking rate: words / (last end - first start); None where that cannot be told."""
    times = [(word.start_s, word.end_s) for word in words]
    if not times or times[0][0] is None or times[-1][1] is None or times[-1][1] <= times[0][0]:
        return None
    return 60.0 * len(times) / (times[-1][1] - times[0][0])


def parting_of(words: Sequence[TimedText], event_end_s: float) -> int:
    """Index of the first word that begins after an event; how many there are where none does."""
    return next(
        (n for n, word in enumerate(words) if word.start_s is not None and word.start_s > event_end_s),
        len(words),
    )


def rates_around(words: Sequence[TimedText], event_end_s: float) -> tuple[float | None, float | None]:
    """Speaking rates before and after an event: the sides part at the first word that begins after its end."""
    parting = parting_of(words, event_end_s)
    return words_per_minute(words[:parting]), words_per_minute(words[parting:])


def rate_scores(
    name: str, rates: Sequence[tuple[float | None, float | None]], word_source: str
) -> list[Score]:
    """Mean speaking rates before and after an event, of the samples that have both."""
    both = [(before, after) for before, after in rates if before is not None and after is not None]
    note = f"words: {word_source}"
    return [
        mean(f"{name}.rate.before", [before for before, _ in both], "words/min", note=note),
        mean(f"{name}.rate.after", [after for _, after in both], "words/min", note=note),
    ]


def official_scores(name: str, timings: Sequence[Timing], segment_source: str) -> list[Score]:
    """Mean stop and response latency."""
    note = f"voice segments: {segment_source}"
    stops = [one.duration_s for timing in timings for one in timing.stops]
    responses = [one.duration_s for timing in timings for one in timing.responses]
    return [
        mean(f"{name}.stop_latency", stops, "s", note=note),
        mean(f"{name}.response_latency", responses, "s", note=note),
    ]


def fixed_scores(name: str, samples: Sequence[Overlap], segment_source: str) -> list[Score]:
    """How often it stopped, and the latencies where it did; a response before the user's end is negative."""
    note = f"voice segments: {segment_source}"
    stops = [one.stop_s for one in samples if one.stop_s is not None]
    responses = [one.response_s for one in samples if one.response_s is not None]
    return [
        share(f"{name}.stopped", [one.stop_s is not None for one in samples], note=note),
        mean(f"{name}.stop_latency", stops, "s", note=note),
        mean(f"{name}.response_latency", responses, "s", note=note),
    ]


def _overlaps(users: Sequence[Span], systems: Sequence[Span]) -> list[Span]:
    """The stretches in which both talk."""
    both = [
        Span(start_s=max(one.start_s, other.start_s), end_s=min(one.end_s, other.end_s))
        for one in users
        for other in systems
    ]
    return [one for one in both if one.duration_s > 0]


def _rounded(span: Span) -> Span:
    return Span(start_s=round(span.start_s, 3), end_s=round(span.end_s, 3))
