"""Meetings elsewhere that the interpreter joins while it runs, as somebody at the console asks; on the same engines."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from duplex_model.contract import Engine
from interpreter.clock import Clock
from interpreter.config.config import Config
from interpreter.config.engines import Say, first_of
from interpreter.console.desk import Desk
from interpreter.errors import InterpreterError
from interpreter.holding import take_leave
from interpreter.join.join import Place, empty, finder, transport_of
from interpreter.join.settings import joined_meeting_settings
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings

logger = logging.getLogger(__name__)

MAX_GUESTS = 8
"""Meetings at the same time."""


class Guests:
    """The meetings that were joined; left when it is.

    Args:
        config: `join` in it is how; the address comes with each.
        engines: by name.
        clock: their grid's.
        desk: shows the meetings.
        say: gets what happens at their doors.
    """

    def __init__(
        self, config: Config, engines: Mapping[str, Engine], clock: Clock, desk: Desk, say: Say
    ) -> None:
        self._config = config
        self._engines = engines
        self._clock = clock
        self._desk = desk
        self._say = say
        self._held: dict[asyncio.Task[None], asyncio.Event] = {}

    async def join(self, url: str) -> None:
        """Joins the meeting at an address; returns once the interpreter is in it, and stays there.

        Raises:
            InterpreterError: the configuration does not do for it, or there are too many of them.
            WebRTCError: the meeting cannot be found, or does not let the interpreter in.
        """
        if len(self._held) >= MAX_GUESTS:
            raise InterpreterError(f"expected at most {MAX_GUESTS} meetings to be joined, got one more")
        config = replace(self._config, join=replace(self._config.join, url=url))
        settings = joined_meeting_settings(config, os.environ)
        place = await finder(config.join)(config, os.environ, self._say)
        entered, stop = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(
            self._hold(config, settings, place, entered, stop), name="a joined meeting"
        )
        self._held[task] = stop
        task.add_done_callback(self._ended)
        waiting = asyncio.create_task(entered.wait())
        try:
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if task.done():
            task.result()

    async def _hold(
        self,
        config: Config,
        settings: MeetingSettings,
        place: Place,
        entered: asyncio.Event,
        stop: asyncio.Event,
    ) -> None:
        ledger = self._desk.ledger()
        async with Meeting(place.room, self._engines, self._clock, settings, follower=ledger) as meeting:
            with ExitStack() as stack:
                stack.enter_context(
                    self._desk.opened(
                        meeting,
                        ledger,
                        name=place.room.name,
                        transport=transport_of(config.join),
                        listening=place.room.listening,
                        leave=stop.set,
                    )
                )
                entered.set()
                await first_of(
                    stop.wait(), meeting.ended(), empty(meeting, self._clock, config.join, self._say)
                )
                await take_leave(meeting, stop)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._held[task]
        if not task.cancelled() and task.exception() is not None:
            logger.error("a joined meeting ended: %s", task.exception())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leaves all of them."""
        for stop in self._held.values():
            stop.set()
        await asyncio.gather(*self._held, return_exceptions=True)
