"""The interpreter as a guest in a meeting of the test server: a whole meeting, with engines that note what they hear.

Sessions hum at the pitch of the language they speak, while they hear anything. So the tone of each person says whose
sound came where, and the pitch of a language that the interpreter is heard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from duplex_model.contract import TickGrid
from interpreter.channels import Channel
from interpreter.clock import MonotonicClock
from interpreter.commands.chat import named_in
from interpreter.directions import Direction
from interpreter.ears.voice_model import VoiceModel, VoiceState
from interpreter.interpretation.language_assignment import assign_languages
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings, default_interpretation
from interpreter.people import PersonPattern
from tests.interpreter.engines import PuppetEngine, PuppetSession, hum
from tests.jitsi.client import Person
from tests.jitsi.rtp import tone_db
from tests.jitsi.server import JitsiServer
from webrtc.errors import Refused
from webrtc.jitsi import GuestSettings, JitsiRoom, discover, parse_meeting_url
from webrtc.room import Pcm

HZ = {"en": 1_000.0, "es": 1_250.0}  # whole periods in a frame
SEATS = {"en": "Interpreter · English", "es": "Interpreter · Español"}
ENGLISH, SPANISH = SEATS["en"], SEATS["es"]
CLEAR_DB, NOTHING_DB = -30.0, -55.0
LONG_S = 60.0


class NoVoice(VoiceModel):
    """Tones are nobody's voice, so nothing gives way to them."""

    def __init__(self) -> None:
        pass

    def listen(self, pcm: Pcm, state: VoiceState) -> tuple[float, VoiceState]:
        return 0.0, state


@dataclass
class Guest:
    """The interpreter in a meeting."""

    room: JitsiRoom
    meeting: Meeting
    engine: PuppetEngine
    news: list[str]
    server: JitsiServer
    room_name: str
    sessions: dict[Direction, PuppetSession] = field(default_factory=dict)

    @property
    def nicks(self) -> dict[str, str]:
        """Channel -> nick of its seat, of those in the room."""
        return {seat.channel: seat.nick for seat in self.room.seats if seat.inside}

    def session_of(self, person: Person) -> PuppetSession:
        """The one session that hears somebody; raises KeyError while there is none."""
        slots = self.meeting._sessions._slots
        [session] = [s.session for d, s in slots.items() if d.speaker_id == person.nick] or [None]
        if session is None:
            raise KeyError(person.name)
        assert isinstance(session, PuppetSession)
        return session

    def hears(self, person: Person, hz: float, *others_hz: float) -> bool:
        """Whether somebody's session hears their tone, and nothing of the others', for the last half second."""
        try:
            heard = self.session_of(person).heard[-7:]
        except KeyError:
            return False
        if len(heard) < 7:
            return False
        pcm = np.concatenate(heard)
        own = tone_db(pcm, hz) > CLEAR_DB
        return own and all(tone_db(pcm, other) < NOTHING_DB for other in others_hz)

    async def until_each_is_heard_alone(self, tones: Mapping[Person, float]) -> None:
        """Waits until every person's tone is heard by their own session, and by no other."""
        await self.until(
            lambda: all(
                self.hears(person, hz, *(other for other in tones.values() if other != hz))
                for person, hz in tones.items()
            )
        )

    async def until(
        self, condition: Callable[[], bool], timeout_s: float = LONG_S, every_s: float = 0.05
    ) -> None:
        """Waits until something is true; fails with the meeting when that fails."""
        ended = asyncio.create_task(self.meeting.ended())
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.wait((ended,), timeout=every_s)
                    assert not ended.done(), f"the meeting is over: {ended.exception()!r}"
        finally:
            ended.cancel()

    async def until_in(self, seats: int = len(SEATS)) -> None:
        """Waits until so many seats have media, as the server sees it."""
        conference = self.server.conference(self.room_name)
        await self.until(lambda: len(self.nicks) == seats)
        for seat in self.room.seats:
            await conference.session_of(seat.name)

    def chat_of(self, person: Person) -> list[str]:
        """What our seats wrote to somebody, or to everybody."""
        ours = set(self.nicks.values())
        return [text for nick, text, _ in person.chat if nick in ours]


async def refusal(server: JitsiServer, **changes: Any) -> str:
    """Why the interpreter does not get in, or is put out, as the host is told."""
    async with guest(server, **changes) as g:
        return await outcome(g)


async def outcome(g: Guest) -> str:
    """How it ends: the sentence for the host, empty where there is none."""
    try:
        async with asyncio.timeout(LONG_S):
            await g.meeting.ended()
    except Refused as error:
        return str(error)
    return ""


@asynccontextmanager
async def guest(
    server: JitsiServer,
    *,
    room: str = "room",
    languages: Mapping[str, str] | None = None,
    channels: tuple[Channel, ...] = (Channel(language="en"), Channel(language="es")),
    meeting: Mapping[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[Guest]:
    """The interpreter joins; it has left when the block is over.

    Args:
        server: whose room.
        room: its name.
        languages: pattern of names -> language; everybody else speaks Spanish.
        channels: spoken to the meeting.
        meeting: changes of its interpretation.
        changes: of the room's settings.
    """
    rules = [(PersonPattern(name=name), tag) for name, tag in (languages or {"Ben*": "en"}).items()]
    tls = server.tls_context()
    url = parse_meeting_url(server.meeting_url(room))
    settings = GuestSettings(
        server=await discover(url, tls=None if tls is True else tls),  # type: ignore[arg-type]
        room=url.room,
        title=str(url),
        seats={one.language: SEATS[one.language] for one in channels},
        marker="0" * 17 + "1",
        speaks_again=lambda line: named_in(line)[0] == "resume",
        tls=None if tls is True else tls,  # type: ignore[arg-type]
    )
    news: list[str] = []
    joined = JitsiRoom(replace(settings, **changes), news.append)
    clock = MonotonicClock()
    engine = PuppetEngine(TickGrid(origin_s=time.monotonic()), clock.now_s, say=hum(HZ))
    interpretation = replace(
        default_interpretation(),
        spoken_notices=False,
        transcribe=False,
        languages=assign_languages("es", {}, rules),
        channels=channels,
        **(meeting or {}),
    )
    how = MeetingSettings(cancel_echo=False, interpretation=interpretation)
    async with Meeting(joined, engine, clock, how, voice_model=NoVoice()) as held:
        yield Guest(joined, held, engine, news, server, room)
