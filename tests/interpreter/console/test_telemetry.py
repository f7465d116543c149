"""What Prometheus reads, and the ear-voice spans it is made of."""

from __future__ import annotations

import re

import pytest

from interpreter.console.spans import Spans
from interpreter.console.telemetry import EngineSteps, Gauges, RecentSteps, Telemetry, exposition

GAUGES = Gauges(
    sessions={"engine": 3},
    lanes={"engine": 4},
    jitter_ms=(40.0, 60.0),
    engine_s=12.3456,
    people_back=7,
    rooms=1,
    people=2,
)
NAMES = {
    "interp_tick_seconds",
    "interp_sessions",
    "interp_ear_voice_span_seconds",
    "interp_yield_seconds",
    "interp_backchannels_total",
    "interp_fact_mismatch_total",
    "interp_jitter_buffer_ms",
    "interp_ws_reconnects_total",
    "interp_gpu_seconds_total",
    "interp_disclosures_total",
}
"""Of facts/product.md 6c."""

SAMPLE = re.compile(r'([a-z_]+)(\{([a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+-]+|\+Inf|NaN)')


def text(telemetry: Telemetry) -> str:
    return exposition(telemetry, GAUGES)


def test_every_line_is_one_of_the_format_and_every_name_is_there() -> None:
    telemetry = Telemetry()
    telemetry.engines['a"b\\c\nd'].add(1.0, 0.03)
    telemetry.spans["es>en"].add(1.7)
    telemetry.yields.add(0.6)
    for line in text(telemetry).splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+", line) or SAMPLE.fullmatch(line), line
    typed = re.findall(r"# TYPE (\S+) (\S+)", text(telemetry))
    assert {name for name, _ in typed} >= NAMES
    assert len(dict(typed)) == len(typed), "each once"
    for name, kind in typed:
        assert (kind == "counter") is name.endswith("_total")


def test_histograms_are_cumulative_and_end_with_all() -> None:
    telemetry = Telemetry()
    for span_s in (0.4, 1.7, 1.7, 99.0):
        telemetry.spans["es>en"].add(span_s)
    lines = text(telemetry).splitlines()
    beginning = 'interp_ear_voice_span_seconds_bucket{direction="es>en"'
    counts = [int(line.split()[-1]) for line in lines if line.startswith(beginning)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 4)
    assert 'interp_ear_voice_span_seconds_count{direction="es>en"} 4' in lines
    assert 'interp_ear_voice_span_seconds_sum{direction="es>en"} 102.8' in lines
    assert 'interp_tick_seconds_bucket{engine="engine",le="0.08"} 1' not in lines


def test_counters_and_gauges_say_what_there_is() -> None:
    telemetry = Telemetry(fact_mismatches=2, disclosures=5)
    telemetry.backchannels["ignored"] += 3
    telemetry.engines["engine"].add(1.0, 0.05)
    lines = text(telemetry).splitlines()
    for line in (
        "interp_fact_mismatch_total 2",
        "interp_disclosures_total 5",
        'interp_backchannels_total{outcome="ignored"} 3',
        'interp_backchannels_total{outcome="yielded"} 0',
        'interp_sessions{engine="engine"} 3',
        'interp_jitter_buffer_ms{of="mean"} 50.0',
        'interp_jitter_buffer_ms{of="max"} 60.0',
        "interp_gpu_seconds_total 12.346",
        'interp_ws_reconnects_total{page="room"} 7',
        'interp_tick_seconds_bucket{engine="engine",le="0.05"} 1',
        'interp_tick_seconds_bucket{engine="engine",le="0.04"} 0',
    ):
        assert line in lines


def test_a_step_of_many_lanes_is_one_step() -> None:
    steps = EngineSteps()
    for started_s in (1.0, 1.08, 1.16):
        for _ in range(16):
            steps.add(started_s, 0.04)
    assert steps.ticks.count == 3
    assert steps.recent(2.0) == RecentSteps(p50_ms=40.0, p95_ms=40.0, busy=0.002)


def test_only_the_last_minute_is_recent() -> None:
    steps = EngineSteps()
    for n in range(2_000):
        steps.add(0.08 * n, 0.02 if n < 1_000 else 0.06)
    assert steps.recent(160.0).p50_ms == 60.0
    assert steps.recent(160.0).busy == pytest.approx(0.75, abs=0.01)
    assert len(steps._recent) < 760
    assert steps.recent(1_000.0) == RecentSteps()


def test_a_span_is_from_the_beginning_of_what_is_said_to_that_of_its_rendering() -> None:
    spans = Spans()
    spans.speaker_begins(10.0)
    assert spans.rendering_begins(11.5) == 1.5
    assert (spans.span.now_s, spans.span.p50_s, spans.span.count) == (1.5, 1.5, 1)
    assert spans.rendering_begins(12.0) is None, "nothing new was said"


def test_what_was_said_in_pieces_counts_from_the_first() -> None:
    spans = Spans()
    for at_s in (10.0, 11.0, 12.0):
        spans.speaker_begins(at_s)
    assert spans.rendering_begins(12.5) == 2.5
    assert spans.rendering_begins(14.0) is None


def test_what_was_begun_well_before_a_rendering_ended_is_in_it() -> None:
    spans = Spans()
    spans.speaker_begins(10.0)
    spans.rendering_begins(11.0)
    spans.speaker_begins(12.0)
    spans.speaker_begins(13.5)
    spans.rendering_ends(14.0)
    assert spans.rendering_begins(15.0) == 1.5, "of what was begun last alone"


def test_what_was_never_rendered_is_given_up() -> None:
    spans = Spans()
    spans.speaker_begins(10.0)
    assert spans.rendering_begins(100.0) is None


def test_the_quantiles_are_of_the_last_ones() -> None:
    spans = Spans()
    for n in range(1, 101):
        spans.speaker_begins(100.0 * n)
        spans.rendering_begins(100.0 * n + 0.1 * n)
    assert (spans.span.p50_s, spans.span.p95_s, spans.span.count) == (5.1, 9.5, 100)
