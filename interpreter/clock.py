"""Clocks, and the ticks of an engine's grid on one of them.

*Now* is monotonic seconds. Everything in this package that waits does so through a `Clock`, so that a test or a
virtual replay can hold an hour's meeting in seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from duplex_model.contract import TickGrid


class Clock(Protocol):
    """Monotonic time, and waiting for it."""

    def now_s(self) -> float:
        """Monotonic seconds; comparable with an engine's `TickGrid`."""
        ...

    async def sleep_until(self, deadline_s: float) -> None:
        """Returns at or after `deadline_s`, and never without having let other tasks run."""
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now_s(self) -> float:
        """`time.monotonic`, which all processes of a machine share."""
        return time.monotonic()

    async def sleep_until(self, deadline_s: float) -> None:
        """Sleeps until `deadline_s`, to within the event loop's resolution; usually a millisecond over."""
        await asyncio.sleep(max(0.0, deadline_s - time.monotonic()))


class ManualClock:
    """A clock that moves only when told; it wakes sleepers in the order of their deadlines.

    Args:
        start_s: the first `now_s`.
    """

    _SETTLE_PASSES = 12  # event-loop passes that the longest chain of wake-ups in a meeting takes, doubled

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        """Where the clock was moved to."""
        return self._now_s

    async def sleep_until(self, deadline_s: float) -> None:
        """Waits until the clock was moved to `deadline_s`."""
        if deadline_s <= self._now_s:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (deadline_s, next(self._order), woken))
        await woken

    async def advance_to(self, time_s: float) -> None:
        """Moves to `time_s`, stopping at each sleeper's deadline on the way until its work is done."""
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= time_s:
            deadline_s, _, woken = heapq.heappop(self._sleepers)
            if woken.done():  # cancelled
                continue
            self._now_s = max(self._now_s, deadline_s)
            woken.set_result(None)
            await self._settle()
        self._now_s = max(self._now_s, time_s)

    async def advance(self, duration_s: float) -> None:
        """Moves on by `duration_s`."""
        await self.advance_to(self._now_s + duration_s)

    def jump(self, duration_s: float) -> None:
        """Moves on without waking anybody: the event loop was busy elsewhere for so long."""
        self._now_s += duration_s

    async def _settle(self) -> None:
        for _ in range(self._SETTLE_PASSES):
            await asyncio.sleep(0)


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One wake-up on the grid."""

    index: int
    """The tick to serve now."""

    time_s: float
    """When it was due."""

    late_s: float
    """How long after `time_s` the wake-up came, below the grid's period."""

    skipped: int
    """Ticks right before `index` that were due while the loop was held up, and got no wake-up of their own."""


class FrameClock:
    """The ticks of `grid`, as an endless async iterator.

    It never replays missed ticks one by one: a loop held up for 200 ms gets one `Tick` for the newest due tick,
    with `skipped=2`. Whoever consumes audio must still pull the skipped ticks' frames, since media time went on
    while the loop did not; otherwise every hold-up would stay in the delay for the rest of the call.
    """

    def __init__(self, grid: TickGrid, clock: Clock) -> None:
        self._grid = grid
        self._clock = clock
        self._next = grid.next_tick(clock.now_s())

    def __aiter__(self) -> AsyncIterator[Tick]:
        """Itself."""
        return self

    async def __anext__(self) -> Tick:
        """The next tick, at its time."""
        due = self._next
        await self._clock.sleep_until(self._grid.time_of(due))
        now_s = self._clock.now_s()
        index = max(due, self._grid.next_tick(now_s) - 1)
        self._next = index + 1
        time_s = self._grid.time_of(index)
        return Tick(index=index, time_s=time_s, late_s=max(0.0, now_s - time_s), skipped=index - due)
