"""`interpreter join`: engines, a place in somebody else's meeting, until it is over, empty, or told to leave."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain

from duplex_model import catalogue
from duplex_model.contract import Capabilities, TickGrid
from duplex_model.source import parse_source
from duplex_model.spec import EngineSpec, build_engine
from interpreter.clock import Clock, MonotonicClock
from interpreter.config.config import Config, EngineConfig
from interpreter.config.default_engine import chosen_engine, remarks_on
from interpreter.config.engines import Say, Stopped, first_of, running_engines
from interpreter.config.join import JoinConfig
from interpreter.config.settings import memory_file
from interpreter.console.desk import DeskSettings
from interpreter.console.opening import opened_console
from interpreter.console.settings import console_plan
from interpreter.errors import ConfigError
from interpreter.holding import bill, stop_signals, take_leave, tell_preparing
from interpreter.join.janus import janus_room
from interpreter.join.plan import plan, spoken_languages
from interpreter.join.settings import (
    channels,
    guest_settings,
    joined_meeting_settings,
    meeting_url,
    tls_context,
)
from interpreter.meeting.meeting import Meeting
from interpreter.metrics import table
from interpreter.serving import about, refusals
from interpreter.vacancy import Vacancy
from webrtc.jitsi import JitsiRoom, discover
from webrtc.room import Room

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Between two looks whether anybody is there."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A meeting that was found."""

    room: Room
    """Not entered yet."""

    found: tuple[str, ...]
    """What its server told, a line each."""

    chat: bool = True
    """Whether people there write to one another, and the interpreter to them."""


FindRoom = Callable[[Config, Mapping[str, str], Say], Awaitable[Place]]
"""Finds the meeting of a configuration without joining it; takes what `Say` gets while the meeting is on."""


async def find_jitsi(config: Config, environ: Mapping[str, str], say: Say) -> Place:
    """A Jitsi meeting, by what its server's `config.js` says."""
    url = meeting_url(config)
    settings = guest_settings(config, environ, url)
    server = await discover(url, config.join.overrides, tls=tls_context(config.join))
    request = f"by HTTP at {server.conference_request}" if server.conference_request else "by XMPP"
    found = (
        f"Meeting:      {url}, room {url.room}@{server.muc}.",
        f"Server:       signalling at {server.websocket}, domain {server.domain}, guests of {server.guest_domain}, "
        f"conference asked of {server.focus} {request}.",
    )
    return Place(room=JitsiRoom(settings(server), say), found=found)


async def find_janus(config: Config, environ: Mapping[str, str], say: Say) -> Place:
    """A room of a Janus server, which has no chat."""
    room, found = await janus_room(config, environ, say)
    return Place(room=room, found=found, chat=False)


ROOMS: Mapping[str, FindRoom] = {
    "https": find_jitsi,
    "http": find_jitsi,
    "janus+wss": find_janus,
    "janus+ws": find_janus,
}
"""Scheme of the meeting's address -> how its room is found."""


async def join(config: Config, say: Say, *, dry_run: bool = False, version: str = "") -> None:
    """Interprets in a meeting elsewhere until SIGINT or SIGTERM, or until it is over or empty.

    Args:
        config: everything; `config.join.url` is where.
        say: gets the progress, and what happens at the meeting's door.
        dry_run: only says what would be done: the server is asked for its configuration, and nothing is joined.
        version: ours, for the console.

    Raises:
        InterpreterError: the configuration cannot be used, or an engine cannot be started.
        WebRTCError: the meeting cannot be found, or does not let the interpreter in.
    """
    # All that can be wrong with the configuration is found before anything is started.
    settings = joined_meeting_settings(config, os.environ)
    console = console_plan(config, os.environ)
    place = await finder(config.join)(config, os.environ, say)
    if dry_run:
        can = {name: engine_abilities(engine) for name, engine in config.all_engines.items()}
        stored, remarks = settings.record.stored, remarks_on(config.engine)
        for line in plan(config, place.found, can, stored, remarks, chat=place.chat):
            say(line)
        say("Nothing was joined.")
        return
    languages = spoken_languages(config)
    clock = MonotonicClock()
    async with AsyncExitStack() as stack:
        asked = stack.enter_context(stop_signals())
        try:
            engines = await stack.enter_async_context(running_engines(config.all_engines, say, asked.stop))
        except Stopped:
            return
        can = {name: engine.capabilities for name, engine in engines.items()}
        for line in (*remarks_on(config.engine), *chain.from_iterable(map(about, can.values()))):
            say(line)
        for line in (*refusals(languages, can), *_unknown_voices(config, can)):
            say(line)
        at_desk = DeskSettings(
            version=version, library=settings.interpretation.library, languages=tuple(languages)
        )
        desk = await stack.enter_async_context(opened_console(console, at_desk, engines, clock, say))
        ledger, memory = desk.ledger(), memory_file(config, os.environ, place.room.name)
        meeting = await stack.enter_async_context(
            Meeting(place.room, engines, clock, settings, follower=ledger, memory=memory)
        )
        stack.enter_context(
            desk.opened(
                meeting,
                ledger,
                name=place.room.name,
                transport=transport_of(config.join),
                listening=place.room.listening,
                leave=asked.stop.set,
            )
        )
        say(f"Joining {place.room.name}; Ctrl-C leaves it.")
        meeting.prepare(languages)
        await first_of(
            asked.stop.wait(),
            meeting.ended(),
            empty(meeting, clock, config.join, say),
            tell_preparing(meeting, clock, say),
        )
        say("Leaving.")
        await take_leave(meeting, asked.hurry)
        if not asked.restart.is_set():
            meeting.forget()
        account = meeting.cost()
    for line in (*table(meeting.metrics.snapshot()), *bill(account)):
        logger.info("%s", line)


async def empty(meeting: Meeting, clock: Clock, config: JoinConfig, say: Say) -> None:
    """Returns when nobody has been in the meeting for too long."""
    vacancy = Vacancy(
        leave_after_s=60.0 * config.leave_after_min, wait_s=60.0 * config.wait_min, now_s=clock.now_s()
    )
    while not vacancy.over(meeting.people, meeting.people_ever, clock.now_s()):
        await clock.sleep_until(clock.now_s() + LOOK_S)
    say("Nobody is here any more." if vacancy.anybody_came else "Nobody came.")


def engine_abilities(config: EngineConfig) -> Capabilities:
    """What an engine will be able to do, without starting it: a checkpoint's is written down.

    Raises:
        DuplexModelError: there is no such checkpoint, or its options cannot be used.
    """
    config = chosen_engine(config)
    assert config.kind is not None
    if config.kind == "neural":
        source = parse_source(str(config.options.get("checkpoint", "")))
        return catalogue.capabilities(source.config, lanes=1)
    engine = build_engine(
        EngineSpec(kind=config.kind, options=config.options),
        grid=TickGrid(origin_s=0.0),
        report=lambda *_: None,
    )
    try:
        return engine.capabilities
    finally:
        engine.close()


def finder(config: JoinConfig) -> FindRoom:
    """What finds the room of a configuration, by its address.

    Raises:
        ConfigError: there is no address, or one of a kind that nobody here knows.
    """
    scheme, separator, _ = (config.url or "").strip().partition("://")
    find = ROOMS.get(scheme.lower())
    if find is None:
        known = " or ".join(f"{one}://" for one in ROOMS)
        got = repr(scheme[:20]) if separator else "none"  # without one it may be anything, a secret too
        raise ConfigError(f"expected the address of a meeting that begins with {known}, got {got}")
    return find


def transport_of(config: JoinConfig) -> str:
    """What the console calls the network that a meeting's address leads to."""
    return "janus" if (config.url or "").strip().lower().startswith("janus+") else "jitsi"


def _unknown_voices(config: Config, can: Mapping[str, Capabilities]) -> list[str]:
    known = {name for one in can.values() for name in one.voices}
    return [
        f"NOTE: no engine has the voice {one.voice}; {one.language} gets another."
        for one in channels(config)
        if one.voice and one.voice not in known
    ]
