"""Ear-voice spans of one direction, from when its speaker and its rendering begin to sound. Pure.

    speaker      |=====|    |======|           |====|
    rendering          |==========|                   |======|
    span         |---->|                       |----->|

A rendering that begins answers everything its speaker began since the one before. What was begun well before the end
of a rendering is taken as part of it, and has no span of its own: a span is rather missing than wrong. Words would tell
more; where they are not written down, these beginnings are all there is.
"""

from __future__ import annotations

from collections import deque

from interpreter.console.snapshot import Span

WITHIN_S = 1.0
"""What a speaker began so long before a rendering ended, or earlier, is in it."""

LONGEST_S = 60.0
KEPT = 200


class Spans:
    """The spans of one direction."""

    def __init__(self) -> None:
        self._begun: deque[float] = deque(maxlen=50)
        self._spans: deque[float] = deque(maxlen=KEPT)
        self._count = 0
        self._span = Span()

    @property
    def span(self) -> Span:
        """As an operator sees them."""
        return self._span

    def speaker_begins(self, at_s: float) -> None:
        """The speaker begins to sound."""
        self._begun.append(at_s)

    def rendering_begins(self, at_s: float) -> float | None:
        """The rendering begins to sound; the span, if there is one."""
        while self._begun and at_s - self._begun[0] > LONGEST_S:
            self._begun.popleft()
        if not self._begun or self._begun[0] > at_s:
            return None
        span_s = at_s - self._begun[0]
        self._begun = deque((one for one in self._begun if one > at_s), maxlen=self._begun.maxlen)
        self._spans.append(span_s)
        self._count += 1
        ordered = sorted(self._spans)
        self._span = Span(
            now_s=round(span_s, 2),
            p50_s=round(ordered[len(ordered) // 2], 2),
            p95_s=round(ordered[int(0.95 * (len(ordered) - 1))], 2),
            count=self._count,
        )
        return span_s

    def rendering_ends(self, at_s: float) -> None:
        """The rendering has ended."""
        while self._begun and self._begun[0] <= at_s - WITHIN_S:
            self._begun.popleft()
