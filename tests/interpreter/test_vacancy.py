"""When an interpreter leaves a meeting that nobody is in any more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interpreter.vacancy import Vacancy


def test_it_leaves_five_minutes_after_the_last_person_and_not_before() -> None:
    vacancy = Vacancy(leave_after_s=300.0, wait_s=3_600.0, now_s=10.0)
    assert not vacancy.over(0, 0, 3_000.0)
    assert not vacancy.over(2, 2, 3_500.0)
    assert not vacancy.over(2, 2, 5_000.0)
    assert not vacancy.over(0, 2, 5_299.0)
    assert not vacancy.over(1, 3, 5_299.5), "somebody came back"
    assert not vacancy.over(1, 3, 6_000.0)
    assert not vacancy.over(0, 3, 6_299.9)
    assert vacancy.over(0, 3, 6_300.0)
    assert vacancy.anybody_came


def test_it_waits_longer_for_the_first_person() -> None:
    vacancy = Vacancy(leave_after_s=300.0, wait_s=3_600.0, now_s=10.0)
    assert not vacancy.over(0, 0, 3_609.0)
    assert vacancy.over(0, 0, 3_610.0)
    assert not vacancy.anybody_came


def test_somebody_who_came_and_went_between_two_looks_was_there() -> None:
    vacancy = Vacancy(leave_after_s=300.0, wait_s=3_600.0, now_s=0.0)
    assert not vacancy.over(0, 1, 1.0)
    assert not vacancy.over(0, 1, 300.0)
    assert vacancy.over(0, 1, 301.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.5, 400.0)), max_size=30))
def test_it_never_leaves_anybody_and_always_leaves_nobody(steps: list[tuple[int, float]]) -> None:
    vacancy, now_s, seen_s, ever = Vacancy(leave_after_s=300.0, wait_s=1_000.0, now_s=0.0), 0.0, None, 0
    for people, after_s in steps:
        now_s += after_s
        ever += people
        if people:
            seen_s = now_s
        until_s = 1_000.0 if seen_s is None else seen_s + 300.0
        assert vacancy.over(people, ever, now_s) == (people == 0 and now_s >= until_s)
