"""What a console needs of a meeting: orders that are refused to who has not seen, the overview, restarts."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpreter.commands.commands import Actor
from interpreter.commands.control import Answer
from interpreter.commands.memory_file import MemoryFile
from interpreter.commands.table import Standing
from interpreter.errors import BadArgument, NotAllowed, NothingExpected, StaleEdit, UnknownCommand
from interpreter.floor.floor import FloorMode
from interpreter.metrics import Count
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ, Stage, stage
from webrtc.room import DirectionStatus

EVA = Actor(name="Eva", standing=Standing.OPERATOR)
MAX = Actor(name="Max", standing=Standing.OPERATOR)
VOICES: dict[str, Any] = {"voices": {"clara": "ab" * 32, "david": "cd" * 32}, "voice_prompt": True}


def order(h: Stage, *asked: tuple[str, dict[str, Any]], by: Actor = EVA, expect: int | None = None) -> Answer:
    return h.meeting.order(asked, by, expect)


async def two(h: Stage, *, speaking: bool = False) -> None:
    h.join("ana", "es", ANA_HZ, speaking=speaking)
    h.join("ben", "en", BEN_HZ)
    await h.ticks(3)


async def test_a_role_and_a_voice_are_taken_up_together_at_a_silence() -> None:
    async with stage(**VOICES) as h:
        await two(h, speaking=True)
        seen = h.meeting.overview().revision
        role = ("role", {"name": "plain-language-relay", "participant": "ana"})
        voice = ("voice", {"name": "david", "participant": "ana"})
        assert order(h, role, voice, expect=seen).accepted
        await h.seconds(1.0)
        ana = h.meeting.overview().people["ana"]
        assert (ana.role, ana.role_wanted) == ("meeting-simultaneous", "plain-language-relay")
        assert (ana.voice_wanted, ana.voice) == ("david", "clara")
        pending = {d.speaker_id: one.pending for d, one in h.meeting.overview().directions.items()}
        assert pending == {"ana": True, "ben": False}
        h.mouths["ana"].speaking = False
        await h.seconds(6.0)
        ana = h.meeting.overview().people["ana"]
        assert (ana.role, ana.voice) == ("plain-language-relay", "david")
        opened = [s for s in h.engine.opened if (s.prompt.language_in, s.prompt.language_out) == ("es", "en")]
        assert len(opened) == 2, "one session before, one after"
        assert opened[-1].prompt.voice == "david"
        assert not any(one.pending for one in h.meeting.overview().directions.values())


async def test_of_commands_given_together_none_holds_where_one_is_refused() -> None:
    async with stage(**VOICES) as h:
        await two(h)
        answer = order(
            h,
            ("mode", {"mode": "captions"}),
            ("role", {"name": "plain-language-relay"}),
            ("voice", {"name": "nobody"}),
            expect=0,
        )
        assert (answer.accepted, answer.text) == (False, "There is no voice nobody; there are: clara, david.")
        assert h.meeting.revision == 0, "nobody's view of it is out of date"
        await h.seconds(3.0)
        view = h.meeting.overview()
        assert view.role.name == "meeting-simultaneous"
        assert {one.mode for one in view.directions.values()} == {FloorMode.SIMULTANEOUS}
        assert h.told_by_interpreter("ana") == "" or "subtítulos" not in h.told_by_interpreter("ana")


async def test_a_role_that_was_refused_with_others_says_nothing_and_is_not_taken_up_later(
    tmp_path: Path,
) -> None:
    def file() -> MemoryFile:
        return MemoryFile(tmp_path / "room.json", max_age_s=1e9)

    async with stage(memory=file(), **VOICES) as h:
        h.join("ana", "es", ANA_HZ)
        await h.ticks(3)
        order(h, ("mode", {"mode": "consecutive"}), expect=0)
        refused = order(h, ("role", {"name": "emergency-short"}), ("voice", {"name": "nobody"}), expect=1)
        assert not refused.accepted
        h.join("ben", "en", BEN_HZ)
        await h.seconds(1.0)
        openings = [one["event"] for one in h.events() if one["event"].startswith("notice.opening")]
        assert openings == ["notice.opening"], "not that of the other role"
    async with stage(memory=file(), **VOICES) as h:
        await two(h)
        view = h.meeting.overview()
        assert view.role.name == "meeting-simultaneous"
        assert {one.mode for one in view.directions.values()} == {FloorMode.CONSECUTIVE}


async def test_only_what_waits_for_a_silence_can_be_done_together() -> None:
    async with stage() as h:
        await two(h)
        with pytest.raises(
            BadArgument, match="expected commands that wait for a silence together, got `halt`"
        ):
            order(h, ("mode", {"mode": "captions"}), ("halt", {}), expect=0)
        assert not h.meeting.overview().orders.halted


async def test_what_somebody_else_changed_is_not_changed_unseen() -> None:
    async with stage(**VOICES) as h:
        await two(h)
        seen = h.meeting.overview().revision
        assert order(h, ("mode", {"mode": "consecutive"}), by=MAX, expect=seen).accepted
        with pytest.raises(StaleEdit, match="expected `mode` as of revision 0, got a change by Max since"):
            order(h, ("mode", {"mode": "captions"}), expect=seen)
        assert order(h, ("voice", {"name": "david"}), expect=seen).accepted, "that is another thing"
        now = h.meeting.overview().revision
        assert order(h, ("mode", {"mode": "captions"}), expect=now).accepted


async def test_a_host_in_the_room_counts_as_somebody_else() -> None:
    async with stage() as h:
        await two(h)
        seen = h.meeting.overview().revision
        h.order("mode", mode="consecutive")
        with pytest.raises(StaleEdit, match="Dr. Host"):
            order(h, ("mode", {"mode": "captions"}), expect=seen)


async def test_a_guarded_command_has_to_say_what_was_seen_and_a_stop_has_not() -> None:
    async with stage() as h:
        await two(h)
        with pytest.raises(NothingExpected):
            order(h, ("mode", {"mode": "captions"}))
        assert order(h, ("halt", {})).accepted
        seen = h.meeting.overview().revision
        assert order(h, ("halt", {}), by=MAX).accepted, "pressed again meanwhile"
        with pytest.raises(StaleEdit, match="Max"):
            order(h, ("resume", {}), expect=seen)


@pytest.mark.parametrize(
    ("command", "who", "error"),
    [("nonsense", EVA, UnknownCommand), ("scenario", EVA, NotAllowed), ("halt", "viewer", NotAllowed)],
)
async def test_what_is_no_command_or_not_theirs_is_refused(
    command: str, who: Actor | str, error: type[Exception]
) -> None:
    actor = who if isinstance(who, Actor) else Actor(name=who, standing=Standing.VIEWER)
    async with stage() as h:
        await two(h)
        with pytest.raises(error):
            order(h, (command, {}), by=actor)
        assert not h.meeting.overview().orders.halted


async def test_the_overview_tells_what_becomes_of_every_direction() -> None:
    async with stage() as h:
        await two(h)
        order(h, ("hold", {"direction": "es>en"}))
        order(h, ("mute", {"participant": "ben"}))
        await h.ticks(2)
        view = h.meeting.overview()
        assert {(d.speaker_id, one.status) for d, one in view.directions.items()} == {
            ("ana", DirectionStatus.HELD)
        }
        assert view.orders.muted == {"ben"}
        assert view.opened
        assert {who: one.language for who, one in view.people.items()} == {"ana": "es", "ben": "en"}


async def test_a_restarted_interpreter_takes_up_what_was_chosen_and_who_opted_out_is_never_heard(
    tmp_path: Path,
) -> None:
    def file() -> MemoryFile:
        return MemoryFile(tmp_path / "room.json", max_age_s=1e9)

    async with stage(memory=file(), **VOICES) as h:
        await two(h, speaking=True)
        await h.ask("ana", "optout")
        order(h, ("mode", {"mode": "consecutive"}), expect=0)
        order(h, ("role", {"name": "plain-language-relay", "participant": "ben"}), expect=0)
    async with stage(memory=file(), **VOICES) as h:
        h.join("x1", "es", ANA_HZ, speaking=True, name="ana")
        h.join("x2", "en", BEN_HZ, speaking=True, name="ben")
        h.join("x3", "es", 700.0, name="cat")
        await h.seconds(1.0)
        view = h.meeting.overview()
        assert view.orders.opted_out == {"x1"}
        assert [d.speaker_id for d in view.directions] == ["x2", "x3"]
        assert view.people["x2"].role == "plain-language-relay"
        assert {one.mode for one in view.directions.values()} == {FloorMode.CONSECUTIVE}
        for session in h.engine.opened:
            assert not session.heard or np.abs(np.concatenate(session.heard)).max() < 0.2
            assert session.prompt.language_in == "en" or not np.concatenate(session.heard).any()
        await h.ask("x1", "optin")
    async with stage(memory=file()) as h:
        h.join("y1", "es", ANA_HZ, name="ana")
        await h.ticks(2)
        assert h.meeting.overview().orders.opted_out == set()


async def test_a_restarted_interpreter_opens_in_the_words_of_the_role_that_was_chosen(tmp_path: Path) -> None:
    def file() -> MemoryFile:
        return MemoryFile(tmp_path / "room.json", max_age_s=1e9)

    async with stage(memory=file()) as h:
        await two(h)
        order(h, ("role", {"name": "emergency-short"}), expect=0)
    async with stage(memory=file()) as h:
        await two(h)
        await h.seconds(0.5)
        opened = [event["event"] for event in h.events() if "opening" in event["event"]]
        assert opened == ["notice.opening_emergency"]


async def test_an_ended_interpretation_is_not_taken_up_and_a_stopped_process_is(tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    async with stage(memory=MemoryFile(path, max_age_s=1e9)) as h:
        await two(h)
        order(h, ("mode", {"mode": "consecutive"}), expect=0)
        h.meeting._interpretation.close_interpretation()  # as at a signal
    assert path.exists()
    async with stage(memory=MemoryFile(path, max_age_s=1e9)) as h:
        await two(h)
        assert not h.meeting.overview().orders.closed
        order(h, ("close", {}))
    assert not path.exists()


@pytest.mark.parametrize(
    ("reason", "away_s", "name", "back"),
    [
        ("connection lost", 5.0, "Ana", 1),
        ("left", 5.0, "Ana", 0),
        ("connection lost", 70.0, "Ana", 0),
        ("connection lost", 5.0, "Ben", 0),
    ],
)
async def test_who_comes_back_after_a_lost_connection_is_counted(
    reason: str, away_s: float, name: str, back: int
) -> None:
    async with stage() as h:
        h.join("a1", "es", ANA_HZ, name="Ana")
        await h.ticks(2)
        h.room.leave("a1", reason)
        await h.seconds(away_s)
        h.join("a2", "es", ANA_HZ, name=name)
        await h.ticks(2)
        assert h.meeting.metrics.counted(Count.PARTICIPANTS_BACK) == back


class SlowFile(MemoryFile):
    """The first time, a disk that takes its time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, max_age_s=1e9)
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.written = threading.Event()

    def save(self, text: str | None) -> None:
        if self.begun.is_set():
            super().save(text)
            return
        self.begun.set()
        self.go_on.wait(10)
        super().save(text)
        self.written.set()


async def test_what_is_being_written_down_when_a_meeting_ends_is_not_the_last_word(tmp_path: Path) -> None:
    path = tmp_path / "room.json"
    file = SlowFile(path)
    async with stage(memory=file) as h:
        await two(h)
        assert order(h, ("mode", {"mode": "captions"}), expect=h.meeting.overview().revision).accepted
        assert await asyncio.to_thread(file.begun.wait, 10)
        h.meeting.forget()
        asyncio.get_running_loop().call_later(0.2, file.go_on.set)
    assert await asyncio.to_thread(file.written.wait, 10)
    assert not path.exists()
