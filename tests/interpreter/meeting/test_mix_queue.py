"""From the tick that is heard to the tick that is mixed."""

from __future__ import annotations

import asyncio

import pytest

from interpreter.clock import ManualClock, Tick
from interpreter.meeting.attendees import Pulled
from interpreter.meeting.mix_queue import HeardTick, MixQueue
from interpreter.metrics import Count, Metrics
from interpreter.mixing.cushion import CushionSettings

CUSHION = CushionSettings(min_s=0.020, margin_s=0.006)
NOTHING = Pulled(frames={}, listened={})


class Line:
    """A queue on a clock that starts at tick 0, and what came out of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.queue = MixQueue(self.clock, CUSHION, self.metrics)
        self.got: list[int] = []

    def hear(self, index: int) -> HeardTick:
        time_s = index * 0.080
        heard = self.queue.schedule(Tick(index=index, time_s=time_s, late_s=0.0, skipped=0), NOTHING)
        self.queue.put(heard)
        return heard

    def answer(self, index: int) -> None:
        now_s = self.clock.now_s()
        self.queue.answered(index, now_s - index * 0.080, now_s)

    async def mix_forever(self) -> None:
        while True:
            self.got.append((await self.queue.get()).index)


@pytest.fixture
async def line():  # type: ignore[no-untyped-def]
    line = Line()
    mixing = asyncio.create_task(line.mix_forever())
    yield line
    mixing.cancel()
    await asyncio.gather(mixing, return_exceptions=True)


async def test_a_tick_is_mixed_once_it_is_answered(line: Line) -> None:
    heard = line.hear(0)
    assert (heard.at_s, heard.deadline_s) == pytest.approx((0.020, 0.014))
    await line.clock.advance(0.010)
    assert line.got == []
    line.answer(0)
    await line.clock.advance(0.001)
    assert line.got == [0]
    assert line.metrics.counted(Count.MIXES_WITHOUT_ANSWER) == 0


async def test_a_tick_is_not_waited_for_beyond_its_deadline(line: Line) -> None:
    line.hear(0)
    await line.clock.advance(0.015)
    assert line.got == [0]
    assert line.metrics.counted(Count.MIXES_WITHOUT_ANSWER) == 1
    line.answer(0)
    await line.clock.advance(0.001)
    assert line.got == [0]


async def test_a_tick_that_was_answered_while_it_was_fed_is_not_waited_for(line: Line) -> None:
    heard = line.queue.schedule(Tick(index=0, time_s=0.0, late_s=0.0, skipped=0), NOTHING)
    line.answer(0)
    line.queue.put(heard)
    await line.clock.advance(0.0)
    assert line.got == [0]


async def test_ticks_come_out_in_order_whichever_is_answered_first(line: Line) -> None:
    line.hear(0)
    line.hear(1)
    line.answer(1)
    await line.clock.advance(0.010)
    assert line.got == []
    line.answer(0)
    await line.clock.advance(0.0)
    assert line.got == [0, 1]


async def test_slow_answers_lengthen_the_cushion_of_later_ticks_also_where_nothing_waited(line: Line) -> None:
    await line.clock.advance(0.050)
    line.answer(0)  # a tick that was only caught up with
    heard = line.hear(1)
    assert heard.at_s == pytest.approx(0.080 + 0.056)
