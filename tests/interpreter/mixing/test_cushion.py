from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.mixing.cushion import Cushion, CushionSettings

TICK_S = 0.08
SETTINGS = CushionSettings()


def run(cushion: Cushion, readiness_s: list[float], start_s: float = 0.0) -> list[float]:
    values = []
    for n, seconds in enumerate(readiness_s):
        cushion.observe(seconds, start_s + n * TICK_S)
        values.append(cushion.value_s)
    return values


def test_quick_answers_keep_the_shortest_cushion() -> None:
    assert run(Cushion(), [0.002] * 500) == [SETTINGS.min_s] * 500


def test_a_late_answer_lengthens_it_at_once() -> None:
    cushion = Cushion()
    run(cushion, [0.002] * 10)
    cushion.observe(0.05, 1.0)
    assert cushion.value_s == pytest.approx(0.05 + SETTINGS.margin_s)
    assert cushion.deadline_s == pytest.approx(0.05)


def test_it_shrinks_slowly_once_the_late_answers_are_history() -> None:
    cushion = Cushion()
    run(cushion, [0.060] * 10)
    ticks = round(60.0 / TICK_S)
    values = run(cushion, [0.002] * ticks, start_s=1.0)
    first = next(n for n, value in enumerate(values) if value < 0.066)
    assert first * TICK_S == pytest.approx(SETTINGS.window_s, abs=1.0)
    assert values[-1] == SETTINGS.min_s
    for before, after in zip(values, values[1:], strict=False):
        assert before - after <= SETTINGS.shrink_s_per_s * TICK_S + 1e-9


def test_one_late_answer_among_very_many_is_forgotten_before_the_window_ends() -> None:
    cushion = Cushion()
    run(cushion, [0.002] * 249)
    cushion.observe(0.05, 20.0)
    values = run(cushion, [0.002] * 75, start_s=20.08)
    assert values[0] > 0.05
    assert values[-1] == SETTINGS.min_s


def test_two_late_answers_in_the_window_are_waited_for() -> None:
    cushion = Cushion()
    run(cushion, [0.002] * 200)
    cushion.observe(0.05, 16.0)
    cushion.observe(0.05, 20.0)
    assert min(run(cushion, [0.002] * 70, start_s=20.08)) == pytest.approx(0.05 + SETTINGS.margin_s)


def test_answers_no_cushion_could_wait_for_do_not_hold_up_the_originals() -> None:
    assert run(Cushion(), [0.3] * 100) == [SETTINGS.min_s] * 100


@given(st.lists(st.floats(0, 1), max_size=300), st.floats(0.006, 0.02), st.floats(0.02, 0.16))
def test_it_stays_within_its_bounds(readiness: list[float], low: float, high: float) -> None:
    cushion = Cushion(CushionSettings(min_s=low, max_s=high))
    for value in run(cushion, readiness):
        assert low <= value <= high
