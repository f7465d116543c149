from __future__ import annotations

import asyncio

import pytest

from duplex_model.contract import TickGrid
from interpreter.clock import FrameClock, ManualClock, MonotonicClock, Tick


async def collect(clock: ManualClock, grid: TickGrid, ticks: list[Tick]) -> None:
    async for tick in FrameClock(grid, clock):
        ticks.append(tick)


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = ManualClock()
    woken: list[tuple[float, float]] = []

    async def sleeper(deadline_s: float) -> None:
        await clock.sleep_until(deadline_s)
        woken.append((deadline_s, clock.now_s()))

    tasks = [asyncio.create_task(sleeper(t)) for t in (3.0, 1.0, 2.0, 9.0)]
    await clock.advance_to(5.0)
    assert woken == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert clock.now_s() == 5.0
    tasks[3].cancel()
    await clock.advance_to(10.0)
    assert len(woken) == 3


async def test_what_a_sleeper_does_next_happens_at_its_own_time() -> None:
    clock = ManualClock()
    times: list[float] = []

    async def chain() -> None:
        for _ in range(3):
            await clock.sleep_until(clock.now_s() + 0.5)
            times.append(clock.now_s())

    task = asyncio.create_task(chain())
    await clock.advance_to(10.0)
    assert times == [0.5, 1.0, 1.5]
    await task


async def test_ticks_follow_the_grid_without_drift() -> None:
    clock, grid, ticks = ManualClock(7.0), TickGrid(origin_s=1.23), []
    task = asyncio.create_task(collect(clock, grid, ticks))
    await clock.advance(60.0)
    task.cancel()
    first = grid.next_tick(7.0)
    assert [tick.index for tick in ticks] == list(range(first, first + 750))
    assert all(tick.time_s == grid.time_of(tick.index) for tick in ticks)
    assert all(tick.skipped == 0 and tick.late_s == 0.0 for tick in ticks)


async def test_a_held_up_loop_gets_one_tick_and_the_number_it_skipped() -> None:
    clock, grid, ticks = ManualClock(0.0), TickGrid(origin_s=0.0), []
    task = asyncio.create_task(collect(clock, grid, ticks))
    await clock.advance(0.085)
    clock.jump(0.340)  # now 0.425: ticks 2, 3, 4 and 5 (0.16 ... 0.40) are due
    await clock.advance(0.06)
    task.cancel()
    assert [(tick.index, tick.skipped) for tick in ticks] == [(1, 0), (5, 3), (6, 0)]
    assert ticks[1].late_s == pytest.approx(0.025)


async def test_the_monotonic_clock_sleeps_until_a_deadline_and_not_beyond_one_that_passed() -> None:
    clock = MonotonicClock()
    deadline_s = clock.now_s() + 0.01
    await clock.sleep_until(deadline_s)
    assert clock.now_s() >= deadline_s - 1e-6
    await clock.sleep_until(0.0)
