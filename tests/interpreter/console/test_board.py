"""Lamp, alerts, people and directions as an operator sees them, of real meetings."""

from __future__ import annotations

from typing import Any

import pytest

from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.console.snapshot import Lamp, RoomState
from tests.interpreter.console.console_stage import Consoles, console
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ

HOST = Actor(name="Eva", standing=Standing.ADMIN)


def shown(at: Consoles) -> RoomState:
    state = at.desk.room(at.room.id)
    assert state is not None
    return state


async def two(at: Consoles) -> None:
    at.stage.join("ana", "es", ANA_HZ)
    at.stage.join("ben", "en", BEN_HZ)
    await at.stage.ticks(3)


@pytest.mark.parametrize(
    ("commands", "lamp", "reason"),
    [
        ([], Lamp.ON_AIR, ""),
        ([("mode", {"mode": "captions"})], Lamp.ON_AIR, "captions"),
        ([("pause", {})], Lamp.HELD, "paused"),
        ([("hold", {"direction": "es>en"}), ("hold", {"direction": "en>es"})], Lamp.HELD, "held"),
        ([("hold", {"direction": "es>en"})], Lamp.ON_AIR, ""),
        ([("halt", {})], Lamp.OFF, "halted"),
        ([("halt", {}), ("handover", {})], Lamp.HUMAN, "taken_over"),
        ([("human", {})], Lamp.ON_AIR, ""),
        ([("close", {})], Lamp.OFF, "closed"),
        ([("stop", {"participant": "all"})], Lamp.STANDBY, "stopped"),
    ],
)
async def test_the_lamp(commands: list[tuple[str, dict[str, Any]]], lamp: Lamp, reason: str) -> None:
    async with console() as at:
        await two(at)
        for name, arguments in commands:
            assert at.stage.meeting.command(name, arguments, HOST).accepted
        await at.stage.seconds(2.0)
        assert (shown(at).lamp, shown(at).reason) == (lamp, reason)
        summary = at.desk.house().rooms[at.room.id]
        assert (summary.lamp, summary.reason) == (lamp, reason)


async def test_the_lamp_before_anybody_needs_it_and_when_nobody_can() -> None:
    async with console(languages={"es": frozenset({"en"})}) as at:
        assert (shown(at).lamp, shown(at).reason) == (Lamp.STANDBY, "alone")
        at.stage.join("ana", "fr", ANA_HZ)
        at.stage.join("ben", "en", BEN_HZ)
        await at.stage.ticks(3)
        assert (shown(at).lamp, shown(at).reason) == (Lamp.OFF, "unserved")
        assert {one.code for one in shown(at).alerts.values()} == {"direction-unserved"}
    async with console() as at:
        await two(at)
        at.stage.engine.die()
        await at.stage.ticks(4)
        assert (shown(at).lamp, shown(at).reason) == (Lamp.OFF, "down")
        summary = at.desk.house().rooms[at.room.id]
        assert (summary.alerts, summary.worst) == (2, "alert")
        assert summary.directions == {"en>es": "down", "es>en": "down"}


async def test_an_alert_lasts_as_long_as_its_cause_and_says_since_when() -> None:
    async with console() as at:
        await two(at)
        at.stage.join("cat", "", 700.0)
        at.stage.meeting.command("human", {}, HOST)
        await at.stage.ticks(2)
        first = shown(at).alerts
        assert {(one.code, one.about, one.level) for one in first.values()} == {
            ("human-asked", "", "alert"),
            ("unknown-language", "cat", "warning"),
        }
        await at.stage.seconds(5.0)
        assert shown(at).alerts == first
        at.stage.meeting.command("handover", {}, HOST)
        assert [one.code for one in shown(at).alerts.values()] == ["unknown-language"]


async def test_people_and_directions_are_shown_with_what_was_chosen() -> None:
    async with console(voices={"clara": "ab" * 32}, voice_prompt=True) as at:
        await two(at)
        for name, arguments in (
            ("mute", {"participant": "ben"}),
            ("mute-direction", {"direction": "es>en"}),
            ("hold", {"direction": "es>en", "participant": "ana"}),
            ("glossary-add", {"direction": "es>en", "term": "fiebre", "translation": "fever"}),
            ("duck", {"gain": -20}),
        ):
            assert at.stage.meeting.command(name, arguments, HOST).accepted, name
        at.stage.room.mute("ana", True)
        await at.stage.ticks(2)
        state = shown(at)
        assert (state.people["ben"].muted, state.people["ana"].muted) == (True, False)
        assert state.people["ana"].microphone_off
        [direction] = state.directions.values()
        assert (direction.speaker, direction.held, direction.muted, direction.voice) == (
            "ana",
            True,
            True,
            "clara",
        )
        assert len(direction.checksum) == 64
        assert state.role.checksum == direction.checksum
        assert [(one.term, one.translation) for one in state.glossary] == [("fiebre", "fever")]
        assert (state.duck_db, state.revision, state.languages) == (-20.0, 4, ("en", "es"))
        assert state.disclosure.opened
        assert state.disclosure.given == 1
        assert [one.event for one in state.log if one.actor][0] == "participant.muted"


async def test_who_is_written_down_is_told_and_their_words_are_shown() -> None:
    async with console(transcribe=True, transcribes=frozenset({"es"})) as at:
        await two(at)
        at.stage.mouths["ana"].speaking = True
        at.stage.say("es", "es", "tengo fiebre")
        await at.stage.ticks(6)
        people = shown(at).people
        assert (people["ana"].transcribed, people["ben"].transcribed) == (True, False)
        assert "".join(piece.text for piece in people["ana"].heard) == " tengo fiebre"


async def test_of_who_opted_out_not_even_the_level_is_shown() -> None:
    async with console() as at:
        await two(at)
        at.stage.mouths["ana"].speaking = True
        await at.stage.ticks(3)
        levels = at.desk.levels(at.room.id)
        assert levels is not None
        assert "ana" in levels.people
        await at.stage.ask("ana", "optout")
        await at.stage.ticks(3)
        levels = at.desk.levels(at.room.id)
        assert levels is not None
        assert (levels.people, levels.speaking) == ({}, ())
        assert shown(at).people["ana"].opted_out
