"""The translation service as a whole: bridges with real Opus on one side, engines on the other."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from interpreter.config.config import (
    Config,
    EngineConfig,
    JitsiConfig,
    JitsiMeeting,
    MeetingConfig,
    PersonLanguage,
    ServerConfig,
)
from interpreter.config.engines import first_of
from interpreter.config.file import parse_config
from interpreter.config.settings import meeting_settings, translate_settings
from interpreter.errors import ConfigError
from interpreter.facts_guard.lexicon import lexicon_of
from interpreter.meeting.meeting import Meeting
from interpreter.metrics import Count
from interpreter.serve_jitsi import LANGUAGE_HEADER, ROLE_HEADER, MeetingsSettings, serve_jitsi
from tests.fakes import amplitude, tone
from tests.jitsi_bridge import Bridge, Synthetic
from webrtc.errors import LocalError, Refused
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

A_HZ, B_HZ = 500.0, 1_000.0
ES_ONLY = {"directions": {"es>en": {"cues": []}}}


def hum(hz: float, seconds: float) -> Pcm:
    return np.concatenate([tone(hz, n) for n in range(round(seconds * SAMPLE_RATE_HZ / FRAME_SAMPLES))])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds of notices are neither found nor left where whoever runs the tests keeps theirs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


class Told:
    """What the command said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._more.set()

    async def url(self) -> str:
        async with asyncio.timeout(30):
            while not (self.lines and self.lines[-1].startswith("Jitsi's setting")):
                self._more.clear()
                await self._more.wait()
        return self.lines[-1].partition("=")[2]


def config(**engine: Any) -> Config:
    options = engine or {"kind": "loopback", "options": {"lanes": 8}}
    return Config(
        server=ServerConfig(port=0),
        meeting=MeetingConfig(
            language="es", languages=(PersonLanguage(person="b", language="en"),), transcribe=False
        ),
        engine=EngineConfig(in_process=True, **options),
    )


@asynccontextmanager
async def serving(settings: Config) -> AsyncIterator[tuple[str, Told]]:
    """The service while it runs; it is told to end afterwards, twice, so that it does so at once."""
    told = Told()
    command = asyncio.create_task(serve_jitsi(settings, told.say, "0.0-test"))
    await first_of(told.url(), asyncio.shield(command))  # type: ignore[arg-type]
    try:
        yield await told.url(), told
    finally:
        for _ in range(2):
            if not command.done():
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.01)
        await command


def level(synthetic: Synthetic, hz: float) -> float:
    """Of a tone in the middle of what came."""
    pcm = synthetic.heard()
    frames = len(pcm) // FRAME_SAMPLES
    return amplitude(pcm[2 * FRAME_SAMPLES : max(3, frames - 7) * FRAME_SAMPLES], hz)


@pytest.mark.slow
@pytest.mark.media
async def test_two_people_are_rendered_at_once_each_alone() -> None:
    async with serving(config()) as (url, told), Bridge(url, "m1") as bridge:
        await bridge.sources(["a-a0", "b-a0"], ["a-a0.en", "a-a0.fr", "b-a0.es"])
        for tag in ("a-a0", "b-a0"):
            await bridge.start(tag)
        voices = {"a-a0": hum(A_HZ, 1.6), "b-a0": hum(B_HZ, 1.6)}
        await bridge.speak(voices)
        await bridge.ping(7)
        names = {"a-a0.en": A_HZ, "a-a0.fr": A_HZ, "b-a0.es": B_HZ}
        await bridge.until(lambda: all(bridge.synthetic[n].talks for n in names))
        await bridge.until(lambda: not any(bridge.synthetic[n].talking for n in names))
        await bridge.speak(voices, gap_packets=40)
        await bridge.until(lambda: all(len(bridge.synthetic[n].talks) >= 2 for n in names))
        await bridge.until(lambda: not any(bridge.synthetic[n].talking for n in names))
        assert set(bridge.synthetic) == set(names), "nothing but what was asked for"
        for name, hz in names.items():
            into = bridge.synthetic[name]
            assert level(into, hz) > 0.05
            assert level(into, A_HZ + B_HZ - hz) < 0.01, "nothing of the other person"
        assert max(bridge.pongs_s) < 3.0
    assert told.lines[-1] == "Closing."


@pytest.mark.slow
@pytest.mark.media
async def test_what_is_asked_for_is_reconciled_while_people_speak() -> None:
    async with serving(config()) as (url, _), Bridge(url, "m1") as bridge:
        await bridge.sources(["a-a0"], ["a-a0.en"])
        speaking = asyncio.create_task(bridge.speak({"a-a0": hum(A_HZ, 60.0)}))
        english, french = bridge.synthetic["a-a0.en"], bridge.synthetic["a-a0.fr"]
        await bridge.until(lambda: len(english.chunks) > 10)
        await bridge.sources(["a-a0"], ["a-a0.fr"])
        await bridge.until(lambda: len(french.chunks) > 10)
        assert not english.talking, "it was stopped"
        known, dropped = len(english.chunks), bridge.dropped["a-a0.en"]
        await bridge.until(lambda: len(french.chunks) > 30)
        assert (len(english.chunks), bridge.dropped["a-a0.en"]) == (known, dropped), "and nothing came since"
        await bridge.sources(["a-a0"], ["a-a0.en", "a-a0.fr"])
        await bridge.until(lambda: len(english.chunks) > known + 10)
        assert len(english.talks) >= 2
        assert french.talking, "it went on meanwhile"
        speaking.cancel()


@pytest.mark.slow
@pytest.mark.media
async def test_a_bridge_that_comes_back_finds_its_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    meetings: list[Meeting] = []
    enter = Meeting.__aenter__

    async def entering(self: Meeting) -> Meeting:
        meetings.append(self)
        return await enter(self)

    monkeypatch.setattr(Meeting, "__aenter__", entering)
    async with serving(config()) as (url, _):
        last = 0
        for _ in range(3):
            async with Bridge(url, "m1") as bridge:
                await bridge.sources(["a-a0"], ["a-a0.en", "a-a0.fr"])
                speaking = asyncio.create_task(bridge.speak({"a-a0": hum(A_HZ, 60.0)}))
                english = bridge.synthetic["a-a0.en"]
                await bridge.until(lambda english=english: len(english.chunks) > 10)
                assert english.timestamps[0] > last
                last = english.timestamps[-1]
                speaking.cancel()
                await bridge.lose()
        [meeting] = meetings
        assert meeting.metrics.snapshot().counts[Count.SESSIONS_OPENED] == 2, "and never again"
        assert len(meeting._sessions.states) == 2


@pytest.mark.slow
@pytest.mark.media
async def test_a_direction_that_nobody_serves_is_one_sentence_and_no_talk() -> None:
    scripted = config(kind="scripted", options={"script": ES_ONLY, "lanes": 4})
    lexicon_of.cache_clear()
    async with serving(scripted) as (url, told), Bridge(url, "m1") as bridge:
        assert lexicon_of.cache_info().currsize == 2, "no meeting has to wait for the lists of another"
        await bridge.sources(["b-a0"], ["b-a0.es"])
        await bridge.speak({"b-a0": hum(B_HZ, 0.8)})
        await bridge.until(lambda: bridge.results)
        [result] = [one for one in bridge.results if "no puede" in one["transcript"][0]["text"]]
        assert result["language"] == "es"
        assert result["participant"] == {"id": "b-a0"}
        assert result["is_interim"] is False
        assert bridge.synthetic == {}
        assert any(line.startswith("NOTE: off, since Jitsi") for line in told.lines)


@pytest.mark.slow
@pytest.mark.media
async def test_two_meetings_are_two_and_two_bridges_of_one_are_one() -> None:
    async with serving(config()) as (url, _), AsyncExitStack() as stack:
        one, two, other = [await stack.enter_async_context(Bridge(url, name)) for name in ("m1", "m1", "m2")]
        await one.sources(["a-a0"], ["a-a0.en"])
        await two.sources(["a-a0"], ["a-a0.fr"])
        await other.sources(["a-a0"], ["a-a0.en"])
        await asyncio.gather(
            one.speak({"a-a0": hum(A_HZ, 1.6)}),
            two.speak({"a-a0": hum(A_HZ, 1.6)}),
            other.speak({"a-a0": hum(B_HZ, 1.6)}),
        )
        wanted = [(one, "a-a0.en", A_HZ), (two, "a-a0.fr", A_HZ), (other, "a-a0.en", B_HZ)]
        for bridge, name, hz in wanted:
            into = bridge.synthetic[name]
            await bridge.until(lambda into=into: into.talks and not into.talking)
            assert level(into, hz) > 0.05
            assert level(into, A_HZ + B_HZ - hz) < 0.01


@pytest.mark.slow
@pytest.mark.media
async def test_a_signal_lets_what_is_being_said_come_to_an_end() -> None:
    told = Told()
    delayed = config(kind="loopback", options={"lanes": 4, "delay_ms": 800})
    command = asyncio.create_task(serve_jitsi(delayed, told.say))
    url = await told.url()
    bridge = Bridge(url, "m1")
    await bridge.__aenter__()
    await bridge.sources(["a-a0"], ["a-a0.en"])
    speaking = asyncio.create_task(bridge.speak({"a-a0": hum(A_HZ, 60.0)}))
    english = bridge.synthetic["a-a0.en"]
    await bridge.until(lambda: len(english.chunks) > 10)
    os.kill(os.getpid(), signal.SIGTERM)
    await bridge.until(lambda: not english.talking)
    sounding = english.heard()[: -20 * 480]
    assert len(sounding) > 0.8 * SAMPLE_RATE_HZ, "what was heard before the signal was said"
    with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
        async with Bridge(url, "m2"):
            pass
    assert await bridge.closed_by_service() == 1001
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)
    await bridge._session.close()
    await command
    assert told.lines[-1] == "Closing."


# What holds in a meeting ---------------------------------------------------------------------------------------------


def meetings(*different: JitsiMeeting, **headers: str) -> tuple[str | None, str]:
    """Default language and role of the meeting `consilium-7`."""
    whole = replace(config(), jitsi=JitsiConfig(meetings=different))
    settings = MeetingsSettings(whole, meeting_settings(whole, os.environ))
    one = settings.of("consilium-7", {name.replace("_", "-"): value for name, value in headers.items()})
    assert not one.cancel_echo
    assert one.interpretation.languages.by_person == {"b": "en"}, "people by their endpoints"
    return one.interpretation.languages.default, one.interpretation.roles.default.name


def test_language_and_role_come_from_headers_before_the_meeting_s_entry_before_the_rest() -> None:
    fits = JitsiMeeting(meeting="consilium-*", language="fr-CA", role="medical-consecutive")
    other = JitsiMeeting(meeting="webinar-*", language="de")
    assert meetings() == ("es", "meeting-simultaneous")
    assert meetings(other, fits, JitsiMeeting(meeting="*", language="pt")) == ("fr", "medical-consecutive")
    assert meetings(other) == ("es", "meeting-simultaneous")
    headers = {LANGUAGE_HEADER: "en-GB", ROLE_HEADER: "plain-language-relay"}
    assert meetings(fits, **headers) == ("en", "plain-language-relay")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({LANGUAGE_HEADER: "7"}, "expected a BCP 47 tag such as es in X-Interpreter-Language, got '7'"),
        ({ROLE_HEADER: "/etc/passwd"}, "X-Interpreter-Role: expected one of the roles"),
    ],
)
def test_headers_that_name_nothing_are_refused(headers: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=re.escape(words)):
        meetings(**headers)


def test_the_service_s_settings_come_from_two_sections() -> None:
    text = (
        "server: {host: 10.1.2.3, port: 9000, insecure: true}\n"
        "jitsi: {token_env: T, header: X-Token, max_meetings: 3, max_connections: 4, max_sources: 5}\n"
    )
    settings = translate_settings(parse_config(text, name="c", folder=Path()), {"T": "geheim"})
    assert (settings.host, settings.port, settings.insecure, settings.tls) == ("10.1.2.3", 9000, True, None)
    assert (settings.token, settings.header) == ("geheim", "X-Token")
    assert (settings.max_meetings, settings.max_connections, settings.max_sources) == (3, 4, 5)
    assert "geheim" not in repr(settings)


def test_tls_is_the_server_s(tmp_path: Path) -> None:
    whole = Config(server=ServerConfig(tls="self-signed", state_dir=tmp_path))
    assert translate_settings(whole, {}).tls is not None


async def test_what_cannot_be_used_is_said_before_anything_is_started() -> None:
    told = Told()
    lost = replace(config(), jitsi=JitsiConfig(meetings=(JitsiMeeting(meeting="*", role="nobody"),)))
    with pytest.raises(ConfigError, match="expected one of the roles"):
        await serve_jitsi(lost, told.say)
    with pytest.raises(LocalError, match="expected a token"):
        await serve_jitsi(replace(config(), server=ServerConfig(host="10.1.2.3", insecure=True)), told.say)
    assert told.lines == []


def test_the_documented_configuration_can_be_used() -> None:
    page = (Path(__file__).parents[2] / "docs/jitsi.md").read_text()
    text = next(one for one in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "\njitsi:" in one)
    whole = parse_config(text, name="docs", folder=Path())
    assert whole.jitsi.token_env == "JITSI_TOKEN"
    settings = MeetingsSettings(whole, meeting_settings(whole, os.environ))
    assert settings.of("c0ffee-1", {}).interpretation.languages.default == "en"
    assert settings.of("another", {}).interpretation.languages.default == "es"


def test_a_role_s_file_is_found_beside_the_configuration() -> None:
    text = "jitsi: {meetings: [{meeting: a, role: own.yaml}, {meeting: b}]}"
    first, second = parse_config(text, name="c", folder=Path("/etc/i")).jitsi.meetings
    assert (first.role, second.role) == ("/etc/i/own.yaml", None)
