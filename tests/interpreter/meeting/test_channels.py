"""A room where everybody hears everything: a channel per language, people assigned by rules, another interpreter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from duplex_model.contract import Pcm, SayCapability
from interpreter.channels import Channel, always_needed, carried
from interpreter.commands.table import Standing
from interpreter.directions import Direction
from interpreter.ears.ear import Ear as MeetingEar
from interpreter.interpretation.language_assignment import assign_languages
from interpreter.meeting import meeting as meeting_module
from interpreter.people import PersonPattern
from interpreter.roles.assignment import assign_roles
from tests.fakes import Ear, amplitude
from tests.interpreter.meeting_stage import (
    ANA_HZ,
    BEN_HZ,
    CAT_HZ,
    EN_HZ,
    ES_HZ,
    FR_HZ,
    LIBRARY,
    NOTICE_HZ,
    Stage,
    stage,
)
from webrtc.room import Attestation, CaptionKind, Hindrance, Listening

EN, ES = Channel(language="en"), Channel(language="es")
RULES = (
    (PersonPattern(name="dr *"), "en"),
    (PersonPattern(email="*@clinica.example"), "es-MX"),
    (PersonPattern(name="Guest", email="guest@*"), "fr"),
)
VOICES = {"x": "1", "y": "2", "z": "3"}


@asynccontextmanager
async def floor(
    *channels: Channel,
    default: str | None = None,
    patterns: tuple[tuple[PersonPattern, str], ...] = (),
    **more: Any,
) -> AsyncIterator[Stage]:
    interpretation = {
        "channels": channels,
        "languages": assign_languages(default, {}, patterns),
        **more.pop("interpretation", {}),
    }
    async with stage(listening=Listening.FLOOR, interpretation=interpretation, **more) as s:
        yield s


def hz(ear: Ear, hz: float, frames: int = 4) -> float:
    return amplitude(ear.last(frames), hz)


# Patterns ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "email", "fits"),
    [
        (PersonPattern(name="dr *"), "DR  Ána López", "", True),
        (PersonPattern(name="dr *"), "Andrea", "", False),
        (PersonPattern(email="*@clinic.org"), "x", "Ana@Clinic.org", True),
        (PersonPattern(email="*"), "x", "", False),
        (PersonPattern(name="a*", email="*@b"), "ana", "ana@c", False),
        (PersonPattern(name="a*", email="*@b"), "ana", "ana@b", True),
        (PersonPattern(), "anybody", "", True),
        (PersonPattern(name="*a*" * 30), "a" * 500, "", True),
    ],
)
def test_people_are_meant_by_what_they_call_themselves(
    pattern: PersonPattern, name: str, email: str, fits: bool
) -> None:
    assert pattern.fits(name, email) is fits


def test_a_name_counts_before_patterns_and_the_first_pattern_before_the_next() -> None:
    languages = assign_languages("pt", {"Dr House": "fr"}, RULES)
    assert languages.at_first("Dr House", None) == "fr"
    assert languages.at_first("Dr Who", None, "who@clinica.example") == "en"
    assert languages.at_first("Luis", "de", "luis@clinica.example") == "es"
    assert languages.at_first("Luis", None) == "pt"
    roles = assign_roles("captions-only", {}, LIBRARY, [(PersonPattern(name="dr *"), "medical-consecutive")])
    assert roles.role_of("Dr Who").name == "medical-consecutive"
    assert roles.role_of("Who").name == "captions-only"


# Directions ----------------------------------------------------------------------------------------------------------


def test_what_no_channel_carries_is_left_out_and_a_channel_may_always_speak() -> None:
    into_en, into_fr = Direction("ana", "es", "en"), Direction("ana", "es", "fr")
    assert carried([into_en, into_fr], [EN, ES]) == [into_en]
    assert carried([into_en, into_fr], []) == [into_en, into_fr]
    assert always_needed(["en", "es"], {"ana": "es", "ben": "fr"}) == [
        into_en,
        Direction("ben", "fr", "en"),
        Direction("ben", "fr", "es"),
    ]
    assert always_needed([], {"ana": "es"}) == []


async def test_languages_come_from_rules_and_every_channel_sounds_alone() -> None:
    async with floor(EN, ES, default="es", patterns=RULES) as s:
        english, spanish = s.room.open_channel("en"), s.room.open_channel("es")
        s.join("ana", "", ANA_HZ, speaking=True)
        s.join("ben", "", BEN_HZ, speaking=True, name="Dr Ben")
        s.say("es", "en", "one " * 30)
        s.say("en", "es", "dos " * 30)
        await s.ticks(20)
        assert hz(english, EN_HZ) == pytest.approx(0.1, rel=0.02)
        assert hz(spanish, ES_HZ) == pytest.approx(0.1, rel=0.02)
        for channel, other_hz in ((english, ES_HZ), (spanish, EN_HZ)):
            for foreign_hz in (other_hz, ANA_HZ, BEN_HZ):
                assert hz(channel, foreign_hz) < 1e-6


async def test_three_languages_sound_on_three_channels_at_once() -> None:
    async with floor(EN, ES, Channel(language="fr")) as s:
        channels = {language: s.room.open_channel(language) for language in ("en", "es", "fr")}
        for who, language, own_hz in (("ana", "es", ANA_HZ), ("ben", "en", BEN_HZ), ("cat", "fr", CAT_HZ)):
            s.join(who, language, own_hz, speaking=True)
        for heard in ("en", "es", "fr"):
            for said in {"en", "es", "fr"} - {heard}:
                s.say(heard, said, "x " * 40)
        await s.ticks(20)
        own = {"en": EN_HZ, "es": ES_HZ, "fr": FR_HZ}
        for language, ear in channels.items():
            assert hz(ear, own[language]) == pytest.approx(0.2, rel=0.1), "of both other speakers"
            assert max(hz(ear, one) for one in own.values() if one != own[language]) < 1e-6


async def test_somebody_without_a_language_is_asked_for_it_and_their_answer_counts() -> None:
    async with floor(EN, ES) as s:
        s.room.open_channel("en"), s.room.open_channel("es")
        s.join("ana", "es", ANA_HZ)
        s.join("ben", "", BEN_HZ, speaking=True)
        await s.ticks(10)
        asked = s.room.notices("ben")["language-unknown"]
        assert "!interp language en" in asked
        assert "qué idioma" in asked
        assert s.engine.serving("en", "es") == []
        s.mouths["ben"].speaking = False
        s.room.write("ben", "!interp language english")
        await s.seconds(12)
        assert "language-unknown" not in s.room.notices("ben")
        assert len(s.engine.serving("en", "es")) == 1
        reply = s.room.replies("ben")[""]
        assert (reply.accepted, reply.language) == (True, "en")


async def test_a_channel_that_nobody_has_is_refused_in_words() -> None:
    async with floor(EN, ES) as s:
        s.room.open_channel("en"), s.room.open_channel("es")
        s.join("ana", "es", ANA_HZ)
        s.join("cat", "fr", CAT_HZ)
        await s.ticks(10)
        assert s.engine.serving("es", "fr") == []
        assert "cannot interpret Ana" in s.room.notices("cat")["refused-hear"]
        assert "francés" in s.room.notices("ana")["refused-speak"]


async def test_a_channel_may_speak_to_listeners_whom_the_room_does_not_tell_of() -> None:
    async with floor(
        Channel(language="en", always=True), ES, spoken_notices=True, say=SayCapability.TRAINED
    ) as s:
        english = s.room.open_channel("en")
        s.join("ana", "es", ANA_HZ, speaking=True)
        s.say("es", "en", [""] * 200 + ["x"] * 100)
        await s.seconds(8)
        loudest = max(amplitude(frame, NOTICE_HZ) for frame in english.frames)
        assert loudest > 0.05, "who only listens is told as well that an AI interprets"
        await s.seconds(14)
        assert hz(english, EN_HZ) == pytest.approx(0.1, rel=0.02)


# Voices --------------------------------------------------------------------------------------------------------------


async def test_each_channel_has_a_voice_of_its_own_whoever_speaks() -> None:
    channels = (EN, ES, Channel(language="fr", voice="z"), Channel(language="de", voice="nobody's"))
    async with floor(*channels, voice_prompt=True, voices=VOICES) as s:
        for who, language in (("ana", "es"), ("eva", "es"), ("ben", "en"), ("cat", "fr"), ("dan", "de")):
            s.join(who, language, ANA_HZ)
        await s.ticks(5)
        voices = {one.prompt.language_out: set[str]() for one in s.engine.sessions.values()}
        for one in s.engine.sessions.values():
            voices[one.prompt.language_out].add(one.prompt.voice)
        assert voices == {"en": {"x"}, "es": {"y"}, "fr": {"z"}, "de": {"x"}}


# Notices -------------------------------------------------------------------------------------------------------------


async def test_notices_sound_once_on_each_channel_in_its_language() -> None:
    async with floor(EN, ES, spoken_notices=True, say=SayCapability.TRAINED) as s:
        english, spanish = s.room.open_channel("en"), s.room.open_channel("es")
        s.join("ana", "es", ANA_HZ)
        s.join("ben", "en", BEN_HZ)
        s.join("bob", "en", CAT_HZ)
        await s.seconds(20)
        for channel in (english, spanish):
            peak = max(amplitude(frame, NOTICE_HZ) for frame in channel.frames)
            assert peak == pytest.approx(0.1, rel=0.05), "not once for every listener"
        assert "inteligencia artificial" in s.told_by_interpreter("ana")
        assert s.told_by_interpreter("ben") == s.told_by_interpreter("bob")
        assert "AI interpreter" in s.told_by_interpreter("ben")


# Names that change ---------------------------------------------------------------------------------------------------


async def test_who_gives_another_name_gets_what_the_rules_have_for_it_unless_they_chose() -> None:
    roles = assign_roles(
        "meeting-simultaneous", {}, LIBRARY, [(PersonPattern(name="dr *"), "medical-consecutive")]
    )
    async with floor(EN, ES, default="es", patterns=RULES, interpretation={"roles": roles}) as s:
        s.join("ana", "", ANA_HZ)
        s.join("ben", "", BEN_HZ, name="Fellow Jitster")
        await s.ticks(5)
        assert s.engine.sessions == {}
        s.room.change("ben", "", name="Dr Ben")
        await s.ticks(20)
        assert len(s.engine.serving("en", "es")) == len(s.engine.serving("es", "en")) == 1
        role = s.meeting._interpretation._orders.cast.role_for("ben")
        assert role.name == "medical-consecutive"
        s.room.change("ben", "", name="Ben")
        await s.ticks(20)
        assert s.engine.sessions == {}
        assert s.meeting._interpretation._orders.cast.role_for("ben").name == "meeting-simultaneous"
        assert (await s.ask("ben", "language", tag="en")).accepted
        s.room.change("ben", "", name="Benito", email="benito@clinica.example")
        await s.ticks(150)
        assert len(s.engine.serving("en", "es")) == 1, "what they chose themselves stays"


# Chat ----------------------------------------------------------------------------------------------------------------


async def test_chat_is_the_command_table_for_hosts_and_for_everybody_about_themselves() -> None:
    async with floor(EN, ES) as s:
        s.room.open_channel("en"), s.room.open_channel("es")
        s.join("ana", "es", ANA_HZ, standing=Standing.HOST.words)
        s.join("ben", "en", BEN_HZ)
        await s.ticks(5)

        async def answer(who: str, line: str) -> tuple[bool, str]:
            s.room.write(who, line)
            await s.ticks(1)
            reply = s.room.replies(who)[""]
            return reply.accepted, reply.text

        assert await answer("ben", "!interp pause") == (
            False,
            "expected a host for `pause`, got a participant",
        )
        assert await answer("ana", "!interp pausa") == (True, "El intérprete hace una pausa.")
        assert s.room.state("ben").paused
        assert (await answer("ana", "!interp continuar"))[0]
        assert not s.room.state("ben").paused
        assert (await answer("ben", "!interp optout"))[0]
        assert not s.meeting._interpretation.listens_to("ben")
        accepted, text = await answer("ben", "!interp balance 0.5")
        assert not accepted
        assert "your own client" in text
        for line in ("!interp original-only on", "!interp captions off"):
            assert not (await answer("ben", line))[0]
        accepted, text = await answer("ben", "!interp fly")
        assert not accepted
        assert "help" in text
        told = len(s.room.told["ben"])
        s.room.write("ben", "we fly tomorrow, !interp or not")
        s.room.write("nobody", "!interp stop")
        await s.clock.advance(0.0)
        assert [m for m in s.room.told["ben"][told:] if not isinstance(m, Attestation)] == []


# Another interpreter -------------------------------------------------------------------------------------------------


async def test_a_second_interpreter_says_so_hears_nobody_and_is_silent_until_the_first_is_gone() -> None:
    async with floor(EN, ES, spoken_notices=True, say=SayCapability.TRAINED) as s:
        english, spanish = s.room.open_channel("en"), s.room.open_channel("es")
        s.room.hinder(Hindrance.ANOTHER_INTERPRETER)
        s.join("ana", "es", ANA_HZ, speaking=True)
        s.join("ben", "en", BEN_HZ, standing=Standing.HOST.words)
        await s.seconds(10)
        assert s.engine.sessions == {}
        for ear in (english, spanish):
            assert not np.concatenate(ear.frames or [np.zeros(1, dtype=np.float32)]).any()
        assert s.room.notices("ben").keys() == s.room.notices("ana").keys() == {"another-interpreter"}
        assert "otro intérprete" in s.room.notices("ana")["another-interpreter"]
        s.room.write("ben", "!interp pause")
        await s.ticks(2)
        assert s.room.replies("ben") == {}, "the other one answers"
        assert s.told_by_interpreter("ben") == ""
        assert s.events() == [] or not any("notice" in one["event"] for one in s.events())
        s.room.hinder(Hindrance.ANOTHER_INTERPRETER, False)
        await s.seconds(10)
        assert s.room.notices("ben") == {}
        assert len(s.engine.serving("es", "en")) == 1
        assert "AI interpreter" in s.told_by_interpreter("ben"), "it opens when it begins"


async def test_an_interpreter_that_comes_second_later_stops_at_once() -> None:
    async with floor(EN, ES) as s:
        english = s.room.open_channel("en")
        s.room.open_channel("es")
        s.join("ana", "es", ANA_HZ, speaking=True)
        s.join("ben", "en", BEN_HZ)
        s.say("es", "en", "x " * 200)
        await s.ticks(20)
        assert hz(english, EN_HZ) > 0.05
        s.room.hinder(Hindrance.ANOTHER_INTERPRETER)
        await s.ticks(10)
        assert hz(english, EN_HZ) < 1e-6
        assert s.engine.sessions == {}
        assert s.captions("ben", CaptionKind.RENDERING)


async def test_encryption_is_refused_in_words_and_nobody_is_listened_to() -> None:
    async with floor(EN, ES) as s:
        s.join("ana", "es", ANA_HZ, speaking=True)
        s.join("ben", "en", BEN_HZ)
        s.room.hinder(Hindrance.ENCRYPTED)
        await s.ticks(10)
        assert "cifrado" in s.room.notices("ana")["encrypted"]
        assert s.engine.sessions == {}
        s.room.hinder(Hindrance.ENCRYPTED, False)
        await s.ticks(10)
        assert len(s.engine.serving("es", "en")) == 1
        assert s.room.notices("ana") == {}


async def test_a_muted_interpreter_says_who_can_change_that_and_goes_on_writing() -> None:
    async with floor(EN, ES) as s:
        s.room.open_channel("en"), s.room.open_channel("es")
        s.join("ana", "es", ANA_HZ, speaking=True)
        s.join("ben", "en", BEN_HZ)
        s.room.hinder(Hindrance.MUTED)
        s.say("es", "en", "it goes on")
        await s.ticks(30)
        assert "!interp resume" in s.room.notices("ben")["muted"]
        assert s.read("ben") == ["it goes on"]


# Echo ----------------------------------------------------------------------------------------------------------------


async def test_an_echo_may_be_of_everything_that_was_published(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Pcm, float]] = []

    class NotingEar(MeetingEar):
        """Notes what is taken for the loudspeaker's sound."""

        def sent(self, pcm: Pcm, at_s: float) -> None:
            sent.append((pcm.copy(), at_s))
            super().sent(pcm, at_s)

    monkeypatch.setattr(meeting_module, "Ear", NotingEar)
    async with floor(EN, ES, cancel_echo=True) as s:
        english, spanish = s.room.open_channel("en"), s.room.open_channel("es")
        s.join("ana", "es", ANA_HZ, speaking=True)
        s.join("ben", "en", BEN_HZ, speaking=True)
        s.say("es", "en", "one " * 30)
        s.say("en", "es", "dos " * 30)
        await s.ticks(20)
        for published, at_s in sent[-2:]:  # of the last tick, one each
            assert at_s == english.at_s[-1] == spanish.at_s[-1]
            np.testing.assert_array_equal(published, english.frames[-1] + spanish.frames[-1])
            assert amplitude(published, EN_HZ) > 0.05
            assert amplitude(published, ES_HZ) > 0.05
