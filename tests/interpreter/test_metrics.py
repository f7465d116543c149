from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.metrics import Count, Histogram, Metrics, Quantiles, Stage, table


@pytest.mark.slow
@given(st.lists(st.floats(0.06, 12_000.0), min_size=1, max_size=500))
def test_quantiles_are_within_five_percent(durations_ms: list[float]) -> None:
    histogram = Histogram()
    for duration in durations_ms:
        histogram.add(duration)
    q = histogram.quantiles()
    exact = np.quantile(durations_ms, [0.5, 0.95, 0.99], method="inverted_cdf")
    assert [q.p50_ms, q.p95_ms, q.p99_ms] == pytest.approx(list(exact), rel=0.05)
    assert q.max_ms == max(durations_ms)
    assert q.count == len(durations_ms)


def test_an_empty_histogram_is_all_zero() -> None:
    assert Histogram().quantiles() == Quantiles(count=0, p50_ms=0, p95_ms=0, p99_ms=0, max_ms=0)


def test_what_lies_outside_counts_at_the_ends() -> None:
    histogram = Histogram()
    for duration in (-3.0, 0.0, 1e9):
        histogram.add(duration)
    q = histogram.quantiles()
    assert q.p50_ms == 0.0
    assert q.p99_ms > 10_000.0
    assert q.count == 3


def test_a_snapshot_no_longer_changes() -> None:
    metrics = Metrics()
    metrics.took(Stage.MIX, 0.001)
    metrics.count(Count.TICKS, 2)
    before = metrics.snapshot()
    metrics.took(Stage.MIX, 1.0)
    metrics.count(Count.TICKS)
    assert before.stages[Stage.MIX].max_ms == 1.0
    assert before.counts[Count.TICKS] == 2


def test_the_table_shows_what_happened_and_nothing_else() -> None:
    metrics = Metrics()
    metrics.took(Stage.MIX, 0.002)
    metrics.count(Count.SKIPPED_TICKS, 3)
    text = "\n".join(table(metrics.snapshot()))
    assert "mix" in text
    assert "skipped_ticks 3" in text
    assert "engine_step" not in text
    assert "late_plays" not in text
