"""`interpreter run`: engines, a server with one room, a meeting in it, until it is told to stop."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack
from functools import partial
from itertools import chain

from interpreter.clock import MonotonicClock
from interpreter.config.config import Config
from interpreter.config.default_engine import remarks_on
from interpreter.config.engines import Say, Stopped, first_of, running_engines
from interpreter.config.settings import (
    hosted_settings,
    invitees,
    jwks_document,
    meeting_settings,
    memory_file,
    room_languages,
    secret,
)
from interpreter.console.desk import DeskSettings
from interpreter.console.opening import opened_console
from interpreter.console.settings import console_plan
from interpreter.guests import Guests
from interpreter.holding import bill, stop_signals, take_leave, tell_preparing
from interpreter.meeting.meeting import Meeting
from interpreter.metrics import table
from interpreter.serving import about, refusals
from webrtc.hosted import Door, HostedServer
from webrtc.room import Stored

logger = logging.getLogger(__name__)


async def run(config: Config, say: Say, version: str = "") -> None:
    """Hosts a meeting until SIGINT or SIGTERM, or until it fails.

    Args:
        config: everything.
        say: gets the progress of the start, then the links: the console's, the host's and the room's.
        version: ours, for the console.

    Raises:
        InterpreterError: the configuration cannot be used, or an engine cannot be started.
        WebRTCError: the address cannot be served on.
    """
    # All that can be wrong with the configuration is found before anything is started.
    settings = meeting_settings(config, os.environ)
    keys = jwks_document(settings.record.key.public)
    hosted = HostedServer(hosted_settings(config, os.environ, (keys,)))
    token = secret(config.room.token_env, None, os.environ)
    host_token = secret(config.room.host_token_env, None, os.environ)
    people = invitees(config, os.environ)
    memory = memory_file(config, os.environ, config.room.name)
    plan = console_plan(config, os.environ)
    languages = room_languages(config)
    clock = MonotonicClock()
    async with AsyncExitStack() as stack:
        asked = stack.enter_context(stop_signals())
        try:
            engines = await stack.enter_async_context(running_engines(config.all_engines, say, asked.stop))
        except Stopped:
            return
        server = await stack.enter_async_context(hosted)
        kept = tuple(kind for kind in Stored if kind in settings.record.stored)
        room = server.add_room(config.room.name, token, stored=kept, people=people, host_token=host_token)
        at_desk = DeskSettings(
            version=version, library=settings.interpretation.library, languages=tuple(languages)
        )
        desk = await stack.enter_async_context(opened_console(plan, at_desk, engines, clock, say))
        ledger = desk.ledger()
        meeting = await stack.enter_async_context(
            Meeting(room, engines, clock, settings, follower=ledger, memory=memory)
        )
        guests = await stack.enter_async_context(Guests(config, engines, clock, desk, say))
        desk.join = guests.join
        stack.enter_context(
            desk.opened(
                meeting,
                ledger,
                name=room.name,
                transport="hosted",
                listening=room.listening,
                invite=partial(server.link, room),
                leave=asked.stop.set,
            )
        )
        can = {name: engine.capabilities for name, engine in engines.items()}
        for line in (*remarks_on(config.engine), *chain.from_iterable(map(about, can.values()))):
            say(line)
        for line in refusals(languages, can):
            say(line)
        if people:
            names = ", ".join(one.name for one in people)
            doors = " and ".join(server.call_url(room, door) for door in Door)
            say(f"{names} may come without a page, each with their own token: {doors}")
        say(f"Whoever leads the meeting opens {server.host_link(room)}")
        say(f"Open {server.link(room)} in two browser tabs; Ctrl-C ends the meeting.")
        meeting.prepare(languages)
        await first_of(asked.stop.wait(), meeting.ended(), tell_preparing(meeting, clock, say))
        say("Closing.")
        await take_leave(meeting, asked.hurry)
        if not asked.restart.is_set():
            meeting.forget()
        account = meeting.cost()
    for line in (*table(meeting.metrics.snapshot()), *bill(account)):
        logger.info("%s", line)
