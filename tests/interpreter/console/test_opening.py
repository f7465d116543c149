"""The console of `interpreter run`: printed, reachable, and what a restarted process takes up again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from interpreter.config.config import Config, EngineConfig, MeetingConfig, RoomConfig, ServerConfig
from interpreter.config.console import DEFAULT_PORT, ConsoleConfig, OperatorConfig
from interpreter.config.engines import first_of
from interpreter.errors import ConfigError
from interpreter.run import run
from tests.interpreter.test_run import BOTH_WAYS, Told

ROOM = "room-token-0123456789"
HOST = "host-token-0123456789"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("ROOM_TOKEN", ROOM)
    monkeypatch.setenv("HOST_TOKEN", HOST)
    monkeypatch.setenv("EVA_TOKEN", "eva-token-0123456789")


def config(console: ConsoleConfig, port: int = 0) -> Config:
    return Config(
        server=ServerConfig(port=port),
        room=RoomConfig(name="Clinic", token_env="ROOM_TOKEN", host_token_env="HOST_TOKEN"),
        meeting=MeetingConfig(spoken_notices="none"),
        engine=EngineConfig(kind="scripted", options={"script": BOTH_WAYS, "lanes": 4}, in_process=True),
        console=console,
    )


@asynccontextmanager
async def running(config: Config, *, end: signal.Signals = signal.SIGINT) -> AsyncIterator[Told]:
    told = Told()
    command = asyncio.create_task(run(config, told.say, "1.2.3"))
    await first_of(told.until("Open "), asyncio.shield(command))  # type: ignore[arg-type]
    try:
        yield told
    finally:
        if not command.done():
            os.kill(os.getpid(), end)
        await command


class Operator:
    """Somebody who calls the console that a command printed."""

    def __init__(self, client: aiohttp.ClientSession, link: str) -> None:
        self.client = client
        self.url, _, self.token = link.partition("/#token=")

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.client.request(method, self.url + path, headers=headers, json=body) as response:
            return await response.json()

    async def room(self) -> tuple[str, dict[str, Any]]:
        [room] = (await self.call("GET", "/api/house"))["rooms"]
        return room, await self.call("GET", f"/api/rooms/{room}")


@pytest.mark.slow
async def test_a_link_is_printed_and_its_page_and_room_are_there() -> None:
    async with running(config(ConsoleConfig(port=0))) as told, aiohttp.ClientSession() as client:
        line = await told.until("Whoever runs the interpreter opens ")
        eva = Operator(client, line.removeprefix("Whoever runs the interpreter opens "))
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", eva.url)
        me = await eva.call("GET", "/api/me")
        assert (me["name"], me["standing"]) == ("operator", "admin")
        house = await eva.call("GET", "/api/house")
        assert house["version"] == "1.2.3"
        assert house["engines"]["engine"]["lanes"] == 4
        _, room = await eva.room()
        assert (room["name"], room["transport"], room["lamp"]) == ("Clinic", "hosted", "standby")
        async with client.get(eva.url) as page:
            assert "text/html" in page.headers["Content-Type"]
        system = await eva.call("GET", "/api/system")
        assert system["machine"]["free_bytes"] > 0
        assert system["versions"]["aiohttp"]
        invited = await eva.call("POST", f"/api/rooms/{(await eva.room())[0]}/commands/invite")
        assert invited["result"]["url"].endswith(f"/r/{ROOM}")


@pytest.mark.slow
async def test_operators_have_tokens_of_their_own_and_none_is_printed() -> None:
    console = ConsoleConfig(port=0, operators=(OperatorConfig(name="Eva", token_env="EVA_TOKEN"),))
    async with running(config(console)) as told, aiohttp.ClientSession() as client:
        line = await told.until("The console is at ")
        assert line.endswith("/#token=TOKEN, each with their own token: Eva")
        assert not any("eva-token" in one for one in told.lines)
        url = line.split()[4].partition("/#")[0]
        me = await Operator(client, f"{url}/#token=eva-token-0123456789").call("GET", "/api/me")
        assert (me["name"], me["standing"]) == ("Eva", "operator")


async def test_without_a_console_nothing_is_served() -> None:
    async with running(config(ConsoleConfig(enabled=False))) as told:
        assert not any("console" in one or "runs the interpreter" in one for one in told.lines)


@pytest.mark.slow
async def test_the_default_port_gives_way_and_a_chosen_one_does_not(unused_tcp_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", unused_tcp_port))
        taken.listen()
        with pytest.raises(ConfigError, match=f"serve the console on 127.0.0.1 port {unused_tcp_port}"):
            await run(config(ConsoleConfig(port=unused_tcp_port)), Told().say)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it, which will do as well
            taken.bind(("127.0.0.1", DEFAULT_PORT))
        taken.listen()
        async with running(config(ConsoleConfig())) as told:
            line = await told.until("Whoever runs the interpreter opens ")
            assert f":{DEFAULT_PORT}/" not in line


@pytest.mark.slow
@pytest.mark.parametrize(("end", "kept"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
async def test_a_restarted_process_takes_up_the_meeting_and_an_ended_one_does_not(
    end: signal.Signals, kept: bool, unused_tcp_port: int
) -> None:
    settings = config(ConsoleConfig(port=0), unused_tcp_port)
    async with aiohttp.ClientSession() as client:
        ids = []
        for attempt in range(2):
            async with running(settings, end=end) as told:
                link = (await told.until("Whoever runs the interpreter opens ")).split()[-1]
                assert f":{unused_tcp_port}/r/{ROOM}" in await told.until("Open "), "the same link again"
                eva = Operator(client, link)
                room, state = await eva.room()
                ids.append(room)
                if attempt == 0:
                    path = f"/api/rooms/{room}/commands/mode"
                    body = {"arguments": {"mode": "consecutive"}, "expect": 0}
                    assert (await eva.call("POST", path, body))["accepted"]
                    assert (await eva.call("POST", f"/api/rooms/{room}/commands/halt"))["accepted"]
                else:
                    assert (state["mode"]["wanted"] == "consecutive") is kept
                    assert state["halted"] is kept
                    assert (state["lamp"] == "off") is kept
        assert ids[0] == ids[1], "a page that looks at it finds it again"
