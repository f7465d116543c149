"""What the configuration says of people and originals, in a meeting on a manual clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import TickGrid
from interpreter.clock import ManualClock
from interpreter.interpretation.language_assignment import LanguageAssignment, assign_languages
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings, default_interpretation
from tests.fakes import FRAME_S, FakeRoom, ToneTrack, amplitude
from tests.interpreter.engines import PuppetEngine, hum
from tests.interpreter.meeting_stage import LoudIsVoice

ASSIGNED = assign_languages("fr", {"Ana  LÓPEZ": "es-MX", "Ben": "en"})
languages = st.none() | st.sampled_from(["en", "es", "fr", "pt"])


def test_a_person_s_language_counts_before_what_the_room_tells_and_the_default_after() -> None:
    assert ASSIGNED.at_first("ana lopez", "en") == "es"
    assert ASSIGNED.at_first("Ana López", None) == "es"
    assert ASSIGNED.at_first("Cat", "pt") == "pt"
    assert ASSIGNED.at_first("Cat", None) == "fr"
    assert ASSIGNED.later("pt") == "pt"
    assert ASSIGNED.later(None) == "fr"


@given(st.text(max_size=8), languages)
def test_without_a_configuration_the_room_is_believed(name: str, told: str | None) -> None:
    assert LanguageAssignment().at_first(name, told) == LanguageAssignment().later(told) == told


def settings(**changes: object) -> MeetingSettings:
    quiet = replace(default_interpretation(), spoken_notices=False, **changes)  # type: ignore[arg-type]
    return MeetingSettings(cancel_echo=False, interpretation=quiet)


async def prompts_after(room: FakeRoom, engine: PuppetEngine, clock: ManualClock) -> set[tuple[str, str]]:
    """What the open sessions hear and say, some ticks later."""
    for _ in range(15):
        await clock.advance(FRAME_S)
    return {(one.prompt.language_in, one.prompt.language_out) for one in engine.sessions.values()}


async def test_people_are_interpreted_in_the_language_of_the_configuration_until_they_choose_another() -> (
    None
):
    clock, room = ManualClock(100.0), FakeRoom()
    engine = PuppetEngine(TickGrid(origin_s=99.99), clock.now_s)
    named = settings(languages=assign_languages(None, {"Ana": "es"}))
    async with Meeting(room, engine, clock, named, voice_model=LoudIsVoice()):
        room.join("ana", "en")  # what the page offers first
        room.join("ben", "en")
        assert await prompts_after(room, engine, clock) == {("es", "en"), ("en", "es")}
        assert (room.state("ana").own.language, room.state("ben").own.language) == ("es", "")
        room.change("ana", "en")  # says nothing new
        assert await prompts_after(room, engine, clock) == {("es", "en"), ("en", "es")}
        room.change("ana", "fr")
        assert await prompts_after(room, engine, clock) == {("fr", "en"), ("en", "fr")}
        assert room.state("ana").own.language == ""
        room.change("ana", "en")
        assert await prompts_after(room, engine, clock) == set()


async def test_people_who_tell_no_language_have_that_of_the_configuration() -> None:
    clock, room = ManualClock(100.0), FakeRoom()
    engine = PuppetEngine(TickGrid(origin_s=99.99), clock.now_s)
    named = settings(languages=assign_languages("pt-BR", {}))
    async with Meeting(room, engine, clock, named, voice_model=LoudIsVoice()):
        room.join("ana", "")
        room.join("ben", "en")
        assert await prompts_after(room, engine, clock) == {("pt", "en"), ("en", "pt")}
        room.change("ana", "es")
        assert await prompts_after(room, engine, clock) == {("es", "en"), ("en", "es")}
        room.change("ana", "")
        assert await prompts_after(room, engine, clock) == {("pt", "en"), ("en", "pt")}


async def test_a_language_asked_for_by_command_survives_what_the_room_only_repeats() -> None:
    clock, room = ManualClock(100.0), FakeRoom()
    engine = PuppetEngine(TickGrid(origin_s=99.99), clock.now_s)
    async with Meeting(room, engine, clock, settings(), voice_model=LoudIsVoice()):
        room.join("ana", "es")
        room.join("ben", "en")
        room.command("ana", "r1", "language", tag="fr")
        assert await prompts_after(room, engine, clock) == {("fr", "en"), ("en", "fr")}
        room.change("ana", "es")
        assert await prompts_after(room, engine, clock) == {("fr", "en"), ("en", "fr")}


async def test_originals_are_ducked_as_the_configuration_says() -> None:
    clock, room = ManualClock(100.0), FakeRoom()
    engine = PuppetEngine(TickGrid(origin_s=99.99), clock.now_s, say=hum({"en": 1_000.0, "es": 1_250.0}))
    async with Meeting(room, engine, clock, settings(duck_db=-30.0), voice_model=LoudIsVoice()):
        room.join("ana", "es", ToneTrack(300.0))
        heard = room.join("ben", "en")
        await prompts_after(room, engine, clock)
        await prompts_after(room, engine, clock)
        assert amplitude(heard.last(10), 1_000.0) == pytest.approx(0.1, rel=0.01)
        assert amplitude(heard.last(10), 300.0) == pytest.approx(0.1 * 10.0**-1.5, rel=0.02)
