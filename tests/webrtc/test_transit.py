"""Base, quantile and peak of transit times."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.transit import (
    BASE_WINDOW_S,
    MARGIN_S,
    MAX_TARGET_S,
    QUANTILE_WINDOW_S,
    RELEASE_S_PER_S,
    TransitEstimator,
)


def fed(transits_s: list[float], start_s: float = 0.0) -> TransitEstimator:
    estimator = TransitEstimator()
    for n, transit_s in enumerate(transits_s):
        estimator.add(start_s + 0.02 * n, transit_s)
    return estimator


def test_before_the_first_packet_there_is_no_base() -> None:
    assert TransitEstimator().base_s is None
    assert TransitEstimator().target_s(0.0) == MARGIN_S


def test_without_jitter_the_target_is_the_margin() -> None:
    assert fed([5.0] * 100).target_s(2.0) == pytest.approx(MARGIN_S)


def test_the_base_is_the_smallest_transit_and_forgets() -> None:
    estimator = fed([5.0, 4.9, 5.0, 5.0])
    assert estimator.base_s == 4.9
    estimator.add(BASE_WINDOW_S + 1, 5.2)
    assert estimator.base_s == 5.2


def test_steady_jitter_is_covered_up_to_its_95_percent_quantile() -> None:
    chance = random.Random(0)
    target_s = fed([5.0 + 0.04 * chance.random() for _ in range(500)]).target_s(10.0)
    assert target_s == pytest.approx(MARGIN_S + 0.95 * 0.04, abs=0.004)


def test_a_single_stall_raises_the_peak_only_and_is_released() -> None:
    stall_s = [5.0 + 0.1 - 0.02 * n for n in range(5)]
    estimator = fed([5.0] * 100 + stall_s + [5.0] * 10)
    at_s = 2.0
    assert estimator.target_s(at_s) == pytest.approx(0.1, abs=0.001)
    assert estimator.target_s(at_s + 0.5) == pytest.approx(0.1 - 0.5 * RELEASE_S_PER_S, abs=0.001)
    assert estimator.target_s(at_s + 1.5) == pytest.approx(MARGIN_S)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_the_target_is_bounded_and_comes_back(transits_s: list[float]) -> None:
    estimator = fed(transits_s)
    end_s = 0.02 * len(transits_s)
    assert MARGIN_S <= estimator.target_s(end_s) <= MAX_TARGET_S
    for n in range(int((BASE_WINDOW_S + QUANTILE_WINDOW_S) / 0.02)):
        estimator.add(end_s + 0.02 * n, 5.0)
    assert estimator.target_s(end_s + BASE_WINDOW_S + QUANTILE_WINDOW_S) == pytest.approx(MARGIN_S)
