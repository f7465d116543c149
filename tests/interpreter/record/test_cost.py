"""What interpreting costs, to the cent and to the lane."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.directions import Direction
from interpreter.record.cost import CostMeter, Price

ANA_EN, BEN_ES, EVA_FR = (
    Direction("ana", "es", "en"),
    Direction("ben", "en", "es"),
    Direction("eva", "en", "fr"),
)
PRICE = Price(per_gpu_hour=Decimal("3.60"), currency="EUR")  # a thousandth a second


def test_the_lanes_of_a_step_share_it() -> None:
    meter = CostMeter(0.0, PRICE)
    for direction in (ANA_EN, BEN_ES, EVA_FR):
        meter.add_step(direction, 0.030, started_s=1.0)
    meter.add_step(ANA_EN, 0.020, started_s=1.08)
    account = meter.snapshot(10.0)
    assert account.engine_s == pytest.approx(0.050)
    assert account.directions[ANA_EN].engine_s == pytest.approx(0.030)
    assert account.directions[BEN_ES].engine_s == pytest.approx(0.010)
    assert account.directions[ANA_EN].served_s == pytest.approx(0.16)
    assert account.load == pytest.approx(0.005)


def test_steps_whose_answers_come_in_each_others_midst_are_told_apart() -> None:
    meter = CostMeter(0.0)
    for direction, started_s in ((ANA_EN, 1.0), (ANA_EN, 1.08), (BEN_ES, 1.0), (BEN_ES, 1.08)):
        meter.add_step(direction, 0.040, started_s)
    account = meter.snapshot(2.0)
    assert account.engine_s == pytest.approx(0.080)
    assert account.directions[ANA_EN].engine_s == account.directions[BEN_ES].engine_s == pytest.approx(0.040)


def test_money_is_of_what_was_used_and_of_what_was_held() -> None:
    meter = CostMeter(100.0, PRICE)
    for tick in range(1_000):
        meter.add_step(ANA_EN, 0.020, started_s=100.0 + 0.08 * tick)
    meter.rendered(ANA_EN, 30.0)
    account = meter.snapshot(220.0)
    assert account.money == pytest.approx(Decimal("0.02"))
    assert account.money_held == pytest.approx(Decimal("0.12"))
    assert account.money_per_minute == pytest.approx(Decimal("0.04"))
    assert account.money_held_per_minute == pytest.approx(Decimal("0.24"))
    assert account.directions[ANA_EN].money == pytest.approx(Decimal("0.02"))
    assert account.currency == "EUR"
    assert account.interpreted_s == 30.0


def test_without_a_price_there_is_no_money() -> None:
    meter = CostMeter(0.0)
    meter.add_step(ANA_EN, 0.020, started_s=0.0)
    meter.rendered(ANA_EN, 30.0)
    account = meter.snapshot(60.0)
    assert account.money is account.money_held is account.money_per_minute is account.currency is None
    assert account.directions[ANA_EN].money is None
    assert account.engine_s == pytest.approx(0.020)


def test_before_anything_was_interpreted_a_minute_has_no_price() -> None:
    account = CostMeter(5.0, PRICE).snapshot(5.0)
    assert account.money_per_minute is account.money_held_per_minute is account.load is None
    assert (account.money, account.money_held, dict(account.directions)) == (0, 0, {})


def test_looking_changes_nothing() -> None:
    meter = CostMeter(0.0, PRICE)
    meter.add_step(ANA_EN, 0.040, started_s=1.0)
    first = meter.snapshot(3.0)
    assert meter.snapshot(3.0) == first
    meter.add_step(BEN_ES, 0.040, started_s=1.0)
    assert first.directions[ANA_EN].engine_s == pytest.approx(0.040)
    assert meter.snapshot(3.0).directions[ANA_EN].engine_s == pytest.approx(0.020)


@given(
    st.lists(
        st.tuples(st.floats(0.001, 0.2), st.sets(st.sampled_from([ANA_EN, BEN_ES, EVA_FR]), min_size=1)),
        max_size=150,
    )
)
def test_shares_add_up_to_the_engines_time(steps: list[tuple[float, set[Direction]]]) -> None:
    meter = CostMeter(0.0, PRICE)
    for number, (duration_s, lanes) in enumerate(steps):
        for direction in sorted(lanes):
            meter.add_step(direction, duration_s, started_s=float(number))
    account = meter.snapshot(1_000.0)
    total_s = sum(duration_s for duration_s, _ in steps)
    assert account.engine_s == pytest.approx(total_s)
    assert sum(one.engine_s for one in account.directions.values()) == pytest.approx(total_s)
    for direction in (ANA_EN, BEN_ES, EVA_FR):
        expected_s = sum(duration_s / len(lanes) for duration_s, lanes in steps if direction in lanes)
        assert direction not in account.directions or account.directions[direction].engine_s == pytest.approx(
            expected_s
        )


def test_an_answer_that_comes_after_64_further_steps_counts_as_a_step_of_its_own() -> None:
    for later, expected_s in ((63, 0.64), (64, 0.66)):
        meter = CostMeter(0.0)
        for number in range(later + 1):
            meter.add_step(ANA_EN, 0.010, started_s=float(number))
        meter.add_step(BEN_ES, 0.010, started_s=0.0)
        assert meter.snapshot(400.0).engine_s == pytest.approx(expected_s)
