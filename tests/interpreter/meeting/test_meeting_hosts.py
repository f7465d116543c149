"""Who leads a meeting: hosts of the hosted room, over real WebSockets, before a real meeting."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession

from duplex_model.contract import TickGrid
from interpreter.clock import ManualClock
from interpreter.identity.audit import token_hash
from interpreter.interpretation.interpretation import InterpretationSettings
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.roles.assignment import RoleAssignment
from tests.interpreter.meeting_stage import BEN_HZ, LIBRARY, LoudIsVoice, StageEngine, stage
from tests.webrtc.hosted.fakes import FakePage, FakePeers
from webrtc.hosted import HostedRoom, HostedServer, HostedSettings

ROLE = "meeting-simultaneous"


@dataclass
class Clinic:
    """A meeting in a hosted room."""

    server: HostedServer
    room: HostedRoom
    meeting: Meeting
    client: ClientSession

    async def page(self, name: str, language: str, **more: str) -> FakePage:
        page = await FakePage.open(self.client, self.server.link(self.room))
        await page.join(name, language, **more)
        return page

    async def host(self, name: str, language: str) -> FakePage:
        return await self.page(name, language, host_key=self.room.host_token)

    def events(self) -> list[dict[str, Any]]:
        records = [json.loads(line)["record"] for line in self.meeting._record.audit.lines]
        return [record for record in records if record["kind"] == "event"]


@asynccontextmanager
async def clinic() -> AsyncIterator[Clinic]:
    clock = ManualClock(100.0)
    engine = StageEngine(TickGrid(origin_s=99.99), clock)
    settings = MeetingSettings(
        interpretation=InterpretationSettings(
            roles=RoleAssignment(default=LIBRARY.find(ROLE)), library=LIBRARY, spoken_notices=False
        )
    )
    async with HostedServer(HostedSettings(), FakePeers()) as server, ClientSession() as client:
        room = server.add_room("clinic")
        async with Meeting(
            room,
            {"engine": engine},
            clock,
            settings,
            voice_model=LoudIsVoice(),
            wall_s=lambda: 1_760_000_000.0,
        ) as meeting:
            yield Clinic(server, room, meeting, client)


async def ask(page: FakePage, name: str, /, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Gives a command; the state that held when it was answered, and the answer."""
    await page.send("command", id="q", name=name, arguments=arguments)
    state: dict[str, Any] = {}
    while (message := await page.read())["type"] != "replied":
        state = message if message["type"] == "state" else state
    return state, message


async def test_a_page_without_the_key_cannot_pause_and_one_with_it_can() -> None:
    async with clinic() as at:
        ben, eva = await at.page("Ben", "en"), await at.host("Eva", "es")
        _, refusal = await ask(ben, "pause")
        assert (refusal["accepted"], refusal["text"]) == (
            False,
            "expected a host for `pause`, got a participant",
        )
        state, answer = await ask(eva, "pause")
        assert (answer["accepted"], answer["text"]) == (True, "El intérprete hace una pausa.")
        assert state["paused"] is True
        assert (await ben.read_until("state"))["paused"] is True, "everybody is shown it"
        given = [event for event in at.events() if event["actor_id"] is not None]
        assert [
            (event["event"], event["actor"], event["actor_role"], event["actor_id"]) for event in given
        ] == [
            ("command.refused", "Ben", "participant", ben.id),
            ("meeting.paused", "Eva", "host", eva.id),
        ]
        assert [event["token_hash"] for event in given] == [
            token_hash(at.room.token),
            token_hash(at.room.host_token),
        ]
        log = "".join(at.meeting._record.audit.lines)
        assert at.room.token not in log
        assert at.room.host_token not in log


async def test_hosts_are_shown_what_they_may_choose_and_others_are_not() -> None:
    async with clinic() as at:
        ben, eva = await at.page("Ben", "en"), await at.host("Eva", "es")
        for language in ("en", "es"):
            state, _ = await ask(eva, "pause")
            await ask(eva, "resume")
            assert [choice["name"] for choice in state["choices"]] == list(LIBRARY.roles)
            assert all({"en", "es"} <= choice["titles"].keys() for choice in state["choices"])
            await eva.send("language", language=language)  # a host who changes languages is a host still
            await eva.read_until("changed")
        state, _ = await ask(ben, "captions", state=False)
        assert state["choices"] == []


async def test_every_command_of_the_page_does_what_it_says() -> None:
    async with clinic() as at:
        ben, eva = await at.page("Ben", "en"), await at.host("Eva", "es")
        everybody = {"participant": "all"}
        for name, arguments, holds, stopped in (
            ("pause", {}, {"paused": True}, None),
            ("resume", {}, {"paused": False}, None),
            ("mode", {"mode": "captions"}, {"mode": "captions"}, None),
            ("role", {"name": "medical-consecutive"}, {"role": "medical-consecutive"}, None),
            ("handover", {}, {"human_present": True, "lamp": "human"}, None),
            ("handback", {}, {"human_present": False}, None),
            ("slower", {}, {}, None),
            ("stop", everybody, {}, True),
            ("start", everybody, {}, False),
            ("close", {}, {"closed": True}, None),
        ):
            state, answer = await ask(eva, name, **arguments)
            assert answer["accepted"], answer["text"]
            assert {key: state.get(key) for key in holds} == holds, name
            assert stopped is None or state["own"]["stopped"] is stopped, name
            _, answer = await ask(ben, name, **arguments)
            assert not answer["accepted"], name


async def test_no_room_makes_more_than_hosts() -> None:
    async with stage() as h:
        h.join("ben", "en", BEN_HZ)
        for standing, allowed in (
            ("", False),
            ("Host", False),
            ("admin", False),
            ("operator", False),
            ("host", True),
        ):
            h.room.change("ben", "en", standing=standing)
            await h.ticks(1)
            assert (await h.ask("ben", "slower")).accepted is allowed, standing
            assert not (await h.ask("ben", "note", text="x")).accepted, standing
            assert bool(h.room.state("ben").choices) is allowed, standing
        h.room.change("ben", "en")
        assert not (await h.ask("ben", "slower")).accepted
