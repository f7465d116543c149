"""What `interpreter run` puts together, and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from duplex_model.contract import SayCapability, TickGrid
from interpreter.clock import ManualClock
from interpreter.config.config import (
    Config,
    EngineConfig,
    FurtherEngineConfig,
    InvitedPerson,
    MeetingConfig,
    RoomConfig,
    ServerConfig,
)
from interpreter.config.engines import first_of
from interpreter.directions import Direction
from interpreter.errors import ConfigError
from interpreter.holding import bill, stop_signals, take_leave, tell_preparing
from interpreter.identity.keys import IdentityKey, key_set
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings, default_interpretation
from interpreter.record.cost import CostMeter, Price
from interpreter.roles.library import standard_scripts
from interpreter.run import run
from tests.fakes import FRAME_S, Ear, FakeRoom, amplitude
from tests.interpreter.meeting_stage import NOTICE_HZ, LoudIsVoice, StageEngine
from tests.interpreter.roles.texts import LEAST
from tests.speaker import Speaker
from webrtc.room import Caption

SCRIPT = {"directions": {"es>en": {"cues": []}}}
BOTH_WAYS = {"directions": {"es>en": {"cues": []}, "en>es": {"cues": []}}}
CLOSING = " ".join(standard_scripts()["en"]["closing"])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds of notices are neither found nor left where whoever runs the tests keeps theirs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


class Told:
    """What a command said; waits for what it says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._more.set()

    async def until(self, beginning: str) -> str:
        async with asyncio.timeout(30):
            while True:
                if found := next((line for line in self.lines if line.startswith(beginning)), None):
                    return found
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Told]:
    """The command while it runs; it is interrupted at the end, as by Ctrl-C."""
    told = Told()
    command = asyncio.create_task(run(config, told.say))
    await first_of(told.until("Open "), asyncio.shield(command))  # type: ignore[arg-type]
    try:
        yield told
    finally:
        if not command.done():
            os.kill(os.getpid(), signal.SIGINT)
        await command


@pytest.mark.slow
async def test_everything_configured_is_put_together(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    key = IdentityKey.generate()
    (tmp_path / "id.pem").write_bytes(key.pem())
    config = Config(
        server=ServerConfig(port=0),
        room=RoomConfig(name="Consulta 3"),
        meeting=MeetingConfig(
            role="medical-consecutive",
            keep="text",
            folder=tmp_path / "kept",
            language="fr",
            identity_key_file=tmp_path / "id.pem",
            price_per_gpu_hour=2.0,
            currency="EUR",
        ),
        engine=EngineConfig(kind="scripted", options={"script": SCRIPT}, in_process=True),
        engines=(
            FurtherEngineConfig(name="echo", kind="scripted", options={"script": SCRIPT}, in_process=True),
        ),
    )
    async with running(config) as told, aiohttp.ClientSession() as client:
        link = re.match(r"Open (http\S+)", told.lines[-1])
        assert link is not None, "whoever joins by it, everything else was said before"
        server, _, _ = link[1].partition("/r/")
        assert re.fullmatch(rf"Whoever leads the meeting opens {re.escape(link[1])}\S+", told.lines[-2])
        async with client.get(f"{server}/.well-known/jwks.json") as response:
            assert json.loads(await response.text()) == key_set([key.public])
        async with client.get(f"{link[1]}/room.json") as response:
            facts = await response.json()
        assert (facts["room"], set(facts["stored"])) == ("Consulta 3", {"transcript", "identity", "audit"})
        assert sum(line.startswith("Engine scripted/") for line in told.lines) == 2
        [note] = [line for line in told.lines[:-1] if line.startswith("NOTE: nobody here interprets")]
        assert "English into French" in note
        assert "Spanish into English" not in note
    assert told.lines[-1] == "Closing."
    [folder] = (tmp_path / "kept").iterdir()
    first = json.loads((folder / "attest.jsonl").read_text().splitlines()[0])
    assert key.thumbprint in json.dumps(first)
    assert "cost 0.0000 EUR where others use the rest of the device" in caplog.text


@pytest.mark.slow
async def test_people_who_come_without_a_page_have_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANA_TOKEN", "ana-0123456789-abc")
    ana = InvitedPerson(name="Ana", language="es", token_env="ANA_TOKEN")
    config = Config(
        server=ServerConfig(port=0),
        room=RoomConfig(name="Consulta 3", people=(ana,)),
        engine=EngineConfig(kind="scripted", options={"script": SCRIPT}, in_process=True),
    )
    async with running(config) as told, aiohttp.ClientSession() as client:
        line = await told.until("Ana may come without a page")
        whip, whep = re.findall(r"http\S+", line)
        assert whip.endswith("/whip/Consulta%203")
        assert "0123456789" not in " ".join(told.lines)
        for url in (whip, whep):
            headers = {"Authorization": "Bearer ana-0123456789-abc", "Content-Type": "application/sdp"}
            async with client.post(url, data="hello", headers=headers) as response:
                assert response.status == 400


@pytest.mark.slow
@pytest.mark.media
async def test_people_are_told_that_the_meeting_ends(tmp_path: Path) -> None:
    (tmp_path / "brief.yaml").write_text(
        LEAST.replace("least", "brief")
        + 'scripts: {en: {opening: ["{stored}"]}, es: {opening: ["{stored}"]}}\n'
    )
    engine = EngineConfig(kind="scripted", options={"script": BOTH_WAYS, "lanes": 4}, in_process=True)
    brief = MeetingConfig(role=str(tmp_path / "brief.yaml"))
    people = [Speaker("en"), Speaker("es")]
    async with (
        aiohttp.ClientSession() as session,
        running(Config(server=ServerConfig(port=0), engine=engine, meeting=brief)) as told,
    ):
        for person, name in zip(people, ("Ben", "Ana"), strict=True):
            await person.join(session, told.lines[-1].split()[1], name)
        await until(lambda: all(told_as_self(person) for person in people))
        os.kill(os.getpid(), signal.SIGINT)
        await told.until("Closing.")
        await until(lambda: CLOSING.split(". ")[0] in told_as_self(people[0]))
        for person in people:
            await person.leave()


async def test_what_cannot_be_used_is_said_before_an_engine_is_started(tmp_path: Path) -> None:
    told = Told()
    broken = EngineConfig(kind="scripted", options={"script_file": "/nonexistent.json"})
    with pytest.raises(ConfigError, match="to keep text in"):
        await run(Config(engine=broken, meeting=MeetingConfig(keep="text")), told.say)
    with pytest.raises(ConfigError, match="expected one of the roles"):
        await run(Config(engine=broken, meeting=MeetingConfig(role="nobody")), told.say)
    assert told.lines == []


async def test_the_first_signal_stops_the_second_hurries_and_the_third_is_python_s_own() -> None:
    with stop_signals() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        await asked.stop.wait()
        assert not asked.hurry.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        await asked.hurry.wait()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def told_as_self(person: Speaker) -> str:
    """Everything the interpreter told somebody of itself."""
    return " ".join(told["text"] for told in person.told if told.get("kind") == "as-self")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - two sources of events, bounded by the time-out
            await asyncio.sleep(0.05)


# The closing notice --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def meeting(
    say: SayCapability = SayCapability.TRAINED,
) -> AsyncIterator[tuple[Meeting, ManualClock, FakeRoom, StageEngine]]:
    clock, room = ManualClock(100.0), FakeRoom()
    engine = StageEngine(TickGrid(origin_s=99.99), clock, say=say)
    settings = MeetingSettings(cancel_echo=False, interpretation=default_interpretation())
    async with Meeting(room, {"engine": engine}, clock, settings, voice_model=LoudIsVoice()) as opened:
        yield opened, clock, room, engine


async def two_who_were_greeted(clock: ManualClock, room: FakeRoom) -> Ear:
    room.join("ana", "es")
    heard = room.join("ben", "en")
    for _ in range(400):
        await clock.advance(FRAME_S)
    return heard


async def goodbye_s(opened: Meeting, clock: ManualClock, within_s: float) -> float:
    """How long a goodbye takes, in the meeting's time."""
    began_s = clock.now_s()
    leaving = asyncio.create_task(opened.say_goodbye(within_s))
    await clock.advance(0.0)
    while not leaving.done():
        assert clock.now_s() < began_s + 60.0
        await clock.advance(FRAME_S)
    await leaving
    return clock.now_s() - began_s


def read(room: FakeRoom, who: str) -> str:
    return " ".join(message.text for message in room.told[who] if isinstance(message, Caption))


async def test_the_closing_notice_is_heard_whole_before_the_meeting_ends() -> None:
    async with meeting() as (opened, clock, room, _):
        opened.prepare(["en", "es"])
        heard = await two_who_were_greeted(clock, room)
        assert CLOSING not in read(room, "ben")
        frames = len(heard.frames)
        assert FRAME_S < await goodbye_s(opened, clock, 12.0) < 12.0
        assert CLOSING in read(room, "ben")
        sounding = [n for n, frame in enumerate(heard.frames[frames:]) if amplitude(frame, NOTICE_HZ) > 0.05]
        assert sounding
        assert heard.at_s[frames + sounding[-1]] + FRAME_S <= clock.now_s(), "its last frame was played"
        assert await goodbye_s(opened, clock, 12.0) == 0.0, "it is said once"


async def test_a_goodbye_has_an_end_even_if_no_notice_comes() -> None:
    async with meeting() as (opened, clock, room, engine):
        await two_who_were_greeted(clock, room)
        engine.holding = True
        assert 2.0 <= await goodbye_s(opened, clock, 2.0) <= 2.0 + 2 * FRAME_S


async def test_who_hurries_does_not_wait_for_a_notice() -> None:
    hurry = asyncio.Event()
    async with meeting() as (opened, clock, room, engine):
        await two_who_were_greeted(clock, room)
        engine.holding = True
        leaving = asyncio.create_task(take_leave(opened, hurry))
        await clock.advance(1.0)
        assert not leaving.done()
        hurry.set()
        await clock.advance(0.0)
        assert leaving.done()
        assert CLOSING not in read(room, "ben")


async def test_a_meeting_that_is_over_needs_no_goodbye() -> None:
    async with meeting() as (opened, clock, room, engine):
        await two_who_were_greeted(clock, room)
        engine.holding = True
        room.end()
        await clock.advance(0.0)
        leaving = asyncio.create_task(take_leave(opened, asyncio.Event()))
        await clock.advance(0.0)
        assert leaving.done()


async def test_an_empty_room_is_left_at_once() -> None:
    async with meeting() as (opened, clock, *_):
        assert await goodbye_s(opened, clock, 12.0) == 0.0


async def test_notices_are_prepared_while_nobody_is_there_yet_and_a_line_says_so_if_it_takes_long() -> None:
    lines: list[str] = []
    async with meeting() as (opened, clock, room, _):
        opened.prepare(["en", "es"])
        left = opened.notices_left
        assert left > 20
        telling = asyncio.create_task(tell_preparing(opened, clock, lines.append))
        await asyncio.sleep(0)
        clock._now_s += 1.0  # nothing was said in that second
        await clock.advance(0.0)
        assert re.fullmatch(r"Preparing \d+ spoken notices, which nobody needs to wait for\.", lines[0])
        while opened.notices_left:
            await clock.advance(FRAME_S)
        telling.cancel()
        assert len(lines) == 1
        room.join("ana", "es")
        ben = room.join("ben", "en")
        for _ in range(20):
            await clock.advance(FRAME_S)
        assert max(amplitude(frame, NOTICE_HZ) for frame in ben.frames) > 0.05, "the opening sounds at once"


async def test_notices_that_are_soon_there_are_worth_no_line() -> None:
    lines: list[str] = []
    async with meeting(SayCapability.NO) as (opened, clock, *_):
        opened.prepare(["en", "es"])
        await clock.advance(0.0)
        telling = asyncio.create_task(tell_preparing(opened, clock, lines.append))
        await clock.advance(5.0)
        telling.cancel()
    assert lines == []


# The account ---------------------------------------------------------------------------------------------------------


def metered(price: Price | None) -> list[str]:
    meter = CostMeter(100.0, price)
    direction = Direction("ana", "es", "en")
    for n in range(90):
        meter.add_step(direction, 0.04, 100.0 + n)
    meter.rendered(direction, 120.0)
    return bill(meter.snapshot(460.0))


def test_the_account_tells_what_was_interpreted_and_what_it_cost() -> None:
    [plain] = metered(None)
    assert plain == "interpreted 2.0 minutes of 6.0; the engine was busy for 3.6 s, 1% of the time"
    [same, money] = metered(Price(per_gpu_hour=Decimal("2"), currency="EUR"))
    assert same == plain
    assert money == (
        "cost 0.0020 EUR where others use the rest of the device, 0.2000 where nobody does, "
        "0.0010 to 0.1000 for an interpreted minute"
    )


def test_an_account_of_nothing_divides_by_nothing() -> None:
    price = Price(per_gpu_hour=Decimal("2"), currency="EUR")
    lines = bill(CostMeter(0.0, price).snapshot(0.0))
    assert lines == [
        "interpreted 0.0 minutes of 0.0; the engine was busy for 0.0 s",
        "cost 0.0000 EUR where others use the rest of the device, 0.0000 where nobody does",
    ]
