"""Ticks that were heard and are not mixed yet: when each is played, and how long it waits for its answers.

    scheduled ── fed to the sessions ── put ──┬── the last one has answered ──┬── got, to be mixed
                                              └── deadline ───────────────────┘

They come out in the order of their ticks; as the cushion is at most two ticks, at most three are ever in between.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from interpreter.clock import Clock, Tick
from interpreter.meeting.attendees import Pulled
from interpreter.metrics import Count, Metrics, Stage
from interpreter.mixing.cushion import Cushion, CushionSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class HeardTick:
    """A tick on the way to its mix."""

    index: int
    pulled: Pulled
    at_s: float
    """When the first packet of its mix is sent."""

    deadline_s: float
    """When it is mixed with what is there."""


class MixQueue:
    """From the tick that is heard to the tick that is mixed, with the cushion in between.

    Args:
        clock: that deadlines are waited for on.
        cushion: bounds and speed of it.
        metrics: where cushion, answers and missed deadlines are counted.
    """

    def __init__(self, clock: Clock, cushion: CushionSettings, metrics: Metrics) -> None:
        self._clock = clock
        self._cushion = Cushion(cushion)
        self._metrics = metrics
        self._queue: asyncio.Queue[HeardTick] = asyncio.Queue()
        self._unanswered: dict[int, asyncio.Future[None]] = {}

    def schedule(self, tick: Tick, pulled: Pulled) -> HeardTick:
        """Sets the time of a tick's mix, before its frames are fed: sessions may answer at once."""
        self._metrics.took(Stage.CUSHION, self._cushion.value_s)
        self._unanswered[tick.index] = asyncio.get_running_loop().create_future()
        return HeardTick(
            index=tick.index,
            pulled=pulled,
            at_s=tick.time_s + self._cushion.value_s,
            deadline_s=tick.time_s + self._cushion.deadline_s,
        )

    def put(self, heard: HeardTick) -> None:
        """A tick that was scheduled has been fed."""
        self._queue.put_nowait(heard)

    def answered(self, tick: int, readiness_s: float, now_s: float) -> None:
        """The last answer to a tick came, or will never come.

        Args:
            tick: which; one that was never scheduled teaches the cushion all the same.
            readiness_s: from the tick to now.
            now_s: monotonic.
        """
        self._metrics.took(Stage.READINESS, readiness_s)
        self._cushion.observe(readiness_s, now_s)
        waiting = self._unanswered.pop(tick, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def get(self) -> HeardTick:
        """The next tick to be mixed, once it was answered or its deadline has come."""
        heard = await self._queue.get()
        answered = self._unanswered.get(heard.index)
        if answered is None:
            return heard
        due = asyncio.create_task(self._clock.sleep_until(heard.deadline_s), name="mix deadline")
        try:
            await asyncio.wait((answered, due), return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
        if not answered.done():
            self._metrics.count(Count.MIXES_WITHOUT_ANSWER)
            self._unanswered.pop(heard.index, None)
        return heard
