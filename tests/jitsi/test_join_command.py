"""`interpreter join` as a whole, on the test server, with the engine that repeats what it hears."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from interpreter.__main__ import main
from interpreter.check import CHECKS, check
from interpreter.config.config import Config
from interpreter.config.file import parse_config
from interpreter.join.join import join
from tests.jitsi.server import JitsiServer, jitsi_server
from webrtc.errors import Refused

pytestmark = [pytest.mark.media, pytest.mark.slow]

PASSWORD, TOKEN = "open sesame", "secret.jwt.token"
TEXT = """
engine: {kind: loopback, in_process: true, options: {lanes: 4}}
meeting: {language: es, spoken_notices: none, cancel_echo: false, transcribe: false}
join:
  name: Intérprete
  outputs: [{language: en, voice: nobody's}, {language: es, name: Español}]
  people: [{name: "Ben*", language: en, role: captions-only}]
  password_env: WARD_PASSWORD
  leave_after_min: 0.1
"""


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("WARD_PASSWORD", PASSWORD)
    monkeypatch.setenv("WARD_TOKEN", TOKEN)


def config_for(server: JitsiServer, text: str = TEXT, **changes: object) -> Config:
    config = parse_config(text, name="test", folder=Path())
    places = {"url": server.meeting_url("room"), "certificates": server.ca_file, **changes}
    return replace(config, join=replace(config.join, **places))  # type: ignore[arg-type]


@asynccontextmanager
async def joined(config: Config) -> AsyncIterator[tuple[asyncio.Task[None], list[str]]]:
    """The command while it runs; it is told to end afterwards."""
    said: list[str] = []
    command = asyncio.create_task(join(config, said.append))
    try:
        yield command, said
    finally:
        for _ in range(2):
            if not command.done():
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.05)
        await asyncio.gather(command, return_exceptions=True)


async def test_it_interprets_between_people_and_leaves_when_it_is_told_to() -> None:
    async with jitsi_server() as server:
        conference = await server.focus.create("room")
        await conference.configure(roomsecret=PASSWORD)
        ana = await server.join("room", "Ana", tone_hz=440, password=PASSWORD)
        eva = await server.join("room", "Eva (inglés)", tone_hz=550, password=PASSWORD)
        config = config_for(server)
        config = replace(config, meeting=replace(config.meeting, languages=()))
        async with joined(config) as (command, said):
            await eva.until(lambda: any(eva.name_of(nick) == "Español" for nick in eva.occupants))
            await eva.say("!interp idioma inglés")
            await eva.until_hears("Intérprete · English", 440)
            await ana.until_hears("Español", 550)
            assert any("no engine has the voice nobody's" in line for line in said)
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(30):
                await command
            await conference.until(lambda: server.strangers("room") == set())
        assert said[-1] == "Leaving."
        assert not any(PASSWORD in line for line in said)
    assert server.violations == []


async def test_it_leaves_after_the_last_person() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, listening=False)
        async with joined(config_for(server, password_env=None)) as (command, said):
            await ana.until(lambda: any("Intérprete" in (ana.name_of(nick) or "") for nick in ana.occupants))
            await ana.leave()
            async with asyncio.timeout(60):
                await command
        assert "Nobody is here any more." in said
        assert server.strangers("room") == set()
    assert server.violations == []


async def test_a_dry_run_says_what_it_would_do_and_joins_nothing() -> None:
    async with jitsi_server(tls=True, tenant="clinic") as server:
        await server.join("room", "Ana", tone_hz=440, listening=False)
        said: list[str] = []
        await join(config_for(server, token_env="WARD_TOKEN"), said.append, dry_run=True)
        text = "\n".join(said)
        for words in (
            server.meeting_url("room"),
            "room@muc.meet.test",
            "wss://",
            "token in $WARD_TOKEN",
            "password of the meeting: $WARD_PASSWORD",
            "Intérprete · English listens to everybody and speaks English with the voice nobody's",
            "Español speaks Spanish",
            "name like 'Ben*': English; everybody else is taken to speak Spanish",
            "name like 'Ben*': captions-only; everybody else: meeting-simultaneous",
            "Spanish into English by loopback",
            "which repeats and does not translate",
            "Kept:         nothing.",
            "captions of what is rendered",
            "Nothing was joined.",
        ):
            assert words in text, words
        assert PASSWORD not in text
        assert TOKEN not in text
        assert server.strangers("room") == set()
        assert len(server.focus.requests) == 1, "Ana's own"
    assert server.violations == []


async def test_a_refusal_is_the_command_s_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WARD_PASSWORD", "wrong one")
    async with jitsi_server() as server:
        conference = await server.focus.create("room")
        await conference.configure(roomsecret=PASSWORD)
        said: list[str] = []
        with pytest.raises(Refused, match="did not accept the password"):
            await join(config_for(server), said.append)
    assert "wrong one" not in caplog.text + "".join(said)
    assert server.violations == []


async def test_check_knows_the_meeting_that_is_to_be_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    async with jitsi_server() as server:
        said: list[str] = []
        only = {"join": CHECKS["join"], "jitsi": CHECKS["jitsi"]}
        assert await check(config_for(server), said.append, only)
        assert f"found {server.meeting_url('room')}" in said[0]
        assert "speaks English and Spanish, 1 rules" in said[0]
        monkeypatch.delenv("WARD_PASSWORD")
        assert not await check(config_for(server), said.append, only)
        assert "WARD_PASSWORD" in said[-2]
        assert not await check(config_for(server, url="https://127.0.0.1:1/room"), said.append, only)
    assert server.violations == []


def test_secrets_are_never_given_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["join", f"https://meet.example.org/room?jwt={TOKEN}"]) == 1
    error = capsys.readouterr().err
    assert "--token-env" in error
    assert TOKEN not in error
    for arguments in (["--password", "x"], ["--token", "x"], ["--password-env", "A", "--password-file", "b"]):
        with pytest.raises(SystemExit):
            main(["join", "https://meet.example.org/room", *arguments])
    capsys.readouterr()
    for url, words in (
        ([], "expected the address of a meeting that begins with"),
        (["room"], "got none"),
        (["ftp://meet.example.org/room"], "got 'ftp'"),
        (["http://meet.example.org/room"], "expected https:// for meet.example.org"),
        (["https://meet.example.org/"], "of the form https://host/room"),
    ):
        assert main(["join", *url]) == 1
        assert words in capsys.readouterr().err
