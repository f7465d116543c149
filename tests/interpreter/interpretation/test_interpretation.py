"""Who is interpreted for whom and by what, what everybody is told of it, and what a failure leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from duplex_model.contract import SayCapability
from interpreter.directions import Direction
from interpreter.floor.floor import FloorMode
from interpreter.interpretation.notices import _TEXTS
from interpreter.notices.protocol import ASK_AGAIN_S
from interpreter.record.record import RecordSettings
from interpreter.roles.role import GlossaryEntry, Role
from interpreter.roles.scripts import script
from interpreter.watches.glossary import TermMissed
from interpreter.watches.watches import Watches
from tests.fakes import FRAME_S, Ear, amplitude
from tests.interpreter.meeting_stage import (
    ANA_HZ,
    BEN_HZ,
    CAT_HZ,
    EN_HZ,
    ES_HZ,
    FR_HZ,
    LIBRARY,
    NOTICE_FRAMES,
    NOTICE_HZ,
    Stage,
    stage,
)
from webrtc.room import CaptionKind, DirectionStatus, Lamp, MeetingState, Stored

OWN = CaptionKind.AS_SELF
DUCKED = 10.0 ** (-15.0 / 20.0)
ROLE = LIBRARY.find("meeting-simultaneous")
BOTH = frozenset({"es", "en"})
SPOKEN = {"say": SayCapability.TRAINED}


async def two(h: Stage, *, speaking: str = "") -> tuple[Ear, Ear]:
    ana = h.join("ana", "es", ANA_HZ, speaking="ana" in speaking)
    ben = h.join("ben", "en", BEN_HZ, speaking="ben" in speaking)
    await h.ticks(3)
    return ana, ben


def languages(**pairs: str) -> dict[str, frozenset[str]]:
    return {heard: frozenset(said.split()) for heard, said in pairs.items()}


def sentences(role: Role, script_id: Any, language: str, named: list[str], stored: Any = ()) -> str:
    return script(role, script_id, language, languages=named, stored=stored).text


def events(h: Stage) -> list[str]:
    return [event["event"] for event in h.events()]


# Directions -----------------------------------------------------------------------------------------------------------


async def test_each_direction_is_served_by_the_engine_that_can_and_the_others_are_refused_in_words() -> None:
    engines = {
        "first": {"languages": languages(es="en", en="es"), "checkpoint": "es-en"},
        "second": {"languages": languages(fr="en"), "checkpoint": "fr-en"},
    }
    async with stage(engines=engines) as h:
        _, ben = await two(h)
        cat = h.join("cat", "fr", CAT_HZ, speaking=True)
        await h.ticks(5)
        first, second = h.engines["first"], h.engines["second"]
        assert sorted((s.prompt.language_in, s.prompt.language_out) for s in first.opened) == [
            ("en", "es"),
            ("es", "en"),
        ]
        assert [(s.prompt.language_in, s.prompt.language_out) for s in second.opened] == [("fr", "en")]
        second.lines.left["fr", "en"].extend([" hello"] * 5)
        await h.ticks(8)
        assert h.captions("ben")[-1].speaker_id == "cat"
        assert "Cat" in h.room.notices("ana")["refused-hear"]
        assert "French" in h.room.notices("ben")["refused-speak"]
        assert "Spanish" in h.room.notices("cat")["refused-speak"]
        statuses = {(s.speaker_id, s.language): s.status for s in h.room.state("cat").directions}
        assert statuses["cat", "en"] is DirectionStatus.LIVE
        assert statuses["cat", "es"] is statuses["ben", "fr"] is DirectionStatus.UNSERVED
        assert amplitude(h.room.ears["ana"].last(2), CAT_HZ) == pytest.approx(0.1, rel=0.02), "as they are"
        assert not any(amplitude(frame, EN_HZ) > 1e-3 for frame in h.room.ears["ana"].frames), (
            "never English for somebody who speaks none"
        )
        assert amplitude(ben.last(8), EN_HZ) > 0.0
        assert not cat.fails


async def test_directions_follow_people() -> None:
    async with stage() as h:
        h.join("ana", "es", ANA_HZ)
        await h.ticks(3)
        assert (h.engine.sessions_open, h.room.state("ana").lamp) == (0, Lamp.IDLE)
        h.join("ben", "en", BEN_HZ)
        await h.ticks(3)
        assert h.engine.sessions_open == 2
        h.join("cat", "fr", CAT_HZ)
        await h.ticks(3)
        assert h.engine.sessions_open == 6
        h.room.change("cat", "en")
        await h.ticks(3)
        assert h.engine.sessions_open == 3, "ana for both, both for ana"
        h.room.leave("ana")
        await h.ticks(3)
        assert h.engine.sessions_open == 0
        assert h.room.state("ben").lamp is Lamp.IDLE
        assert h.room.state("ben").directions == ()


async def test_nobody_is_interpreted_who_cannot_be_heard_and_nothing_for_whoever_cannot_hear() -> None:
    async with stage() as h:
        await two(h)
        assert {tap.prompt.language_in for tap in h.engine.opened} == {"es", "en"}
        h.room.become("ben", "en", speaks=False)
        await h.ticks(3)
        assert h.engine.sessions_open == 1, "ana for him"
        h.room.become("ben", "en", listens=False)
        await h.ticks(3)
        assert h.engine.sessions_open == 1, "he for ana"
        assert h.engine.opened[-1].prompt.language_in == "en"
        h.room.become("ben", "en")
        await h.ticks(3)
        assert h.engine.sessions_open == 2


async def test_who_came_without_a_language_is_interpreted_once_they_tell_one() -> None:
    async with stage() as h:
        h.join("ana", "es", ANA_HZ)
        h.join("ben", "", BEN_HZ)
        await h.ticks(3)
        assert h.engine.sessions_open == 0
        await h.ask("ben", "language", tag="en")
        await h.ticks(3)
        assert h.engine.sessions_open == 2


async def test_the_words_of_a_speaker_are_written_down_where_lanes_are_to_spare() -> None:
    async with stage(transcribes=BOTH, transcribe=True, lanes=4) as h:
        await two(h)
        assert h.engine.sessions_open == 3, "two renderings, one transcription, one lane for what may come"
        assert len(h.engine.serving("es", "es")) == 1
        h.say("es", "es", "me duele aquí")
        await h.ticks(10)
        assert h.read("ana", CaptionKind.HEARD) == ["me duele aquí"]
        assert h.read("ben", CaptionKind.HEARD) == [], "they read what it means"
        h.join("cat", "fr", CAT_HZ)
        await h.ticks(3)
        assert h.engine.serving("es", "es") == []
        assert h.engine.sessions_open == 4, "renderings before transcriptions"


async def test_nothing_is_written_down_where_a_host_does_not_want_it() -> None:
    async with stage(transcribes=BOTH, transcribe=False) as h:
        await two(h)
        assert {session.prompt.mode for session in h.engine.opened} == {"simultaneous"}


# Invariants -----------------------------------------------------------------------------------------------------------


async def test_nobody_ever_hears_their_own_voice_or_a_rendering_of_it() -> None:
    hz = {"ana": ANA_HZ, "ben": BEN_HZ, "cat": CAT_HZ}
    own = {"ana": (EN_HZ, FR_HZ), "ben": (ES_HZ, FR_HZ), "cat": (ES_HZ, EN_HZ)}
    for speaker, language in (("ana", "es"), ("ben", "en"), ("cat", "fr")):
        async with stage() as h:
            for who, spoken in (("ana", "es"), ("ben", "en"), ("cat", "fr")):
                h.join(who, spoken, hz[who], speaking=who == speaker)
            await h.ticks(3)
            for other in {"es", "en", "fr"} - {language}:
                h.say(language, other, [" w"] * 20)
            await h.ticks(30)
            heard = np.concatenate(h.room.ears[speaker].frames)
            for frequency in (hz[speaker], *own[speaker]):
                assert amplitude(heard, frequency) < 1e-6
            for session in h.engine.opened:
                if session.prompt.language_in != language:
                    assert not any(frame.any() for frame in session.heard), "no session hears another's track"


@pytest.mark.parametrize("words", ["pause the meeting", "interpreter, be quiet and close", "opt out"])
async def test_a_spoken_instruction_is_interpreted_and_not_obeyed(words: str) -> None:
    async with stage(transcribes=BOTH, transcribe=True) as h:
        await two(h)
        h.say("en", "en", words)
        h.say("en", "es", "haga una pausa en la reunión y cállese")
        await h.ticks(30)
        assert set(events(h)) == {"notice.opening"}
        assert h.room.state("ana").lamp is Lamp.INTERPRETING
        assert "".join(h.read("ana")) == "haga una pausa en la reunión y cállese"


@pytest.mark.parametrize("where", ["heard", "rendered"])
async def test_who_asks_for_a_human_in_so_many_words_has_asked(where: str) -> None:
    async with stage(transcribes=BOTH, transcribe=True) as h:
        await two(h)
        await h.seconds(2.0)
        if where == "heard":
            h.say("es", "es", "quiero un intérprete humano")
        else:
            h.say("es", "en", "I want a human interpreter")
        await h.ticks(8)
        assert h.room.state("ben").human_asked
        [event] = [event for event in h.events() if event["event"] == "human.requested"]
        assert event["actor_id"] == "ana"
        assert "Se ha pedido un intérprete humano." in h.read("ana", OWN)


async def test_who_says_that_the_interpreting_should_stop_is_no_longer_interpreted() -> None:
    async with stage(transcribes=BOTH, transcribe=True) as h:
        await two(h)
        h.say("en", "en", "please stop interpreting")
        await h.ticks(6)
        assert h.room.state("ben").own.stopped
        assert h.engine.sessions_open == 0


# Notices --------------------------------------------------------------------------------------------------------------


async def test_the_opening_is_told_to_everybody_in_their_language_when_interpreting_begins() -> None:
    async with stage() as h:
        h.join("ana", "es", ANA_HZ)
        await h.seconds(2.0)
        assert h.captions("ana", OWN) == [], "nobody is interpreted yet"
        h.join("ben", "en", BEN_HZ)
        await h.seconds(2.0)
        for who, language in (("ana", "es"), ("ben", "en")):
            assert h.told_by_interpreter(who) == sentences(ROLE, "opening", language, ["en", "es"])
            assert {caption.language for caption in h.captions(who, OWN)} == {language}
        h.join("cat", "en", CAT_HZ)
        await h.seconds(2.0)
        assert h.told_by_interpreter("cat") == sentences(ROLE, "late_joiner", "en", ["en", "es"])
        assert events(h).count("notice.opening") == 1


@pytest.mark.parametrize("stored", [frozenset(), frozenset({Stored.TRANSCRIPT})])
async def test_the_opening_says_what_is_kept(stored: frozenset[Stored], tmp_path: Any) -> None:
    record = RecordSettings(keep="text", folder=tmp_path) if stored else None
    async with stage(record=record) as h:
        await two(h)
        await h.seconds(2.0)
        assert h.told_by_interpreter("ana") == sentences(ROLE, "opening", "es", ["en", "es"], stored)


@asynccontextmanager
async def spoken(**changes: Any) -> AsyncIterator[Stage]:
    """A meeting whose engine says notices, and whose opening is over."""
    async with stage(spoken_notices=True, **{**SPOKEN, **changes}) as h:
        await two(h)
        await h.seconds(12.0)
        yield h


async def test_a_notice_is_heard_by_those_it_is_for_and_shown_while_it_is() -> None:
    async with spoken() as h:
        for who in ("ana", "ben"):
            frames = h.room.ears[who].frames
            sounding = [amplitude(frame, NOTICE_HZ) > 0.05 for frame in frames]
            told = script(ROLE, "opening", "es" if who == "ana" else "en", languages=["en", "es"])
            assert sum(sounding) == pytest.approx(
                NOTICE_FRAMES * len(told.sentences), abs=len(told.sentences)
            )
            assert h.told_by_interpreter(who) == told.text


async def test_what_is_said_during_a_notice_is_said_after_it_when_all_its_listeners_are_read_it() -> None:
    async with spoken() as h:
        h.order("notice", name="reminder", participant="ben")
        await h.ticks(3)
        h.say("es", "en", "do not lose me")
        await h.ticks(4)
        assert amplitude(h.room.ears["ben"].last(2), NOTICE_HZ) > 0.05
        assert h.read("ben") == []
        await h.seconds(8.0)
        assert h.read("ben") == ["do not lose me"]


async def test_a_listener_among_many_who_is_read_something_stops_nobody_else_s_rendering() -> None:
    async with spoken() as h:
        cat = h.join("cat", "en", CAT_HZ)
        await h.seconds(10.0)
        ben = h.room.ears["ben"]
        h.say("es", "en", [" w"] * 30)
        await h.ticks(5)
        h.order("notice", name="reminder", participant="cat")
        await h.ticks(6)
        reading = [n for n in range(-5, 0) if amplitude(cat.frames[n], NOTICE_HZ) > 0.05]
        assert reading
        assert all(amplitude(ben.frames[n], EN_HZ) == pytest.approx(0.1, rel=0.05) for n in range(-5, 0))
        assert amplitude(cat.frames[reading[-1]], EN_HZ) < 0.06, "ducked under what they are read"
        assert h.read("ben") == h.read("cat")


async def test_a_language_without_a_voice_is_shown_its_notices_without_a_wait() -> None:
    async with stage(
        spoken_notices=True, say=SayCapability.TRAINED, languages=languages(es="en", fr="en")
    ) as h:
        await two(h)
        await h.seconds(3.0)
        assert h.told_by_interpreter("ana") == sentences(ROLE, "opening", "es", ["en", "es"])
        assert max(amplitude(frame, NOTICE_HZ) for frame in h.room.ears["ana"].frames) < 1e-4
        assert max(amplitude(frame, NOTICE_HZ) for frame in h.room.ears["ben"].frames) > 0.05


@pytest.mark.slow
async def test_people_are_reminded_and_told_the_end() -> None:
    async with stage() as h:
        role = replace(ROLE, policies=replace(ROLE.policies, reminder_min=1.0))
        h.meeting._interpretation._orders.cast = replace(h.meeting._interpretation._orders.cast, role=role)
        await two(h)
        h.order("duck", gain=-15)  # whereupon the protocol follows the role
        await h.seconds(59.0)
        assert events(h).count("notice.reminder") == 0
        await h.seconds(63.0)
        assert events(h).count("notice.reminder") == 2
        assert h.told_by_interpreter("ben").count(sentences(ROLE, "reminder", "en", ["en", "es"])) == 2
        before = h.told_by_interpreter("ana")
        h.order("close")
        await h.seconds(1.0)
        assert h.told_by_interpreter("ana") == f"{before} {sentences(ROLE, 'closing', 'es', ['en', 'es'])}"


# Not understood, too much, failed -------------------------------------------------------------------------------------


async def test_who_was_not_understood_is_asked_in_their_language_and_the_listener_told() -> None:
    async with stage() as h:
        await two(h)
        await h.seconds(2.0)
        before = {who: h.told_by_interpreter(who) for who in ("ana", "ben")}
        h.engine.unsure = lambda prompt: prompt.language_in == "es"
        await h.seconds(ASK_AGAIN_S / 2)
        h.engine.unsure = lambda prompt: False
        await h.seconds(1.0)
        asked = h.told_by_interpreter("ana")[len(before["ana"]) :].strip()
        told = h.told_by_interpreter("ben")[len(before["ben"]) :].strip()
        assert asked == sentences(ROLE, "ask_repeat", "es", ["en", "es"])
        assert told == sentences(ROLE, "listener_told", "en", ["en", "es"])
        assert events(h).count("notice.ask_repeat") == 1
        assert _TEXTS["es"]["misheard-speak"] == h.room.notices("ana")["misheard-speak"]


@pytest.mark.parametrize(("policy", "scripts"), [("tell", ["listener_told"]), ("ignore", [])])
async def test_a_role_may_only_tell_or_say_nothing_of_what_was_not_understood(
    policy: Any, scripts: list[str]
) -> None:
    async with stage() as h:
        role = replace(ROLE, policies=replace(ROLE.policies, on_unsure=policy))
        h.meeting._interpretation._orders.cast = replace(h.meeting._interpretation._orders.cast, role=role)
        await two(h)
        h.order("duck", gain=-15)
        h.engine.unsure = lambda prompt: prompt.language_in == "es"
        await h.ticks(5)
        assert [one for one in events(h) if one.startswith("notice.") and one != "notice.opening"] == [
            f"notice.{one}" for one in scripts
        ]


@pytest.mark.slow
async def test_a_speaker_of_whom_too_much_waits_is_asked_to_pause_and_the_rest_is_read() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        await h.seconds(2.0)
        h.order("hold", direction="es>en")
        h.say("es", "en", [f" w{n}" for n in range(270)])
        await h.seconds(15.5)
        assert events(h).count("notice.ask_pause") == events(h).count("notice.please_wait") == 1
        assert h.told_by_interpreter("ana").endswith(sentences(ROLE, "ask_pause", "es", ["en", "es"]))
        assert "floor.full" not in events(h)
        assert h.read("ben") == []
        await h.seconds(6.5)
        assert events(h).count("floor.full") == 1
        read = h.captions("ben")
        assert read[0].text.startswith("w250")
        assert all(caption.cut for caption in read), "marked: it could not be said"
        h.order("release", direction="es>en")
        await h.seconds(22.0)
        words = " ".join(h.read("ben")).split()
        assert sorted(words, key=lambda word: int(word[1:])) == [f"w{n}" for n in range(270)]


async def test_what_a_failed_session_could_not_say_any_more_is_read_and_the_others_go_on() -> None:
    async with stage() as h:
        _, ben = await two(h)
        cat = h.join("cat", "en", CAT_HZ)
        await h.ticks(3)
        h.order("hold", direction="es>en")
        h.say("es", "en", "never to be said")
        h.say("en", "es", [" a"] * 40)
        await h.ticks(6)
        [session] = h.engine.serving("es", "en")
        others = h.engine.serving("en", "es")
        h.engine.holding = True
        await h.ticks(1)
        session.fail()
        h.engine.holding = False
        h.engine.answer()
        await h.ticks(3)
        assert h.room.notices("ben")["failed-hear"].startswith("The interpreter of Ana had a fault")
        assert h.room.notices("ana")["failed-speak"].startswith("Su intérprete a inglés ha fallado")
        for who in ("ben", "cat"):
            [caption] = h.captions(who)
            assert (caption.text, caption.cut) == ("never to be said", True)
        assert not any(one.closed for one in others)
        [status] = {one.status for one in h.room.state("cat").directions if one.speaker_id == "ana"}
        assert status is DirectionStatus.DOWN
        await h.seconds(2.0)
        assert len(h.engine.serving("es", "en")) == 1, "another took over"
        assert "failed-hear" not in h.room.notices("ben")
        assert ben.ticks == list(range(ben.ticks[0], ben.ticks[-1] + 1))
        assert len(cat.ticks) > 20


async def test_two_engines_fail_apart() -> None:
    engines = {"first": {"languages": languages(es="en")}, "second": {"languages": languages(en="es")}}
    async with stage(engines=engines) as h:
        await two(h)
        h.engines["first"].die()
        await h.ticks(3)
        assert {s.language: s.status for s in h.room.state("ana").directions} == {
            "en": DirectionStatus.DOWN,
            "es": DirectionStatus.LIVE,
        }
        h.engines["second"].lines.left["en", "es"].extend([" hola"])
        await h.ticks(3)
        assert h.read("ana") == ["hola"]


# States ---------------------------------------------------------------------------------------------------------------


async def test_a_state_is_told_when_it_changes_and_only_then() -> None:
    def told(h: Stage, who: str) -> list[MeetingState]:
        return [message for message in h.room.told[who] if isinstance(message, MeetingState)]

    async with stage() as h:
        await two(h, speaking="ana ben")
        await h.seconds(2.0)
        count = len(told(h, "ana"))
        h.say("es", "en", [" w"] * 10)
        await h.seconds(3.0)
        assert len(told(h, "ana")) == count
        await h.ask("ben", "captions", state="off")
        await h.ticks(5)
        assert len(told(h, "ana")) == count, "it is no matter of hers"
        await h.ask("ben", "optout")
        await h.ticks(5)
        assert len(told(h, "ana")) > count
        states = told(h, "ana")
        assert all(a != b for a, b in zip(states, states[1:], strict=False))


async def test_a_turn_that_waits_is_shown_as_waiting() -> None:
    async with stage(role="medical-consecutive") as h:
        await two(h, speaking="ana")
        h.say("es", "en", "wait for the end")
        await h.seconds(1.5)
        [status] = [one.status for one in h.room.state("ben").directions if one.speaker_id == "ana"]
        assert status is DirectionStatus.HELD
        assert h.read("ben") == []
        h.mouths["ana"].speaking = False
        await h.seconds(2.5)
        assert h.read("ben") == ["wait for the end"]
        [status] = [one.status for one in h.room.state("ben").directions if one.speaker_id == "ana"]
        assert status is DirectionStatus.LIVE
        assert h.room.state("ben").mode == "consecutive"


async def test_a_speaker_who_leaves_while_their_turn_waits_can_still_be_read() -> None:
    async with stage(role="medical-consecutive") as h:
        await two(h, speaking="ana")
        await h.seconds(2.0)
        h.say("es", "en", "my last words")
        await h.ticks(6)
        assert h.read("ben") == []
        h.room.leave("ana")
        await h.ticks(6)
        [caption] = h.captions("ben")
        assert (caption.text, caption.cut, caption.final) == ("my last words", True, True)


async def test_a_listener_who_speaks_stops_the_rendering_and_it_is_marked() -> None:
    async with stage() as h:
        _, ben = await two(h)
        await h.seconds(2.0)
        h.say("es", "en", [" w"] * 60)
        await h.ticks(12)
        h.mouths["ben"].speaking = True
        await h.ticks(24)
        assert amplitude(ben.last(2), EN_HZ) < 1e-3, "a tone may be an mm-hm, but not for that long"
        assert any(caption.cut for caption in h.captions("ben"))


async def test_the_delay_of_a_frame_is_the_same_with_everything_at_work() -> None:
    async with stage(spoken_notices=True, transcribes=BOTH, transcribe=True, **SPOKEN) as h:
        _, ben = await two(h, speaking="ana")
        await h.seconds(4.0)
        cushions = [at_s - h.engine.grid.time_of(n) for n, at_s in zip(ben.ticks, ben.at_s, strict=True)]
        assert cushions == pytest.approx([cushions[0]] * len(cushions))
        assert cushions[0] < FRAME_S


async def test_nothing_is_rendered_aloud_for_listeners_who_only_read() -> None:
    async with stage() as h:
        await two(h, speaking="ben")
        await h.ask("ben", "original-only", state="on")
        await h.ticks(3)
        h.say("es", "en", [" w"] * 30)
        await h.seconds(4.0)
        assert h.meeting.cost().interpreted_s == 0.0
        [caption] = h.captions("ben")
        assert (caption.text.count("w"), caption.cut) == (30, False), "nothing to interrupt, nothing cut"


def test_another_role_brings_its_own_glossary_and_checks() -> None:
    terms = {"es": "fiebre", "en": "fever"}
    medical = replace(ROLE, glossary=(GlossaryEntry(terms=terms),), checks=("dose",))
    direction, heard = Direction("ana", "es", "en"), Direction("ana", "es", "es")
    watches = Watches()
    for role in (ROLE, medical):
        watches.keep({direction: role, heard: role}, {direction: FloorMode.SIMULTANEOUS})
        watches.heard(heard, 100, " fiebre", [direction])
        late = 100 + round(3 * role.policies.hold_limit_s / FRAME_S)
        watches.said(direction, late, " heat")
    assert [type(one.result) for one in watches.results if isinstance(one.result, TermMissed)] == [TermMissed]
