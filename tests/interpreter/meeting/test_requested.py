"""A room that tells which renderings are asked for, and not by whom: each is played alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from duplex_model.contract import TickGrid
from interpreter.clock import ManualClock
from interpreter.directions import Direction
from interpreter.interpretation.interpretation import InterpretationSettings
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.mixing.routing import Rendering, route_requested
from interpreter.roles.assignment import RoleAssignment
from interpreter.sessions.sessions import SessionState
from tests.fakes import Ear, FakeRoom, amplitude
from tests.interpreter.meeting_stage import (
    ANA_HZ,
    BEN_HZ,
    EN_HZ,
    ES_HZ,
    FR_HZ,
    LIBRARY,
    LoudIsVoice,
    Mouth,
    Stage,
    StageEngine,
)
from webrtc.room import (
    Listening,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    TrackStarted,
    requested_key,
)


class RequestStage(Stage):
    """A stage whose people are asked for in some languages."""

    def ask_for(self, who: str, language: str, *requests: str) -> None:
        participant = Participant(
            id=who, name=who.title(), attributes={"language": language}, requests=requests
        )
        if who in self.mouths:
            self.room._events.put_nowait(ParticipantChanged(participant=participant))
            return
        self.mouths[who] = Mouth(ANA_HZ if who == "ana" else BEN_HZ)
        self.room.told[who] = []
        self.room._events.put_nowait(ParticipantJoined(participant=participant))
        self.room._events.put_nowait(TrackStarted(participant_id=who, audio=self.mouths[who]))

    def ear(self, who: str, language: str) -> Ear:
        return self.room.open_channel(requested_key(who, language))

    @property
    def rendered(self) -> set[tuple[str, str, str]]:
        return {
            (d.speaker_id, d.language_in, d.language_out)
            for d, state in self.meeting._sessions.states.items()
            if state is SessionState.OPEN
        }


@asynccontextmanager
async def stage(role: str = "meeting-simultaneous", **capabilities: Any) -> AsyncIterator[RequestStage]:
    clock = ManualClock(100.0)
    engine = StageEngine(TickGrid(origin_s=99.99), clock, **capabilities)
    room = FakeRoom(Listening.REQUESTED)
    settings = MeetingSettings(
        cancel_echo=False,
        interpretation=InterpretationSettings(
            roles=RoleAssignment(default=LIBRARY.find(role)), library=LIBRARY, transcribe=False
        ),
    )
    async with Meeting(room, {"engine": engine}, clock, settings, voice_model=LoudIsVoice()) as meeting:
        yield RequestStage(clock, room, {"engine": engine}, meeting)


def test_each_rendering_is_a_listener_of_its_own() -> None:
    directions = [Direction("ben", "en", "es"), Direction("ana", "es", "en"), Direction("ana", "es", "fr")]
    routes = route_requested(directions)
    assert routes.listeners == ("ana.en", "ana.fr", "ben.es")
    assert [source for source in routes.sources if isinstance(source, Rendering)] == list(routes.sources)
    assert np.array_equal(routes.gains, np.eye(3))


async def test_what_is_asked_for_is_opened_and_nothing_else() -> None:
    async with stage() as meeting:
        meeting.ask_for("ana", "es", "en", "fr", "en-US")
        meeting.ask_for("ben", "en")
        await meeting.ticks(3)
        assert meeting.rendered == {("ana", "es", "en"), ("ana", "es", "fr")}, "Ben is asked for by nobody"
        meeting.ask_for("ana", "es", "fr", "es")
        meeting.ask_for("ben", "en", "es")
        await meeting.ticks(3)
        assert meeting.rendered == {("ana", "es", "fr"), ("ben", "en", "es")}
        assert len(meeting.engine.sessions) == 2, "the session that nobody asks for is closed"


async def test_every_rendering_is_played_alone_without_originals() -> None:
    async with stage() as meeting:
        ears = {(who, to): meeting.ear(who, to) for who, to in [("ana", "en"), ("ana", "fr"), ("ben", "es")]}
        meeting.ask_for("ana", "es", "en", "fr")
        meeting.ask_for("ben", "en", "es")
        await meeting.ticks(3)
        for mouth in meeting.mouths.values():
            mouth.speaking = True
        for pair in [("es", "en"), ("es", "fr"), ("en", "es")]:
            meeting.say(*pair, "one two three four five six seven eight")
        await meeting.ticks(9)
        own = {("ana", "en"): EN_HZ, ("ana", "fr"): FR_HZ, ("ben", "es"): ES_HZ}
        for key, ear in ears.items():
            heard = ear.last(4)
            assert amplitude(heard, own[key]) > 0.05
            others = {ANA_HZ, BEN_HZ, EN_HZ, FR_HZ, ES_HZ} - {own[key]}
            assert max(amplitude(heard, hz) for hz in others) < 0.002


async def test_a_rendering_gives_way_to_nobody_since_its_listener_is_not_known() -> None:
    async with stage() as meeting:
        ear = meeting.ear("ana", "en")
        meeting.ask_for("ana", "es", "en")
        meeting.ask_for("ben", "en", "es")
        await meeting.ticks(3)
        meeting.say("es", "en", "word " * 40)
        await meeting.ticks(3)
        meeting.mouths["ben"].speaking = True
        await meeting.ticks(25)
        levels = [amplitude(frame, EN_HZ) for frame in ear.frames[-20:]]
        assert min(levels) == pytest.approx(max(levels), rel=0.02)


async def test_captions_of_a_rendering_are_passed_on_through_its_speaker() -> None:
    async with stage() as meeting:
        meeting.ask_for("ana", "es", "en")
        meeting.ask_for("ben", "en")
        await meeting.ticks(3)
        meeting.say("es", "en", "good morning")
        await meeting.ticks(20)
        assert meeting.read("ana") == ["good morning"]


async def test_a_direction_that_nobody_serves_is_one_sentence_in_the_language_that_was_asked_for() -> None:
    async with stage(languages={"es": frozenset({"en"})}) as meeting:
        ear = meeting.ear("ben", "es")
        meeting.ask_for("ana", "es", "en")
        meeting.ask_for("ben", "en", "es")
        await meeting.ticks(3)
        assert meeting.room.notices("ana") == {}
        assert meeting.room.notices("ben") == {
            "refused-hear.es": "Este intérprete no puede interpretar a esta persona para usted. "
            "Le llega la voz directa."
        }
        assert ear.frames == []
        meeting.ask_for("ben", "en")
        await meeting.ticks(3)
        assert meeting.room.notices("ben") == {}


async def test_nobody_is_read_what_cannot_be_said_to_them() -> None:
    async with stage("medical-consecutive") as meeting:
        ear = meeting.ear("ana", "en")
        meeting.ask_for("ana", "es", "en")
        await meeting.ticks(100)
        assert meeting.told_by_interpreter("ana") == ""
        assert not any(frame.any() for frame in ear.frames)
        assert not [event for event in meeting.events() if "notice" in str(event)]


async def test_consecutive_renderings_wait_for_their_speaker_alone() -> None:
    async with stage("medical-consecutive") as meeting:
        ear = meeting.ear("ana", "en")
        meeting.ask_for("ana", "es", "en")
        meeting.ask_for("ben", "en", "es")
        await meeting.ticks(3)
        for mouth in meeting.mouths.values():
            mouth.speaking = True
        meeting.say("es", "en", "one two three four")
        await meeting.ticks(15)
        assert not any(frame.any() for frame in ear.frames), "Ana is speaking"
        meeting.mouths["ana"].speaking = False
        await meeting.ticks(20)
        assert max(amplitude(frame, EN_HZ) for frame in ear.frames) > 0.05, (
            "Ben speaks, and hears what he likes"
        )
