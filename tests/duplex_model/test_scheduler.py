from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import TickGrid
from duplex_model.scheduler import Aside, Cost, Scheduler, Situation, Step, Wait, Work

GRID = TickGrid(origin_s=0.0)
JOIN = Aside(Work.PREFILL, 9)


def scheduler(*, step_s: float = 0.02, piece_s: float = 0.02) -> Scheduler:
    made = Scheduler(GRID, gather_s=0.01)
    for _ in range(50):
        made.done(Work.STEP, step_s)
        made.done(Work.PREFILL, piece_s)
    return made


def at(
    ready: Collection[int], asides: Sequence[Aside] = (), listening: Collection[int] = range(3)
) -> Situation:
    return Situation(listening=listening, ready=ready, asides=asides)


def heard(made: Scheduler, lanes: Collection[int], now_s: float = 0.0) -> None:
    """Lets `lanes` be those that were fed a tick ago, before tick 1."""
    assert made.decide(now_s, at(lanes)) == Step(tuple(lanes))


def test_a_tick_begins_as_soon_as_every_expected_frame_is_there() -> None:
    made = scheduler()
    heard(made, (0, 1, 2))
    assert made.decide(0.081, at([0, 2])) == Wait(GRID.time_of(1) + 0.01)
    assert made.decide(0.083, at([0, 1, 2])) == Step((0, 1, 2))


def test_a_tick_begins_without_the_frames_that_do_not_come() -> None:
    made = scheduler()
    heard(made, (0, 1, 2))
    assert made.decide(0.0901, at([0, 2])) == Step((0, 2))


def test_a_lane_that_nobody_feeds_keeps_nobody_waiting() -> None:
    made = scheduler()
    heard(made, (0, 1))
    assert made.decide(0.081, at([0, 1])) == Step((0, 1))


def test_a_closed_lane_keeps_nobody_waiting() -> None:
    made = scheduler()
    heard(made, (0, 1))
    assert made.decide(0.081, at([0], listening=[0])) == Step((0,))


def test_a_frame_that_comes_late_is_stepped_in_the_same_tick_if_the_next_one_is_not_delayed() -> None:
    made = scheduler(step_s=0.02)
    heard(made, (0, 1))
    assert made.decide(0.0901, at([0])) == Step((0,))
    assert made.decide(0.12, at([1])) == Step((1,))
    assert made.decide(0.149, at([1])) == Step((1,)), "it ends within the next tick's wait for frames"
    assert made.decide(0.151, at([1])) == Wait(GRID.time_of(2))


def test_lanes_that_are_all_behind_are_stepped_without_waiting_for_a_tick() -> None:
    made = scheduler(step_s=0.02)
    heard(made, (0,))
    assert made.decide(0.079, at([0])) == Step((0,))


def test_a_join_takes_only_time_that_is_spare() -> None:
    made = scheduler(step_s=0.02, piece_s=0.03)
    heard(made, (0,))
    assert made.decide(0.03, at([], [JOIN])) == JOIN
    assert made.decide(0.049, at([], [JOIN])) == JOIN
    assert made.decide(0.051, at([], [JOIN])) == Wait(GRID.time_of(1))


def test_a_join_leaves_room_for_the_late_frame_that_is_here() -> None:
    made = scheduler(step_s=0.02, piece_s=0.03)
    heard(made, (0, 1))
    assert made.decide(0.029, at([0], [JOIN])) == JOIN
    assert made.decide(0.031, at([0], [JOIN])) == Step((0,))


def test_a_join_takes_all_the_time_while_nobody_is_heard() -> None:
    made = scheduler(piece_s=0.5)
    assert made.decide(0.079, at([], [JOIN])) == JOIN


def test_work_that_does_not_fit_lets_shorter_work_pass() -> None:
    made = scheduler(piece_s=0.07)
    made.done(Work.COPY, 0.001)
    heard(made, (0,))
    copy = Aside(Work.COPY, 1)
    assert made.decide(0.03, at([], [JOIN, copy])) == copy


def test_a_lane_s_own_copy_cannot_make_it_late() -> None:
    made = scheduler()
    made.done(Work.COPY, 1.0)
    heard(made, (0,))
    assert made.decide(0.01, at([], [Aside(Work.COPY, 0)])) == Aside(Work.COPY, 0)
    assert made.decide(0.01, at([], [Aside(Work.COPY, 1)])) == Wait(GRID.time_of(1))


def test_nothing_to_do_waits_for_whatever_is_asked() -> None:
    assert scheduler().decide(0.5, at([])) == Wait(inf)


def test_an_overrun_tick_is_followed_by_the_one_in_progress() -> None:
    made = scheduler(step_s=0.1)
    heard(made, (0, 1))
    assert made.decide(0.1, at([0, 1])) == Step((0, 1))
    assert made.decide(0.2, at([0, 1])) == Step((0, 1))


def test_forgotten_work_is_tried_again_in_half_a_tick() -> None:
    made = scheduler(piece_s=1.0)
    made.forget(Work.PREFILL)
    heard(made, (0,))
    assert made.decide(0.03, at([], [JOIN])) == JOIN


def test_the_cost_of_steady_work_comes_down_to_the_work() -> None:
    cost = Cost(assumed_s=1.0)
    assert cost.at_most_s == 1.0
    for _ in range(100):
        cost.add(0.02)
    assert cost.at_most_s == pytest.approx(0.02, rel=0.01)


@given(st.lists(st.floats(0.001, 0.05), min_size=1, max_size=100))
def test_the_cost_is_never_below_the_quickest_seen(measured: list[float]) -> None:
    cost = Cost(assumed_s=1.0)
    for took_s in measured:
        cost.add(took_s)
    assert cost.at_most_s >= min(measured) * (1 - 1e-9)


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 3)), st.booleans(), st.floats(0.0005, 0.03)),
        min_size=1,
        max_size=200,
    )
)
def test_nothing_begun_in_spare_time_is_expected_to_delay_the_next_tick_s_batch(
    moments: list[tuple[set[int], bool, float]],
) -> None:
    made = scheduler(step_s=0.015, piece_s=0.01)
    now_s, gathered = 0.0, -1
    for ready, joining, passes_s in moments:
        situation = at(sorted(ready), [JOIN] if joining else [], listening=range(4))
        tick = made.grid.tick_at(now_s)
        expected = {lane for lane in range(4) if made._tick_heard.get(lane, -2) >= tick - 1}
        action = made.decide(now_s, situation)
        room_s = GRID.time_of(tick + 1) - now_s
        match action:
            case Step(lanes):
                assert set(lanes) == ready, "whoever has a frame is in the batch"
                assert (
                    tick > gathered or expected <= ready or made.cost_s(Work.STEP) <= room_s + made.gather_s
                )
                gathered = tick
            case Aside(work, _):
                assert joining
                assert not expected or made.cost_s(work) <= room_s
            case Wait(until_s):
                assert until_s > now_s
        now_s += passes_s


@given(st.integers(0, 10**7))
def test_a_tick_begins_at_its_own_time(tick: int) -> None:
    made = Scheduler(TickGrid(origin_s=100.0), gather_s=0.01)
    assert made.grid.tick_at(made.grid.time_of(tick)) == tick


def unpaced() -> Scheduler:
    return Scheduler(GRID, gather_s=0.01, paced=False)


def test_where_nothing_is_paced_no_tick_is_waited_for() -> None:
    made = unpaced()
    made.done(Work.STEP, 10.0)  # however long a step takes
    for now_s in (0.0, 0.001, 0.079, 0.08):
        assert made.decide(now_s, at([0, 1, 2], listening=[0, 1, 2])) == Step((0, 1, 2))
        assert made.decide(now_s, at([], [JOIN])) == JOIN
        assert made.decide(now_s, at([])) == Wait(inf)


def test_where_nothing_is_paced_frames_on_their_way_are_waited_for_a_little() -> None:
    made = unpaced()
    assert made.decide(1.0, at([0, 1])) == Step((0, 1))
    assert made.decide(2.0, at([0])) == Wait(2.01)
    assert made.decide(2.002, at([0], [JOIN])) == Wait(2.01), "frames come before joins"
    assert made.decide(2.003, at([0, 1])) == Step((0, 1))
    assert made.decide(3.0, at([1])) == Wait(3.01)
    assert made.decide(3.01, at([1])) == Step((1,))
    assert made.decide(4.0, at([1])) == Step((1,)), "who did not come is no longer waited for"
    assert made.decide(5.0, at([0], listening=[0])) == Step((0,)), "nor who is gone"
