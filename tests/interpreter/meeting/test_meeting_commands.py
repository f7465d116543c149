"""Commands in a meeting: each has its answer in the language of who gave it, and does what its summary says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interpreter.commands.arguments import Choice
from interpreter.commands.commands import Actor
from interpreter.commands.control import carried_out
from interpreter.commands.table import COMMANDS, CommandSpec, Standing, Whom
from interpreter.identity.verify import Verdict, verify
from interpreter.roles.scripts import script
from tests.fakes import amplitude
from tests.interpreter.meeting_stage import (
    ANA_HZ,
    BEN_HZ,
    CAT_HZ,
    EN_HZ,
    LIBRARY,
    Stage,
    stage,
)
from webrtc.room import (
    Attestation,
    CaptionKind,
    DirectionStatus,
    Lamp,
    MeetingState,
    Replied,
)

DUCKED = 10.0 ** (-15.0 / 20.0)
OWN = CaptionKind.AS_SELF


async def two(h: Stage, *, speaking: str = "") -> None:
    """Ana, who speaks Spanish, and Ben, who speaks English."""
    h.join("ana", "es", ANA_HZ, speaking="ana" in speaking)
    h.join("ben", "en", BEN_HZ, speaking="ben" in speaking)
    await h.ticks(3)


def example(spec: CommandSpec) -> dict[str, Any]:
    """Arguments that a meeting of Ana and Ben can act on."""
    examples = {
        "tag": "es",
        "level": 0.5,
        "state": True,
        "direction": "es>en",
        "gain": -20,
        "term": "fiebre",
        "translation": "fever",
        "text": "called the ward",
        "url": "https://meet.example.org/room",
        "name": {"role": "medical-consecutive", "voice": "clara"}.get(spec.name, "any"),
    }
    given = {
        argument.name: argument.kind.choices[0]
        if isinstance(argument.kind, Choice)
        else examples[argument.name]
        for argument in spec.arguments
    }
    if spec.subject is not None and spec.subject.unnamed is Whom.NAMED:
        given["participant"] = "ben"
    return given


@pytest.mark.slow
async def test_each_command_has_an_answer_in_the_language_of_who_gave_it_and_a_line_in_the_log() -> None:
    assert set(carried_out()) == set(COMMANDS)
    answers: dict[str, dict[str, str]] = {"es": {}, "en": {}}
    for who, language in (("ana", "es"), ("ben", "en")):
        for spec in COMMANDS.values():
            async with stage(voices={"clara": "ab" * 32}, voice_prompt=True) as h:
                await two(h)
                actor = Actor(name=who.title(), standing=Standing.ADMIN, participant_id=who)
                answer = h.meeting.command(spec.name, example(spec), actor)
                assert answer.language == language, spec.name
                answers[language][spec.name] = answer.text
                logged = [event for event in h.events() if event["event"] == spec.audit_event]
                assert len(logged) == 1, spec.name
                assert (logged[0]["actor"], logged[0]["actor_id"]) == (who.title(), who)
                assert logged[0]["actor_role"] == "admin"
                refused = [event for event in h.events() if event["event"] == "command.refused"]
                assert len(refused) == (not answer.accepted), spec.name
    for name, text in answers["es"].items():
        assert text != answers["en"][name], name
        assert "{" not in text + answers["en"][name]


async def test_what_a_command_is_told_of_what_was_said_is_in_no_log() -> None:
    async with stage() as h:
        await two(h)
        operator = Actor(name="Op", standing=Standing.OPERATOR)
        h.meeting.command("note", {"text": "the CANARY sings"}, operator)
        h.order("glossary-add", direction="es>en", term="canario", translation="CANARY")
        lines = h.meeting._record.audit.lines
        assert "CANARY" not in "".join(lines)
        assert "canario" not in "".join(lines)
        data = [line.encode() + b"\n" for line in lines]
        assert verify(data).verdict is Verdict.INCOMPLETE  # as long as the meeting runs
        assert not verify(data).faults


async def test_a_page_is_answered_after_it_is_shown_what_holds() -> None:
    async with stage() as h:
        await two(h)
        assert (await h.ask("ana", "optout")).accepted
        told = h.room.told["ana"]
        answer = next(n for n, message in enumerate(told) if isinstance(message, Replied))
        states = [message for message in told[:answer] if isinstance(message, MeetingState)]
        assert states[-1].own.opted_out
        assert states[-1].opted_out == {"ana"}
        assert [one for one in h.room.told["ben"] if isinstance(one, Replied)] == []


@pytest.mark.parametrize(
    ("name", "arguments", "english", "spanish"),
    [
        ("optuot", {}, "did you mean `optout`", "Esa orden no existe; «!interp ayuda» dice cuáles hay."),
        (
            "pause",
            {},
            "expected a host for `pause`",
            "La orden «pause» la da quien dirige la reunión o la propia persona.",
        ),
        (
            "optin",
            {"participant": "cat"},
            "for themselves",
            "La orden «optin» la da quien dirige la reunión o la propia persona.",
        ),
        (
            "language",
            {},
            "expected a language, such as es",
            "A la orden «language» le falta algo, o no se entiende. Se escribe así: !interp language TAG",
        ),
    ],
)
async def test_a_refusal_is_in_the_language_of_who_asked(
    name: str, arguments: dict[str, Any], english: str, spanish: str
) -> None:
    async with stage() as h:
        await two(h)
        h.join("cat", "en", CAT_HZ)
        await h.ticks(2)
        answer = await h.ask("ana", name, **arguments)
        assert (answer.accepted, answer.text[: len(spanish)], answer.language) == (False, spanish, "es")
        answer = await h.ask("ben", name, **arguments)
        assert (answer.accepted, answer.language) == (False, "en")
        assert english in answer.text
        refused = [event for event in h.events() if event["event"] == "command.refused"]
        assert [(event["actor_id"], event["actor_role"]) for event in refused] == [
            ("ana", "participant"),
            ("ben", "participant"),
        ]


# Opting out -----------------------------------------------------------------------------------------------------------


async def test_from_the_tick_of_an_opt_out_nothing_listens_to_that_track() -> None:
    async with stage(transcribes=frozenset({"es", "en"}), transcribe=True) as h:
        await two(h, speaking="ana ben")
        await h.ticks(3)
        sessions = [*h.engine.serving("es", "en"), *h.engine.serving("es", "es")]
        assert len(sessions) == 2
        heard = [len(session.heard) for session in sessions]
        pulled = len(h.mouths["ana"].pulls)
        assert (await h.ask("ana", "optout")).accepted
        assert all(session.closed for session in sessions)
        h.say("es", "en", "never")
        h.say("es", "es", "nunca")
        await h.ticks(10)
        assert [len(session.heard) for session in sessions] == heard
        assert h.engine.serving("es", "en") == h.engine.serving("es", "es") == []
        assert h.captions("ben") == h.captions("ana", CaptionKind.HEARD) == []
        levels = h.room.levels("ben")
        assert levels.dbfs["ana"] == -100.0
        assert levels.speaking == {"ben"}
        assert len(h.mouths["ana"].pulls) == pulled + 10, "their buffer moves on"
        assert amplitude(h.room.ears["ben"].last(3), ANA_HZ) == pytest.approx(0.1, rel=0.01), "as they are"
        assert h.engine.serving("en", "es"), "they still hear the others interpreted"


async def test_the_level_of_who_opts_out_is_gone_with_the_next_tick() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        await h.ask("ana", "optout")
        await h.ticks(1)
        assert h.room.levels("ben").speaking == frozenset()


async def test_who_opted_out_is_not_asked_held_up_or_yielded_to() -> None:
    async with stage() as h:
        await two(h, speaking="ben")
        await h.ask("ben", "optout")
        await h.ticks(3)
        h.say("es", "en", [" w"] * 30)
        await h.ticks(30)
        assert h.read("ben")[-1].count("w") == 30, "their voice is no interruption: nobody listens to it"


async def test_opting_in_begins_anew() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        await h.ticks(5)
        await h.ask("ana", "optout")
        await h.ticks(5)
        assert (await h.ask("ana", "optin")).accepted
        await h.ticks(3)
        [session] = h.engine.serving("es", "en")
        assert amplitude(session.heard[-1], ANA_HZ) == pytest.approx(0.1, rel=0.01)
        assert h.room.state("ben").opted_out == frozenset()


@pytest.mark.parametrize("name", ["optin", "optout"])
async def test_no_host_opts_anybody_in_or_out(name: str) -> None:
    async with stage() as h:
        await two(h)
        await h.ask("ana", "optout")
        assert not h.order(name, participant="ana").accepted
        assert not h.order("unmute", participant="ana").text.startswith("The interpreter listens")
        await h.ticks(2)
        assert h.room.state("ben").opted_out == {"ana"}
        assert h.engine.serving("es", "en") == []


async def test_a_host_mutes_and_unmutes_for_the_interpreter_alone() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        assert h.order("mute", participant="ana").text == "The interpreter no longer listens to Ana."
        await h.ticks(5)
        assert h.engine.serving("es", "en") == []
        assert h.room.state("ben").opted_out == frozenset()
        assert amplitude(h.room.ears["ben"].last(2), ANA_HZ) == pytest.approx(0.1, rel=0.02)
        h.order("unmute", participant="ana")
        await h.ticks(2)
        assert len(h.engine.serving("es", "en")) == 1


# For oneself ----------------------------------------------------------------------------------------------------------


async def test_who_stops_hears_everybody_directly_and_is_not_interpreted_until_they_start() -> None:
    async with stage() as h:
        await two(h, speaking="ana ben")
        h.join("cat", "en", CAT_HZ)
        await h.ticks(3)
        h.say("es", "en", [" w"] * 20)
        await h.ticks(5)
        assert (
            await h.ask("ben", "stop")
        ).text == "You are no longer interpreted, and hear everybody directly."
        await h.ticks(6)
        assert h.engine.serving("en", "es"), "cat still speaks"
        assert len(h.engine.serving("en", "es")) == 1
        assert amplitude(h.room.ears["ben"].last(2), EN_HZ) < 1e-4
        assert amplitude(h.room.ears["ben"].last(2), ANA_HZ) == pytest.approx(0.1, rel=0.02)
        assert amplitude(h.room.ears["cat"].last(2), EN_HZ) > 0.05, "cat hears on"
        assert amplitude(h.room.ears["ana"].last(2), BEN_HZ) == pytest.approx(0.1, rel=0.02)
        state = h.room.state("ben")
        assert state.own.stopped
        assert {one.status for one in state.directions} == {DirectionStatus.STOPPED}
        shown = len(h.captions("ben"))
        h.say("es", "en", "more")
        await h.ticks(20)
        assert len(h.captions("ben")) == shown
        await h.ask("ben", "start")
        await h.ticks(3)
        assert len(h.engine.serving("en", "es")) == 2
        assert not h.room.state("ben").own.stopped


async def test_a_host_stops_and_starts_another_and_everybody() -> None:
    async with stage() as h:
        await two(h)
        answer = h.order("stop", participant="ana")
        assert answer.text == "Ana is no longer interpreted, and hears everybody directly."
        await h.ticks(2)
        assert h.engine.sessions_open == 0, "nothing is left to interpret for the other"
        assert h.order("start", participant="ana").text == "Ana is interpreted again."
        await h.ticks(2)
        assert h.engine.sessions_open == 2
        assert h.order("stop", participant="all").text == "Nobody is interpreted any more."
        await h.ticks(2)
        assert h.engine.sessions_open == 0
        assert h.room.state("ana").lamp is Lamp.IDLE
        h.order("start", participant="all")
        await h.ticks(2)
        assert h.engine.sessions_open == 2


async def test_original_only_and_balance_say_what_one_hears_and_nobody_else() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        h.join("cat", "en", CAT_HZ)
        await h.ticks(3)
        h.say("es", "en", [" w"] * 90)
        await h.ticks(20)
        ben, cat = h.room.ears["ben"], h.room.ears["cat"]
        assert amplitude(ben.last(2), EN_HZ) == pytest.approx(0.1, rel=0.02)
        assert amplitude(ben.last(2), ANA_HZ) == pytest.approx(0.1 * DUCKED, rel=0.02)
        await h.ask("ben", "original-only", state="on")
        await h.ticks(10)
        assert amplitude(ben.last(2), EN_HZ) < 1e-4
        assert amplitude(ben.last(2), ANA_HZ) == pytest.approx(0.1, rel=0.02)
        assert amplitude(cat.last(2), EN_HZ) == pytest.approx(0.1, rel=0.02)
        assert h.read("ben")[-1].count("w") == h.read("cat")[-1].count("w"), "they read on"
        assert h.room.state("ben").own.original_only
        await h.ask("ben", "original-only", state="off")
        await h.ask("ben", "balance", level=0.25)
        await h.ticks(10)
        assert amplitude(ben.last(2), EN_HZ) == pytest.approx(0.05, rel=0.02)
        original = 0.1 * (0.75 + 0.25 * DUCKED)
        assert amplitude(ben.last(2), ANA_HZ) == pytest.approx(original, rel=0.02)
        assert h.room.state("ben").own.balance == 0.25


async def test_captions_are_shown_to_those_who_want_them() -> None:
    async with stage() as h:
        await two(h)
        await h.ask("ben", "captions", state="off")
        h.say("es", "en", "hello there")
        await h.ticks(20)
        assert h.captions("ben") == []
        assert amplitude(h.room.ears["ben"].last(19), EN_HZ) > 0.0, "they hear it all the same"
        assert not h.room.state("ben").own.captions
        await h.ask("ben", "captions", state="on")
        h.say("es", "en", "hello again")
        await h.ticks(20)
        assert h.read("ben") == ["hello again"]


async def test_who_neither_hears_nor_reads_needs_no_session() -> None:
    async with stage() as h:
        await two(h)
        await h.ask("ben", "captions", state="off")
        await h.ask("ben", "original-only", state="on")
        await h.ticks(2)
        assert h.engine.serving("es", "en") == []
        assert len(h.engine.serving("en", "es")) == 1


async def test_what_was_heard_last_is_said_again_to_those_it_is_for() -> None:
    async with stage() as h:
        await two(h)
        assert (await h.ask("ben", "repeat")).text == "There is nothing to repeat yet."
        h.say("es", "en", "take two pills")
        await h.ticks(20)
        assert amplitude(h.room.ears["ben"].last(3), EN_HZ) < 1e-4
        answer = await h.ask("ben", "repeat")
        assert (answer.accepted, answer.text) == (True, "The interpreter says it again.")
        await h.ticks(6)
        assert amplitude(h.room.ears["ben"].frames[-4], EN_HZ) > 0.05
        assert not (await h.ask("ana", "repeat")).accepted, "nothing was said to her"
        await h.ticks(20)
        assert h.read("ben") == ["take two pills"] * 2


async def test_a_request_for_a_human_is_told_to_everybody_once_and_shown() -> None:
    async with stage() as h:
        await two(h)
        assert (await h.ask("ana", "human")).text == "Se ha pedido un intérprete humano."
        await h.ticks(6)
        assert "humano" in h.told_by_interpreter("ana")
        assert "human" in h.told_by_interpreter("ben")
        assert h.room.state("ben").human_asked
        told = len(h.captions("ben", OWN))
        await h.ask("ben", "human")
        await h.ticks(10)
        assert len(h.captions("ben", OWN)) == told
        assert h.engine.sessions_open == 2, "the interpreter goes on until one takes over"


async def test_what_holds_is_told() -> None:
    async with stage() as h:
        await two(h)
        who = (await h.ask("ana", "who")).text
        assert "Ana (español)" in who
        assert "Ben (inglés)" in who
        assert "en > es, es > en" in who
        assert "meeting-simultaneous" in who
        assert (await h.ask("ana", "stored")).text == "No se guarda nada de esta reunión."
        helped = (await h.ask("ben", "help")).text
        assert "optout" in helped
        assert "pause" not in helped
        assert "pause" in h.order("help").text


# Language -------------------------------------------------------------------------------------------------------------


async def test_a_language_is_taken_up_at_the_next_silence() -> None:
    async with stage() as h:
        await two(h, speaking="ben")
        await h.ticks(5)
        [session] = h.engine.serving("en", "es")
        answer = await h.ask("ben", "language", tag="Spanish")
        assert answer.text == "From the next silence on you speak and hear Spanish."
        await h.ticks(20)
        assert not session.closed, "in the middle of a sentence"
        assert h.room.state("ben").own.language == "es"
        h.mouths["ben"].speaking = False
        await h.seconds(5.0)
        assert session.closed
        assert h.engine.sessions_open == 0
        assert h.room.state("ben").lamp is Lamp.IDLE


async def test_a_host_tells_the_language_of_another() -> None:
    async with stage() as h:
        await two(h)
        answer = h.order("language", tag="fr-CA", participant="ben")
        assert answer.text == "From the next silence on Ben speaks and hears French."
        await h.ticks(2)
        assert len(h.engine.serving("fr", "es")) == len(h.engine.serving("es", "fr")) == 1
        assert h.engine.serving("en", "es") == []


async def test_the_room_tells_a_language_after_a_command_did_and_counts() -> None:
    async with stage() as h:
        await two(h)
        h.order("language", tag="fr", participant="ben")
        await h.ticks(2)
        h.room.change("ben", "de")
        await h.ticks(2)
        assert len(h.engine.serving("de", "es")) == 1
        assert h.room.state("ben").own.language == ""


async def test_languages_are_exchanged() -> None:
    async with stage() as h:
        await two(h)
        assert h.order("swap").accepted
        await h.ticks(2)
        assert h.meeting._interpretation.languages == {"ana": "en", "ben": "es"}
        h.join("cat", "fr", CAT_HZ)
        await h.ticks(2)
        answer = h.order("swap")
        assert answer.text == "Two languages are needed to exchange them; there are 3."


# For hosts ------------------------------------------------------------------------------------------------------------


async def test_a_pause_lets_the_unit_finish_and_then_nothing_is_said_or_heard_until_it_is_over() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        h.say("es", "en", [*(f" w{n}" for n in range(12)), "", "", "", *(f" v{n}" for n in range(5))])
        await h.ticks(4)
        [session] = h.engine.serving("es", "en")
        assert h.order("pause").accepted
        assert h.room.state("ben").lamp is Lamp.PAUSED
        assert {one.status for one in h.room.state("ben").directions} == {DirectionStatus.PAUSED}
        await h.ticks(30)
        assert h.read("ben") == [" ".join(f"w{n}" for n in range(12))]
        assert amplitude(h.room.ears["ben"].last(10), EN_HZ) < 1e-4
        assert "pausa" in h.told_by_interpreter("ana")
        assert not any(frame.any() for frame in session.heard[-20:]), (
            "what is said in a pause is not rendered"
        )
        answer = h.order("resume")
        assert answer.accepted
        await h.ticks(15)
        assert h.read("ben")[-1] == " ".join(f"v{n}" for n in range(5)), "nothing is lost"
        assert session.heard[-1].any()
        assert h.room.state("ben").lamp is Lamp.INTERPRETING


async def test_pause_and_resume_are_said_once() -> None:
    async with stage() as h:
        await two(h)
        h.order("resume")
        await h.ticks(5)
        before = len(h.captions("ben", OWN))
        for name in ("pause", "pause", "resume", "resume"):
            h.order(name)
        await h.ticks(10)
        events = [event["event"] for event in h.events()]
        assert events.count("notice.paused") == events.count("notice.resumed") == 1
        assert len(h.captions("ben", OWN)) > before


@pytest.mark.parametrize("direction", ["es>en", "es-MX>en-GB"])
async def test_what_is_held_back_is_said_when_it_is_released(direction: str) -> None:
    async with stage() as h:
        await two(h)
        assert h.order("hold", direction=direction).text == "es > en is held back."
        h.say("es", "en", "held words")
        h.say("en", "es", "otra cosa")
        await h.ticks(10)
        assert h.read("ben") == []
        assert h.read("ana") == ["otra cosa"], "the other direction goes on"
        [state] = [one for one in h.room.state("ben").directions if one.speaker_id == "ana"]
        assert state.status is DirectionStatus.HELD
        assert h.order("release", direction=direction).text == "es > en is no longer held back."
        await h.ticks(10)
        assert h.read("ben") == ["held words"]
        assert h.order("release", direction=direction).text == "es > en was not held back."


async def test_one_speaker_is_held_back_alone() -> None:
    async with stage() as h:
        await two(h)
        h.join("cat", "en", CAT_HZ)
        await h.ticks(2)
        h.order("hold", direction="en>es", participant="cat")
        h.say("en", "es", ["a", "a", "a", "a"])  # their two sessions take turns with the words
        await h.ticks(10)
        assert {caption.speaker_id for caption in h.captions("ana")} == {"ben"}
        h.order("release", direction="en>es")
        await h.ticks(10)
        assert {caption.speaker_id for caption in h.captions("ana")} == {"ben", "cat"}


async def test_a_human_takes_over_at_once_and_hands_back() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        h.say("es", "en", [" w"] * 60)
        await h.ticks(10)
        assert amplitude(h.room.ears["ben"].last(2), EN_HZ) > 0.05
        assert h.order("handover").accepted
        assert h.room.state("ben").lamp is Lamp.HUMAN
        await h.ticks(6)
        assert amplitude(h.room.ears["ben"].last(2), EN_HZ) < 1e-4, "silent though she speaks on"
        await h.ticks(50)
        assert "".join(h.read("ben")).count("w") == 60, "captions go on"
        assert not any(caption.cut for caption in h.captions("ben")[1:])
        h.mouths["ana"].speaking = False
        await h.ticks(12)
        assert h.order("handback").accepted
        await h.ticks(3)
        h.say("es", "en", "back again")
        await h.ticks(8)
        assert amplitude(h.room.ears["ben"].last(7), EN_HZ) > 0.01
        assert h.room.state("ben").lamp is Lamp.INTERPRETING
        assert not h.room.state("ben").human_asked


async def test_a_mode_is_taken_up_between_utterances() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        h.say("es", "en", [" w"] * 20)
        await h.ticks(5)
        answer = h.order("mode", mode="consecutive")
        assert answer.text == "From the next silence on: interpreting after each turn."
        await h.ticks(8)
        assert amplitude(h.room.ears["ben"].last(2), EN_HZ) > 0.05, "the utterance is said to its end"
        await h.ticks(10)
        h.mouths["ana"].speaking = False
        await h.ticks(12)
        h.mouths["ana"].speaking = True
        await h.ticks(3)
        h.say("es", "en", "the next turn")
        await h.ticks(15)
        assert "next" not in "".join(h.read("ben")), "she still speaks"
        h.mouths["ana"].speaking = False
        await h.ticks(15)
        assert h.read("ben")[-1] == "the next turn"
        assert h.room.state("ben").mode == "consecutive"


async def test_captions_alone_are_announced_and_nothing_sounds() -> None:
    async with stage() as h:
        await two(h)
        h.order("mode", mode="captions")
        await h.ticks(2)
        h.say("es", "en", "only text")
        await h.ticks(20)
        assert h.read("ben") == ["only text"]
        assert not any(caption.cut for caption in h.captions("ben")), "that is how it is meant"
        assert max(amplitude(frame, EN_HZ) for frame in h.room.ears["ben"].frames) < 1e-4
        assert h.room.state("ben").lamp is Lamp.CAPTIONS
        assert {one.status for one in h.room.state("ben").directions} == {DirectionStatus.CAPTIONS}
        assert "notice.captions_only" in [event["event"] for event in h.events()]


async def test_a_role_comes_with_a_session_of_its_own_between_utterances() -> None:
    async with stage(role_text=True) as h:
        await two(h, speaking="ana")
        [old] = h.engine.serving("es", "en")
        h.say("es", "en", [" w"] * 25)
        await h.ticks(5)
        checksum = h.room.state("ben").role_checksum
        answer = h.order("role", name="medical-consecutive")
        assert answer.text.startswith("From the next silence on: ")
        h.mouths["ana"].speaking = False
        await h.ticks(15)
        assert not old.closed, "she is silent, her rendering is not"
        await h.ticks(30)
        [new] = h.engine.serving("es", "en")
        assert old.closed
        assert new.prompt.role_text != old.prompt.role_text
        state = h.room.state("ben")
        assert (state.role, state.mode) == ("medical-consecutive", "consecutive")
        assert state.role_checksum not in ("", checksum)
        assert "".join(h.read("ben")).count("w") == 25
        unknown = h.order("role", name="poet")
        assert unknown.text.startswith("There is no role poet; there are: captions-only, ")


async def test_a_session_that_has_yet_to_render_a_turn_is_not_replaced_before_it_did() -> None:
    async with stage(role_text=True) as h:
        await two(h, speaking="ana")
        await h.ticks(10)
        [old] = h.engine.serving("es", "en")
        h.order("role", name="medical-simultaneous")
        h.mouths["ana"].speaking = False
        await h.ticks(20)  # 1.6 s behind the speaker's end, a rendering may still come
        h.say("es", "en", [" late", "", "", "", " words"])
        await h.ticks(10)
        assert h.read("ben") == ["late words"]
        assert not old.closed
        await h.seconds(5.0)
        assert old.closed


async def test_one_persons_role_is_theirs_alone() -> None:
    async with stage(role_text=True) as h:
        await two(h)
        [other] = h.engine.serving("en", "es")
        h.order("role", name="medical-consecutive", participant="ana")
        await h.seconds(5.0)
        [new] = h.engine.serving("es", "en")
        assert "medical" in new.prompt.role_text.lower() or new.prompt.role_text != other.prompt.role_text
        assert not other.closed
        assert h.room.state("ben").role == "meeting-simultaneous"


async def test_a_role_that_renders_otherwise_than_people_expect_is_announced() -> None:
    async with stage() as h:
        await two(h)
        await h.ticks(20)
        before = h.told_by_interpreter("ben")
        h.order("role", name="plain-language-relay")
        await h.ticks(20)
        assert "notice.announcement" in [event["event"] for event in h.events()]
        assert len(h.told_by_interpreter("ben")) > len(before)


async def test_a_voice_is_prompted_between_utterances_for_everybody_or_one() -> None:
    voices = {"clara": "ab" * 32, "david": "cd" * 32}
    async with stage(voice_prompt=True, voices=voices) as h:
        await two(h)
        assert {
            h.engine.serving("es", "en")[0].prompt.voice,
            h.engine.serving("en", "es")[0].prompt.voice,
        } == {
            "clara",
            "david",
        }
        h.order("voice", name="david")
        await h.seconds(5.0)
        assert [session.prompt.voice for session in h.engine.sessions.values()] == ["david"] * 2
        h.order("voice", name="clara", participant="ben")
        await h.seconds(5.0)
        assert h.engine.serving("en", "es")[0].prompt.voice == "clara"
        assert h.engine.serving("es", "en")[0].prompt.voice == "david"
        assert h.order("voice", name="zoe").text == "There is no voice zoe; there are: clara, david."


async def test_people_are_asked_to_repeat_or_to_slow_down() -> None:
    async with stage() as h:
        await two(h)
        await h.seconds(3.0)
        h.order("ask-repeat", participant="ana")
        await h.ticks(10)
        told = [event["event"] for event in h.events()]
        assert told.count("notice.ask_repeat") == told.count("notice.listener_told") == 1
        ana, ben = h.read("ana", OWN)[-1], h.read("ben", OWN)[-1]
        assert ana == script(LIBRARY.find("meeting-simultaneous"), "ask_repeat", "es").sentences[-1]
        assert ben != ana
        before = len(h.read("ben", OWN)), len(h.read("ana", OWN))
        h.order("slower", participant="ana")
        await h.ticks(10)
        assert len(h.read("ben", OWN)) == before[0]
        assert len(h.read("ana", OWN)) > before[1]
        h.order("slower")
        await h.ticks(10)
        assert len(h.read("ben", OWN)) > before[0]


async def test_originals_are_ducked_as_far_as_a_host_says() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        h.order("duck", gain=-30)
        h.say("es", "en", [" w"] * 30)
        await h.ticks(25)
        assert amplitude(h.room.ears["ben"].last(2), ANA_HZ) == pytest.approx(0.1 * 10**-1.5, rel=0.02)


async def test_a_notice_is_said_to_whom_it_is_asked_for() -> None:
    async with stage() as h:
        await two(h)
        await h.seconds(2.0)
        before = len(h.read("ana", OWN)), len(h.read("ben", OWN))
        assert h.order("notice", name="reminder", participant="ana").accepted
        await h.ticks(10)
        assert len(h.read("ana", OWN)) > before[0]
        assert len(h.read("ben", OWN)) == before[1]
        assert h.order("notice", name="announcement").text.endswith("has no such notice.")


async def test_a_term_is_watched_for_from_now_on() -> None:
    async with stage(transcribes=frozenset({"es", "en"}), transcribe=True) as h:
        await two(h)
        h.order("glossary-add", direction="es-ES>en", term="fiebre", translation="fever")
        h.say("es", "es", " tengo fiebre")
        h.say("es", "en", " I have heat")
        await h.seconds(42.0)
        missed = [event for event in h.events() if event["event"] == "glossary.missed"]
        assert [event["participant"] for event in missed] == ["ana"]


async def test_closing_ends_the_interpretation_with_a_notice_and_the_meeting_goes_on() -> None:
    async with stage() as h:
        await two(h, speaking="ana")
        await h.seconds(2.0)
        assert h.order("close").accepted
        await h.ticks(10)
        assert h.engine.sessions_open == 0
        assert [event["event"] for event in h.events()].count("notice.closing") == 1
        assert h.room.state("ben").lamp is Lamp.IDLE
        assert amplitude(h.room.ears["ben"].last(2), ANA_HZ) == pytest.approx(0.1, rel=0.02)
        h.join("cat", "fr", CAT_HZ)
        await h.ticks(10)
        assert h.engine.sessions_open == 0
        assert h.captions("cat", OWN) == []


async def test_a_host_s_acts_are_counted_in_the_identity_chain() -> None:
    async with stage() as h:
        await two(h)
        h.order("duck", gain=-20)
        await h.ask("ana", "who")
        await h.seconds(4.0)
        windows = attested(h, "ben")
        assert sum(window["counters"]["operator_actions"] for window in windows) == 2, "one in each direction"


def attested(h: Stage, who: str) -> list[dict[str, Any]]:
    """The records of the chains, as somebody's page got them."""
    lines = [one.line for one in h.room.told[who] if isinstance(one, Attestation)]
    records = [json.loads(line)["record"] for line in lines]
    return [record for record in records if record["kind"] == "window"]


@pytest.mark.parametrize("who", ["ana", "ben"])
async def test_commands_of_who_is_gone_change_nothing(who: str) -> None:
    async with stage() as h:
        await two(h)
        h.room.leave(who)
        h.room.command(who, "r1", "stop")
        await h.ticks(2)
        assert "interpreting.stopped" not in [event["event"] for event in h.events()]


@pytest.mark.parametrize("order", ["optout", "stop"])
async def test_what_waits_of_who_no_longer_wants_it_is_not_even_shown(order: str) -> None:
    async with stage(role="medical-consecutive") as h:
        await two(h, speaking="ana")
        await h.ticks(20)
        h.say("es", "en", "not for you")
        await h.ticks(6)
        await h.ask("ana", order)
        await h.ticks(20)
        assert h.captions("ben") == []
