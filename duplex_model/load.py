"""How busy an engine is: step times over the last minute or so, and what went wrong since it started."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil

WINDOW_STEPS = 1000
"""Steps that percentiles look back on: 80 s of ticks."""

ADMISSION_STEPS = 100
"""Steps measured before they may refuse anybody; a p99 of fewer is their maximum."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """An engine at one moment. Counts are since its start."""

    lanes: int
    lanes_used: int
    """Opening sessions included."""

    opening: int
    """Sessions whose prompt is not in yet."""

    steps: int
    """Batches stepped."""

    step_p50_s: float
    """Of the last `WINDOW_STEPS` batches, from the first frame copied to the outputs in the host's memory."""

    step_p99_s: float
    step_max_s: float
    late_frames: int
    """Stepped after the tick in which they were fed."""

    dropped_frames: int
    """Answered with silence and never heard, for their lane was too far behind."""

    failed_sessions: int


@dataclass
class LoadMeter:
    """Counts and measures; the engine's thread is its only writer."""

    late_frames: int = 0
    dropped_frames: int = 0
    failed_sessions: int = 0
    steps: int = 0
    _recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_STEPS))

    def stepped(self, took_s: float) -> None:
        """Counts one batch."""
        self.steps += 1
        self._recent_s.append(took_s)

    def slower_than(self, limit_s: float) -> bool:
        """Whether the 99th percentile of enough steps lies above `limit_s`."""
        return len(self._recent_s) >= ADMISSION_STEPS and percentile(list(self._recent_s), 99) > limit_s

    def read(self, *, lanes: int, lanes_used: int, opening: int) -> Load:
        """The figures so far, beside those of the lanes."""
        recent_s = list(self._recent_s)
        return Load(
            lanes=lanes,
            lanes_used=lanes_used,
            opening=opening,
            steps=self.steps,
            step_p50_s=percentile(recent_s, 50),
            step_p99_s=percentile(recent_s, 99),
            step_max_s=max(recent_s, default=0.0),
            late_frames=self.late_frames,
            dropped_frames=self.dropped_frames,
            failed_sessions=self.failed_sessions,
        )


def percentile(values: list[float], percent: float) -> float:
    """The least value that at least `percent` of `values` do not exceed (nearest rank); 0 of none."""
    if not values:
        return 0.0
    rank = ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]
