"""A real meeting in the hosted room with its console, and operators' browsers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import time
from typing import Any, Literal

from playwright.async_api import Page, async_playwright

from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
from interpreter.clock import MonotonicClock
from interpreter.commands.memory_file import MemoryFile
from interpreter.commands.table import Standing
from interpreter.console.access import Pass
from interpreter.console.desk import Desk, DeskSettings, OpenRoom
from interpreter.console.server import ConsoleServer, ConsoleSettings
from interpreter.console.system import system_facts
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings, default_interpretation
from interpreter.record.record import RecordSettings
from interpreter.roles.library import load_library
from tests.browser.chromium import EXECUTABLE
from tests.browser.console.visit import Scribe, visit
from tests.browser.hosted import real_peer
from tests.journey import TappedEngine, Taps
from webrtc.hosted.server import HostedServer, HostedSettings

VIEWER = Pass(name="Vera", standing=Standing.VIEWER, token="viewer-token-0123456789")
EVA = Pass(name="Eva", standing=Standing.OPERATOR, token="operator-token-0123456789")
MAX = Pass(name="Max", standing=Standing.ADMIN, token="admin-token-0123456789")

ROOM_NAME, ROOM_TOKEN = "Clinic", "room-token-0123456789-abcdefgh"
WIDE, PHONE = (1360, 900), (320, 720)  # 320: what is left of 1280 at 400 % (WCAG 1.4.10)


@dataclass
class Ports:
    """Where a house is served; taken again after a restart."""

    hosted: int = 0
    console: int = 0


@dataclass
class House:
    """Everything of one process, as a test sees it."""

    link: str
    meeting: Meeting
    room: OpenRoom
    engine: TappedEngine
    taps: Taps
    console: ConsoleServer
    desk: Desk
    stack: AsyncExitStack = field(repr=False)
    console_settings: ConsoleSettings = field(repr=False)

    async def stop(self) -> None:
        """Ends as a process does that is to be started again: meeting, servers and engine."""
        await self.stack.aclose()

    async def console_goes(self) -> None:
        """Only the console's server ends; the meeting goes on."""
        await self.console.__aexit__(None, None, None)

    async def console_comes(self) -> None:
        """It is served again, where it was."""
        self.console = ConsoleServer(self.console_settings, self.desk, system_facts)
        await self.stack.enter_async_context(self.console)


def in_writing(record: RecordSettings | None = None) -> MeetingSettings:
    """A meeting whose notices are written only, so that renderings do not wait for their end."""
    return MeetingSettings(
        record=record or RecordSettings(),
        interpretation=replace(default_interpretation(), spoken_notices=False),
    )


@asynccontextmanager
async def house(
    spec: EngineSpec | None = None,
    *,
    settings: MeetingSettings | None = None,
    memory: Path | None = None,
    ports: Ports | None = None,
) -> AsyncIterator[House]:
    """What `interpreter run` makes, in this process, with the engine in one of its own.

    Args:
        spec: of the engine; None for that of the visit.
        settings: of the meeting; `in_writing` by default.
        memory: file in which its choices are kept over a restart.
        ports: to serve at; filled in where they are 0.
    """
    async with AsyncExitStack() as stack:
        yield await _started(stack, spec or visit(), settings or in_writing(), memory, ports or Ports())


async def _started(
    stack: AsyncExitStack, spec: EngineSpec, settings: MeetingSettings, memory: Path | None, ports: Ports
) -> House:
    process = EngineProcess(spec)
    stack.push_async_callback(asyncio.to_thread, process.close)
    await asyncio.to_thread(process.wait_ready, 90)
    engine = Scribe(process) if spec.kind == "scripted" else TappedEngine(process)
    clock, taps = MonotonicClock(), Taps(real_peer)
    hosted = HostedServer(HostedSettings(port=ports.hosted), make_peer=taps)
    server = await stack.enter_async_context(hosted)
    ports.hosted = _port(server.url)
    room = server.add_room(ROOM_NAME, ROOM_TOKEN)
    desk = Desk(
        DeskSettings(version="test", library=load_library(), languages=("en", "es")),
        {"engine": engine},
        now_s=clock.now_s,
        wall_s=time,
    )
    ledger = desk.ledger()
    kept = None if memory is None else MemoryFile(memory, max_age_s=600.0)
    meeting = await stack.enter_async_context(
        Meeting(room, engine, clock, settings, follower=ledger, memory=kept)
    )
    opened = stack.enter_context(
        desk.opened(
            meeting,
            ledger,
            name=ROOM_NAME,
            transport="hosted",
            listening=room.listening,
            invite=partial(server.link, room),
        )
    )
    console_settings = ConsoleSettings(passes=(VIEWER, EVA, MAX), port=ports.console)
    console = await stack.enter_async_context(ConsoleServer(console_settings, desk, system_facts))
    ports.console = _port(console.url)
    again = replace(console_settings, port=ports.console)
    return House(server.link(room), meeting, opened, engine, taps, console, desk, stack, again)


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


@dataclass
class Operator:
    """One console page."""

    page: Page
    problems: list[str]
    """What its script complained of; a test asserts that there was nothing."""

    async def sees(self, text: str, timeout_ms: float = 15_000) -> None:
        await self.page.get_by_text(text).first.wait_for(timeout=timeout_ms)

    def person(self, name: str) -> Any:
        """Somebody in the roster."""
        return self.page.locator("roster-person").filter(has=self.page.get_by_text(name, exact=True))

    def direction(self, name: str) -> Any:
        """The card of what somebody says."""
        heading = self.page.get_by_role("heading", name=f"{name}:")
        return self.page.locator("direction-card").filter(has=heading)

    async def lamp(self, word: str, timeout_ms: float = 15_000) -> None:
        await self.page.locator("room-status .lamp", has_text=word).wait_for(timeout=timeout_ms)

    async def choose_mode(self, mode: str) -> None:
        """Stages a mode for the room, and gives it."""
        tools = self.page.locator("room-tools")
        await tools.get_by_role("combobox", name="Mode", exact=True).select_option(mode)
        await tools.get_by_role("button", name="Apply at the next silence").click()

    async def keep_note(self, text: str) -> None:
        await self.page.get_by_role("textbox", name="Note").fill(text)
        await self.page.get_by_role("button", name="Keep the note").click()

    async def into_room(self) -> None:
        await self.page.locator(".room-cards").get_by_role("link").first.click()
        await self.page.locator("room-status h1").wait_for()


@asynccontextmanager
async def operator(
    house: House,
    holder: Pass = EVA,
    *,
    size: tuple[int, int] = WIDE,
    scheme: Literal["light", "dark"] = "light",
) -> AsyncIterator[Operator]:
    """Somebody at a console, signed in by their link; the page's own policy holds."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=EXECUTABLE, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        context = await browser.new_context(
            locale="en-US", color_scheme=scheme, viewport={"width": size[0], "height": size[1]}
        )
        page = await context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console", lambda line: problems.append(line.text) if "Content Security" in line.text else None
        )
        try:
            await page.goto(house.console.link(holder))
            await page.get_by_role("heading", name="Rooms").first.wait_for()
            yield Operator(page, problems)
            assert problems == [], "what its script complained of"
        finally:
            await browser.close()
