"""How long after its tick a frame is played. Sans-IO.

Frame n is mixed when every session has answered, and played at tick n + cushion. Too short, and an answer that takes
a moment longer misses its mix; too long, and everybody hears everybody late. So the cushion follows the answers: it
grows at once when one came too late, and shrinks slowly to what nearly all of the last seconds needed.

    tick n                 readiness             played
      |----------------------|-----------|----------|----> time
      |<- sessions answer ->              |<-margin->|
      |<---------------- cushion ------------------->|
                                      deadline: mixed with what is there
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, kw_only=True)
class CushionSettings:
    """Bounds and speed of the cushion."""

    min_s: float = 0.010
    """Shortest cushion."""

    max_s: float = 0.160
    """Longest cushion, two ticks: slower answers are heard late instead, and no original waits for them."""

    margin_s: float = 0.006
    """Between the deadline and the first packet: mixing, encoding, and the event loop's own lateness."""

    window_s: float = 10.0
    """The past that counts."""

    quantile: float = 0.99
    """Share of that past's answers the cushion waits for: a single hiccup is forgiven, two are not."""

    shrink_s_per_s: float = 0.010
    """How fast the cushion shrinks; a listener's own jitter buffer follows that without being heard."""


class Cushion:
    """The cushion of one meeting."""

    def __init__(self, settings: CushionSettings | None = None) -> None:
        self._settings = settings or CushionSettings()
        self._value_s = self._settings.min_s
        self._value_at_s: float | None = None
        self._recent: deque[tuple[float, float]] = deque()  # (when, readiness), oldest first
        self._sorted: list[float] = []  # readiness of the same

    @property
    def value_s(self) -> float:
        """The cushion of the next tick."""
        return self._value_s

    @property
    def deadline_s(self) -> float:
        """How long after its tick a mix waits for answers."""
        return self._value_s - self._settings.margin_s

    def observe(self, readiness_s: float, now_s: float) -> None:
        """Learns from one tick.

        Args:
            readiness_s: from the tick to its last answer. Longer than any cushion could wait for is ignored: such
                an answer is heard late whatever we do here, and must not hold back the originals.
            now_s: not before the `now_s` of earlier calls.
        """
        if readiness_s + self._settings.margin_s <= self._settings.max_s:
            self._recent.append((now_s, readiness_s))
            insort(self._sorted, readiness_s)
        while self._recent and self._recent[0][0] < now_s - self._settings.window_s:
            _, old = self._recent.popleft()
            del self._sorted[bisect_left(self._sorted, old)]
        self._move(readiness_s, now_s)

    def _move(self, readiness_s: float, now_s: float) -> None:
        elapsed_s = 0.0 if self._value_at_s is None else now_s - self._value_at_s
        self._value_at_s = now_s
        needed_s = readiness_s + self._settings.margin_s
        if self._value_s < needed_s <= self._settings.max_s:
            self._value_s = needed_s
            return
        floor_s = max(self._wanted_s(), self._value_s - self._settings.shrink_s_per_s * elapsed_s)
        self._value_s = min(self._value_s, floor_s)

    def _wanted_s(self) -> float:
        if not self._sorted:
            return self._settings.min_s
        rank = ceil(self._settings.quantile * len(self._sorted)) - 1
        return max(self._settings.min_s, self._sorted[rank] + self._settings.margin_s)
