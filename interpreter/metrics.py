"""How long each part of a frame's journey takes, and what went wrong how often.

A `Metrics` belongs to one meeting and is used on its event loop. Its size does not depend on the meeting's length.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil


class Stage(enum.Enum):
    """A part of the journey, in milliseconds; rows of the journey's table in ARCHITECTURE.md."""

    CAPTURE_TO_PULL = "capture_to_pull"
    """From the capture of a frame's last sample to the tick it was pulled at: network, jitter buffer, phase wait."""

    TICK_LATENESS = "tick_lateness"
    """From a tick to the event loop's wake-up."""

    ENGINE_QUEUE = "engine_queue"
    """From the engine's taking a frame to the start of its step."""

    ENGINE_STEP = "engine_step"
    """The step itself."""

    ENGINE_TRANSPORT = "engine_transport"
    """The rest of the way from `feed` to the output's delivery: processes, pipes, threads."""

    READINESS = "readiness"
    """From a tick to its last output."""

    MIX = "mix"
    """Mixing and handing over all listeners' frames."""

    SPARE = "spare"
    """From the hand-over to the moment the first packet is due: what is left of the cushion."""

    CUSHION = "cushion"
    """From a tick to the first packet of its mix."""

    RENDERING_LAG = "rendering_lag"
    """How much later than its tick a rendering is mixed."""

    HELD = "held"
    """How much later a rendering is heard than without a floor: it waited for a turn's end, or for a voice over it."""

    CAPTURE_TO_PLAY = "capture_to_play"
    """From the capture of an original's sample to its leaving for the listeners, the limiter's delay included."""


class Count(enum.Enum):
    """Something that happened to the media."""

    TICKS = "ticks"
    SKIPPED_TICKS = "skipped_ticks"
    MIXES_WITHOUT_ANSWER = "mixes_without_answer"
    MIXES_MISSED = "mixes_missed"
    LATE_PLAYS = "late_plays"
    RENDERING_UNDERRUNS = "rendering_underruns"
    RENDERINGS_CAUGHT_UP = "renderings_caught_up"
    RENDERINGS_DROPPED = "renderings_dropped"
    CONCEALED_SAMPLES = "concealed_samples"
    RECOVERED_SAMPLES = "recovered_samples"
    FRAMES_MISHEARD = "frames_misheard"
    SESSIONS_OPENED = "sessions_opened"
    SESSIONS_FAILED = "sessions_failed"
    PARTICIPANTS_ISOLATED = "participants_isolated"
    PARTICIPANTS_BACK = "participants_back"
    """They had lost their connection, and came back."""


_STEPS_PER_OCTAVE = 8  # bins 9 % wide: a quantile is off by 5 % at most
_FIRST_MS = 0.05
_EDGES_MS = tuple(
    _FIRST_MS * 2.0 ** (i / _STEPS_PER_OCTAVE) for i in range(18 * _STEPS_PER_OCTAVE + 1)
)  # to 13 s


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Summary of one stage, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Histogram:
    """Durations in logarithmic bins from 0.05 ms to 13 s; what lies outside counts in the outermost bins."""

    def __init__(self) -> None:
        self._bins = [0] * (len(_EDGES_MS) + 1)
        self._count = 0
        self._max_ms = 0.0

    def add(self, duration_ms: float) -> None:
        """Counts one duration; negative ones count as zero."""
        self._bins[bisect_right(_EDGES_MS, duration_ms)] += 1
        self._count += 1
        self._max_ms = max(self._max_ms, duration_ms)

    def quantiles(self) -> Quantiles:
        """The summary of everything added so far; all zero when nothing was."""
        return Quantiles(
            count=self._count,
            p50_ms=self._quantile_ms(0.50),
            p95_ms=self._quantile_ms(0.95),
            p99_ms=self._quantile_ms(0.99),
            max_ms=self._max_ms,
        )

    def _quantile_ms(self, share: float) -> float:
        rank = ceil(share * self._count)
        if rank == 0:
            return 0.0
        seen = 0
        for index, count in enumerate(self._bins):
            seen += count
            if seen >= rank:
                return min(_middle_ms(index), self._max_ms)
        raise AssertionError("bins hold fewer durations than were added")


def _middle_ms(index: int) -> float:
    """The duration a bin stands for: the geometric middle of its edges."""
    if index == 0:
        return 0.0
    return float(_EDGES_MS[min(index, len(_EDGES_MS) - 1) - 1] * 2.0 ** (0.5 / _STEPS_PER_OCTAVE))


@dataclass(frozen=True, kw_only=True)
class MetricsSnapshot:
    """Everything measured so far."""

    stages: Mapping[Stage, Quantiles]
    counts: Mapping[Count, int]


class Metrics:
    """Histograms and counters of one meeting."""

    def __init__(self) -> None:
        self._stages = {stage: Histogram() for stage in Stage}
        self._counts: Counter[Count] = Counter()

    def took(self, stage: Stage, duration_s: float) -> None:
        """Adds one duration, given in seconds as all times inside."""
        self._stages[stage].add(duration_s * 1000.0)

    def count(self, what: Count, by: int = 1) -> None:
        """Adds to a counter."""
        self._counts[what] += by

    def counted(self, what: Count) -> int:
        """A counter."""
        return self._counts[what]

    def snapshot(self) -> MetricsSnapshot:
        """A copy that no longer changes."""
        return MetricsSnapshot(
            stages={stage: histogram.quantiles() for stage, histogram in self._stages.items()},
            counts={what: self._counts[what] for what in Count},
        )


def table(snapshot: MetricsSnapshot) -> list[str]:
    """`snapshot` as lines of text for a terminal; stages nothing passed through are left out."""
    lines = [f"{'stage':<18}{'count':>9}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}  ms"]
    for stage, q in snapshot.stages.items():
        if q.count:
            row = "".join(f"{value:9.1f}" for value in (q.p50_ms, q.p95_ms, q.p99_ms, q.max_ms))
            lines.append(f"{stage.value:<18}{q.count:9d}{row}")
    happened = ", ".join(f"{what.value} {n}" for what, n in snapshot.counts.items() if n)
    return [*lines, happened or "nothing counted"]
