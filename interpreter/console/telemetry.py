"""What is counted and timed over all meetings of a process, as Prometheus reads it. Pure.

The text is that of the exposition format, version 0.0.4. Nothing in it tells who said what: directions are pairs of
languages, and rooms are not named.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TICK_BUCKETS_S = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.16, 0.32)
"""A tick has 0.08 s."""

SPAN_BUCKETS_S = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 20.0, 40.0)
YIELD_BUCKETS_S = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2.0, 3.0)

RECENT_S = 60.0
"""Of an engine's steps, for the console."""


class Buckets:
    """A histogram of seconds.

    Args:
        bounds: upper ends of the buckets, ascending; what is above them all is counted too.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Counts one."""
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.sum_s += seconds

    @property
    def count(self) -> int:
        """How many."""
        return sum(self._counts)

    def cumulative(self) -> list[int]:
        """How many at most as long as each bound, then all."""
        counts, total = [], 0
        for count in self._counts:
            total += count
            counts.append(total)
        return counts


@dataclass(frozen=True, kw_only=True)
class RecentSteps:
    """An engine's steps of the last minute."""

    p50_ms: float = 0.0
    p95_ms: float = 0.0
    busy: float = 0.0
    """Share of the time."""


class EngineSteps:
    """Steps of one engine, each told once for every lane in it, by any of its meetings."""

    def __init__(self) -> None:
        self.ticks = Buckets(TICK_BUCKETS_S)
        self._recent: OrderedDict[float, float] = OrderedDict()  # when it began -> how long it took

    def add(self, started_s: float, duration_s: float) -> None:
        """A lane's step that began then."""
        if started_s in self._recent:
            return
        self.ticks.add(duration_s)
        self._recent[started_s] = duration_s
        while next(iter(self._recent)) < started_s - RECENT_S:
            self._recent.popitem(last=False)

    def recent(self, now_s: float) -> RecentSteps:
        """The last minute's."""
        durations = sorted(took for began, took in self._recent.items() if began >= now_s - RECENT_S)
        if not durations:
            return RecentSteps()
        return RecentSteps(
            p50_ms=round(1000 * durations[len(durations) // 2], 1),
            p95_ms=round(1000 * durations[int(0.95 * (len(durations) - 1))], 1),
            busy=round(min(1.0, sum(durations) / RECENT_S), 3),
        )


@dataclass(eq=False)
class Telemetry:
    """Counters and histograms of the process, which only grow."""

    engines: dict[str, EngineSteps] = field(default_factory=lambda: defaultdict(EngineSteps))
    spans: dict[str, Buckets] = field(default_factory=lambda: defaultdict(lambda: Buckets(SPAN_BUCKETS_S)))
    """By pair of languages."""

    yields: Buckets = field(default_factory=lambda: Buckets(YIELD_BUCKETS_S))
    """From the onset of a listener's voice to the rendering's silence."""

    backchannels: Counter[str] = field(default_factory=Counter)
    """`ignored`: a voice over a rendering that was no interruption; `yielded`: one that was taken for one."""

    fact_mismatches: int = 0
    disclosures: int = 0
    consoles_back: int = 0
    """How often a console came back."""


@dataclass(frozen=True, kw_only=True)
class Gauges:
    """What is so at the moment."""

    sessions: Mapping[str, int]
    """Engine -> its open sessions."""

    lanes: Mapping[str, int]
    jitter_ms: Sequence[float]
    """Of every track whose room tells."""

    engine_s: float
    """Seconds that engines stepped for meetings, since the process began."""

    people_back: int
    """How often somebody in a room came back after their connection was lost, since the process began."""

    rooms: int
    people: int


def exposition(telemetry: Telemetry, gauges: Gauges) -> str:
    """The text that Prometheus scrapes."""
    lines: list[str] = []
    _histograms(
        lines,
        "interp_tick_seconds",
        "Duration of an engine's step; a tick has 0.08 s.",
        {_labels(engine=name): steps.ticks for name, steps in telemetry.engines.items()},
    )
    _plain(lines, "interp_sessions", "gauge", "Open sessions.", _by_engine(gauges.sessions))
    _plain(lines, "interp_lanes", "gauge", "Sessions that may be open at once.", _by_engine(gauges.lanes))
    _plain(lines, "interp_rooms", "gauge", "Rooms that are interpreted in.", {"": gauges.rooms})
    _plain(lines, "interp_participants", "gauge", "People in them.", {"": gauges.people})
    _histograms(
        lines,
        "interp_ear_voice_span_seconds",
        "From the beginning of what is said to the beginning of its rendering.",
        {_labels(direction=pair): spans for pair, spans in telemetry.spans.items()},
    )
    _histograms(
        lines,
        "interp_yield_seconds",
        "From the onset of a listener's voice to the silence of the rendering that gave way.",
        {"": telemetry.yields},
    )
    _plain(
        lines,
        "interp_backchannels_total",
        "counter",
        "Voices of listeners over a rendering: ignored as no interruption, or yielded to.",
        {_labels(outcome=name): telemetry.backchannels[name] for name in ("ignored", "yielded")},
    )
    _plain(
        lines,
        "interp_fact_mismatch_total",
        "counter",
        "Critical facts that were rendered as others.",
        {"": telemetry.fact_mismatches},
    )
    _jitter(lines, gauges.jitter_ms)
    _plain(
        lines,
        "interp_ws_reconnects_total",
        "counter",
        "Pages that came back.",
        {_labels(page="console"): telemetry.consoles_back, _labels(page="room"): gauges.people_back},
    )
    _plain(
        lines,
        "interp_gpu_seconds_total",
        "counter",
        "Seconds that engines stepped for meetings.",
        {"": round(gauges.engine_s, 3)},
    )
    _plain(
        lines,
        "interp_disclosures_total",
        "counter",
        "Notices of what the interpreter is.",
        {"": telemetry.disclosures},
    )
    return "\n".join(lines) + "\n"


def _jitter(lines: list[str], delays_ms: Sequence[float]) -> None:
    values = {}
    if delays_ms:
        mean_ms = sum(delays_ms) / len(delays_ms)
        values = {_labels(of="mean"): round(mean_ms, 1), _labels(of="max"): round(max(delays_ms), 1)}
    _plain(lines, "interp_jitter_buffer_ms", "gauge", "Delay of the tracks' jitter buffers.", values)


def _by_engine(values: Mapping[str, int]) -> dict[str, float]:
    return {_labels(engine=name): value for name, value in values.items()}


def _plain(lines: list[str], name: str, kind: str, help_text: str, values: Mapping[str, float]) -> None:
    lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{labels} {value}" for labels, value in values.items()]


def _histograms(lines: list[str], name: str, help_text: str, values: Mapping[str, Buckets]) -> None:
    lines += [f"# HELP {name} {help_text}", f"# TYPE {name} histogram"]
    for labels, buckets in values.items():
        inner = labels.strip("{}")
        bounds = [*(f"{bound:g}" for bound in buckets.bounds), "+Inf"]
        for bound, count in zip(bounds, buckets.cumulative(), strict=True):
            both = ",".join(filter(None, (inner, f'le="{bound}"')))
            lines.append(f"{name}_bucket{{{both}}} {count}")
        lines += [f"{name}_sum{labels} {round(buckets.sum_s, 6)}", f"{name}_count{labels} {buckets.count}"]


def _labels(**values: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
