"""Meetings elsewhere that somebody at the console has the interpreter join, with the same engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from duplex_model.contract import TickGrid
from interpreter.clock import ManualClock
from interpreter.config.config import Config, MeetingConfig
from interpreter.config.engines import Say
from interpreter.console.desk import Desk, DeskSettings
from interpreter.errors import ConfigError, InterpreterError
from interpreter.guests import Guests
from interpreter.join.join import Place
from tests.fakes import FRAME_S, FakeRoom, ToneTrack
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ, LIBRARY, StageEngine
from webrtc.errors import Refused
from webrtc.room import Listening

URL = "https://meet.example.org/ward-3?jwt=secret"


class Ward(FakeRoom):
    """A room elsewhere, which may refuse whoever comes."""

    def __init__(self, refuses: bool) -> None:
        super().__init__(Listening.FLOOR)
        self.refuses = refuses

    @property
    def name(self) -> str:
        return "ward-3"

    async def __aenter__(self) -> Ward:
        if self.refuses:
            raise Refused("the meeting lets nobody in")
        await super().__aenter__()
        return self


@dataclass
class Elsewhere:
    clock: ManualClock
    engine: StageEngine
    desk: Desk
    guests: Guests
    rooms: list[Ward]
    asked: list[str]
    refuses: bool = False

    async def join(self, url: str = URL) -> None:
        joining = asyncio.create_task(self.guests.join(url))
        while not joining.done():
            await self.clock.advance(FRAME_S)
            await asyncio.sleep(0)
        await joining

    async def seconds(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            await self.clock.advance(FRAME_S)


@asynccontextmanager
async def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Elsewhere]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    clock = ManualClock(100.0)
    engine = StageEngine(TickGrid(origin_s=99.99), clock)
    engines = {"engine": engine}
    settings = DeskSettings(version="1", library=LIBRARY, languages=("en", "es"))
    desk = Desk(settings, engines, now_s=clock.now_s, wall_s=lambda: 1_800_000_000.0)
    config = Config(meeting=MeetingConfig(spoken_notices="none"))
    said: list[str] = []
    guests = Guests(config, engines, clock, desk, said.append)
    at = Elsewhere(clock, engine, desk, guests, [], [])

    async def find(config: Config, environ: Mapping[str, str], say: Say) -> Place:
        assert config.join.url is not None
        at.asked.append(config.join.url)
        at.rooms.append(Ward(at.refuses))
        return Place(room=at.rooms[-1], found=())

    monkeypatch.setattr("interpreter.join.join.ROOMS", {"https": find})
    async with guests:
        yield at


async def test_a_meeting_is_joined_shown_and_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with elsewhere(monkeypatch, tmp_path) as at:
        await at.join()
        assert at.asked == [URL]
        [room] = at.desk.rooms.values()
        assert (room.name, room.transport) == ("ward-3", "jitsi")
        at.rooms[0].join("ana", "es", ToneTrack(ANA_HZ))
        at.rooms[0].join("ben", "en", ToneTrack(BEN_HZ))
        await at.seconds(1.0)
        state = at.desk.room(room.id)
        assert state is not None
        assert set(state.directions) == {"ana:es>en", "ben:en>es"}
        assert at.engine.sessions_open >= 2, "on the engines there are"
        assert room.leave is not None
        room.leave()
        for _ in range(50):
            await at.clock.advance(FRAME_S)
            await asyncio.sleep(0.001)
        assert at.desk.rooms == {}
        assert not at.rooms[0].entered
        assert at.desk.cost().elapsed_s >= 1.0, "what it took still counts"


async def test_whoever_asks_is_told_why_it_could_not_be_joined(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with elsewhere(monkeypatch, tmp_path) as at:
        at.refuses = True
        with pytest.raises(Refused, match="lets nobody in"):
            await at.join()
        with pytest.raises(ConfigError, match="begins with https://"):
            await at.join("gopher://x")
        assert at.desk.rooms == {}


async def test_two_meetings_are_apart_and_both_are_left_at_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with elsewhere(monkeypatch, tmp_path) as at:
        await at.join()
        await at.join()
        assert len(at.desk.rooms) == 2, "with ids of their own, though of one name"
    assert at.desk.rooms == {}
    assert not any(room.entered for room in at.rooms)


async def test_only_so_many_are_joined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("interpreter.guests.MAX_GUESTS", 1)
    async with elsewhere(monkeypatch, tmp_path) as at:
        await at.join()
        with pytest.raises(InterpreterError, match="expected at most 1 meetings to be joined, got one more"):
            await at.join()
        assert len(at.rooms) == 1
