"""`interpreter serve-jitsi`: engines, the service that Jitsi's bridges call, a meeting for each of theirs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from math import inf

from duplex_model.contract import FRAME_S, Engine
from interpreter.clock import Clock, MonotonicClock
from interpreter.commands.memory_file import MemoryFile
from interpreter.config.config import Config
from interpreter.config.default_engine import remarks_on
from interpreter.config.engines import Say, Stopped, first_of, running_engines
from interpreter.config.settings import meeting_settings, memory_file, room_languages, translate_settings
from interpreter.console.desk import Desk, DeskSettings
from interpreter.console.opening import opened_console
from interpreter.console.settings import console_plan
from interpreter.directions import primary_language
from interpreter.ears.voice_model import VoiceModel
from interpreter.errors import ConfigError
from interpreter.guests import Guests
from interpreter.holding import stop_signals
from interpreter.languages import LANGUAGE_WORDS
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.roles.role import Role
from interpreter.serving import about
from interpreter.watches.watches import Watches
from webrtc.errors import Refused
from webrtc.jitsi import Host, TranslateRoom, TranslateService

LANGUAGE_HEADER = "X-Interpreter-Language"
"""BCP 47 tag of what people in a meeting speak; before the configuration."""

ROLE_HEADER = "X-Interpreter-Role"
"""Role that interprets a meeting; before the configuration."""

DRAIN_S = 12.0
"""Longest time for what is being said to come to an end."""

ENDED_S = 1.5
"""Silence of all meetings after which nothing more is expected to be said."""

FLOOR_NOTE = (
    "NOTE: off, since Jitsi does not tell who listens: giving way to listeners, backchannels, spoken notices, "
    "and taking echo out."
)


class MeetingsSettings:
    """What holds in each meeting: the configuration, what it says of this one, and the room's own headers.

    Args:
        config: everything.
        base: of a meeting of which nothing is said.

    Raises:
        ConfigError: a role cannot be used.
    """

    def __init__(self, config: Config, base: MeetingSettings) -> None:
        # Nobody here knows what comes out of whose loudspeaker.
        self._base = replace(base, cancel_echo=False)
        library = base.interpretation.library
        self._meetings = [
            (one, None if one.role is None else library.resolve(one.role)) for one in config.jitsi.meetings
        ]

    def of(self, meeting_id: str, headers: Mapping[str, str]) -> MeetingSettings:
        """The settings of one meeting.

        Args:
            meeting_id: as Jitsi names it.
            headers: of its first connection.

        Raises:
            Refused: a header names a language or a role that there is not.
        """
        interpretation = self._base.interpretation
        of_this = next((pair for pair in self._meetings if fnmatchcase(meeting_id, pair[0].meeting)), None)
        tag, role = (None, None) if of_this is None else (of_this[0].language, of_this[1])
        language = self._language(headers) or (None if tag is None else primary_language(tag))
        role = self._role(headers) or role
        languages, roles = interpretation.languages, interpretation.roles
        return replace(
            self._base,
            interpretation=replace(
                interpretation,
                languages=replace(languages, default=language or languages.default),
                roles=replace(roles, default=role or roles.default),
            ),
        )

    def _language(self, headers: Mapping[str, str]) -> str | None:
        tag = headers.get(LANGUAGE_HEADER)
        language = None if tag is None else primary_language(tag)
        if tag is not None and language is None:
            raise Refused(f"expected a BCP 47 tag such as es in {LANGUAGE_HEADER}, got {tag[:60]!a}")
        return language

    def _role(self, headers: Mapping[str, str]) -> Role | None:
        name = headers.get(ROLE_HEADER)
        try:
            return None if name is None else self._base.interpretation.library.find(name)
        except ConfigError as error:
            raise Refused(f"{ROLE_HEADER}: {error}") from None


async def serve_jitsi(config: Config, say: Say, version: str = "") -> None:
    """Serves the bridges of Jitsi servers until SIGINT or SIGTERM.

    Args:
        config: everything.
        say: gets the progress of the start, then the address for Jitsi's configuration.
        version: ours, for the bridges' logs.

    Raises:
        InterpreterError: the configuration cannot be used, or an engine cannot be started.
        WebRTCError: the address cannot be served on.
    """
    # All that can be wrong with the configuration is found before anything is started.
    base = meeting_settings(config, os.environ)
    settings = MeetingsSettings(config, base)
    plan = console_plan(config, os.environ)
    engines: dict[str, Engine] = {}
    clock = MonotonicClock()
    desks: list[Desk] = []  # the one that there is once the engines are
    service = TranslateService(
        translate_settings(config, os.environ),
        partial(_admit, config, settings, engines, clock, VoiceModel(), desks),
        version,
    )
    Watches().load(
        LANGUAGE_WORDS
    )  # once for all meetings, of which every other would have to wait for one's first
    async with AsyncExitStack() as stack:
        asked = stack.enter_context(stop_signals())
        try:
            engines.update(
                await stack.enter_async_context(running_engines(config.all_engines, say, asked.stop))
            )
        except Stopped:
            return
        at_desk = DeskSettings(
            version=version, library=base.interpretation.library, languages=tuple(room_languages(config))
        )
        desk = await stack.enter_async_context(opened_console(plan, at_desk, engines, clock, say))
        desks.append(desk)
        guests = await stack.enter_async_context(Guests(config, engines, clock, desk, say))
        desk.join = guests.join
        await stack.enter_async_context(service)
        can = [engine.capabilities for engine in engines.values()]
        for line in (*remarks_on(config.engine), *chain.from_iterable(map(about, can))):
            say(line)
        say(FLOOR_NOTE)
        if config.meeting.language is None:
            say(
                "NOTE: Jitsi does not tell what people speak. Whoever no `meeting.language`, `jitsi.meetings` or "
                f"{LANGUAGE_HEADER} speaks for is not interpreted."
            )
        say(f"Jitsi's setting is JICOFO_TRANSLATION_URL_TEMPLATE={service.url}")
        await asked.stop.wait()
        say("Closing.")
        await first_of(drain(service, clock), asked.hurry.wait())


def _admit(
    config: Config,
    settings: MeetingsSettings,
    engines: Mapping[str, Engine],
    clock: Clock,
    voice_model: VoiceModel,
    desks: Sequence[Desk],
    meeting_id: str,
    headers: Mapping[str, str],
) -> Host:
    memory = memory_file(config, os.environ, f"jitsi/{meeting_id}")
    return partial(_hold, settings.of(meeting_id, headers), engines, clock, voice_model, desks[0], memory)


async def _hold(
    settings: MeetingSettings,
    engines: Mapping[str, Engine],
    clock: Clock,
    voice_model: VoiceModel,
    desk: Desk,
    memory: MemoryFile | None,
    room: TranslateRoom,
) -> None:
    ledger = desk.ledger()
    meeting = Meeting(room, engines, clock, settings, voice_model=voice_model, follower=ledger, memory=memory)
    async with meeting:
        with desk.opened(
            meeting, ledger, name=room.name, transport="jitsi-service", listening=room.listening
        ):
            await meeting.ended()


async def drain(service: TranslateService, clock: Clock) -> None:
    """Lets what is being said in all meetings come to an end, for as long as that may take.

    Args:
        service: hears nobody any more.
        clock: its.
    """
    service.drain()
    now_s = clock.now_s()
    until_s, silent_since_s = now_s + DRAIN_S, inf
    while now_s < until_s and now_s - silent_since_s < ENDED_S and service.meetings:
        silent_since_s = min(silent_since_s, now_s) if service.silent else inf
        await clock.sleep_until(now_s + FRAME_S)
        now_s = clock.now_s()
