"""How two sides of a conversation take turns. Pure.

Definitions are those of dGSLM (arXiv:2203.16502), which Moshi's paper uses too:

    IPU      speech of one side with less than 200 ms of silence in it: a spurt of a run
    pause    silence of both between two IPUs of the same side
    gap      silence of both between an IPU of one side and the next one of the other
    overlap  both talk

A **transfer** is where the floor changes sides; its **offset** (FTO) is the next side's beginning minus the last
one's end: positive for a gap, negative for an overlap. An IPU that lies within one of the other side transfers
nothing. dGSLM's authors decline to call such an IPU a backchannel, and so do we.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scenarios.scores.score import Score, median, quantile, share
from scenarios.voicing import Span

MINUTE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Sides:
    """IPUs of the two sides of a conversation, each in order and without overlaps in itself."""

    one: tuple[Span, ...]
    other: tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class Stretches:
    """Where what of a conversation is."""

    ipus: tuple[Span, ...]
    """Of both sides."""

    pauses: tuple[Span, ...]
    gaps: tuple[Span, ...]
    overlaps: tuple[Span, ...]
    offsets_s: tuple[float, ...]
    """Of the transfers."""


def joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans of several people or renderings as one side: those that overlap are one."""
    side: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start_s, one.end_s)):
        if side and span.start_s <= side[-1].end_s:
            side[-1] = Span(start_s=side[-1].start_s, end_s=max(side[-1].end_s, span.end_s))
        else:
            side.append(span)
    return tuple(side)


def stretches_of(sides: Sides) -> Stretches:
    """The pauses, gaps, overlaps and transfers of a conversation.

    A silence after which both begin at once is a pause of whoever spoke last.
    """
    marked = [(span, 0) for span in sides.one] + [(span, 1) for span in sides.other]
    marked.sort(key=lambda item: (item[0].start_s, item[0].end_s, item[1]))
    beginning: dict[float, set[int]] = {}
    for span, side in marked:
        beginning.setdefault(span.start_s, set()).add(side)
    pauses: list[Span] = []
    gaps: list[Span] = []
    last_end_s, last_sides = marked[0][0].end_s if marked else 0.0, set[int]()
    for span, side in marked:
        if span.start_s > last_end_s:
            silence = Span(start_s=last_end_s, end_s=span.start_s)
            (pauses if beginning[span.start_s] & last_sides else gaps).append(silence)
        if span.end_s >= last_end_s:
            together = last_sides if span.end_s == last_end_s else set[int]()
            last_end_s, last_sides = span.end_s, together | {side}
    return Stretches(
        ipus=tuple(span for span, _ in marked),
        pauses=tuple(pauses),
        gaps=tuple(gaps),
        overlaps=tuple(_overlaps(sides)),
        offsets_s=tuple(_offsets(marked)),
    )


def turn_scores(name: str, conversations: Sequence[Stretches], listened_s: float) -> list[Score]:
    """Number and seconds per minute of IPUs, pauses, gaps and overlaps, and the distribution of offsets.

    Args:
        name: such as `turns`.
        conversations: one per listener.
        listened_s: how long all of them were, together.
    """
    minutes = listened_s / MINUTE_S
    scores = []
    for what in ("ipus", "pauses", "gaps", "overlaps"):
        spans: list[Span] = [span for one in conversations for span in getattr(one, what)]
        total_s = sum(span.duration_s for span in spans)
        for unit, value in (("1/min", len(spans)), ("s/min", total_s)):
            figure = "rate" if unit == "1/min" else "time"
            per_minute = value / minutes if minutes else None
            scores.append(Score(name=f"{name}.{what}.{figure}", value=per_minute, unit=unit, n=len(spans)))
    offsets = [offset for one in conversations for offset in one.offsets_s]
    return [
        *scores,
        median(f"{name}.offset.p50", offsets, "s"),
        quantile(f"{name}.offset.p95", offsets, 0.95, "s"),
        share(f"{name}.overlapped_transfers", [offset < 0 for offset in offsets]),
    ]


def _overlaps(sides: Sides) -> list[Span]:
    both = [
        Span(start_s=max(a.start_s, b.start_s), end_s=min(a.end_s, b.end_s))
        for a in sides.one
        for b in sides.other
        if a.start_s < b.end_s and b.start_s < a.end_s
    ]
    return sorted(both, key=lambda span: span.start_s)


def _offsets(marked: Sequence[tuple[Span, int]]) -> list[float]:
    """Offsets between neighbouring IPUs of different sides, those within one of the other side left out."""
    kept = [
        (span, side)
        for span, side in marked
        if not any(
            other != side and within.start_s <= span.start_s and span.end_s <= within.end_s and within != span
            for within, other in marked
        )
    ]
    return [later.start_s - earlier.end_s for (earlier, a), (later, b) in pairwise(kept) if a != b]
