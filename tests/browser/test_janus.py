"""Three browsers in a room of a real Janus server: two speak, one listens, and the interpreter is their guest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
from interpreter.channels import Channel
from interpreter.clock import MonotonicClock
from interpreter.interpretation.language_assignment import assign_languages
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.people import PersonPattern
from tests.browser import stimuli
from tests.browser.chromium import Participant, participant
from tests.browser.hosted import path_alone, wait_until
from tests.browser.pages import site
from tests.janus import ROOM, JanusServer, janus_server
from tests.journey import SessionTap, TappedEngine
from webrtc.janus import JanusRoom, JanusSettings, parse_janus_url
from webrtc.room import SAMPLE_RATE_HZ

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.janus, pytest.mark.slow]

ANA_HZ, BEN_HZ = 440, 660  # under their voices
IN_EN_HZ, IN_ES_HZ = 900, 1300  # what the sessions say
SAID_DBFS, VOICE_TONE_DBFS, ABSENT_DBFS = -20.0, -26.0, -55.0
SEATS = {"en": "Interpreter · English", "es": "Interpreter · Español"}
MODULES = {"/janus.js": Path(__file__).parent / "janus.js"}


def humming(hz: float) -> dict[str, object]:
    return {"cues": [{"at_frame": 0, "sound": {"hz": hz, "peak_dbfs": SAID_DBFS, "duration_s": 300}}]}


SCRIPT = {"directions": {"es>en": humming(IN_EN_HZ), "en>es": humming(IN_ES_HZ)}}


def settings() -> MeetingSettings:
    """A guest's: who speaks what is told by their names."""
    meeting = path_alone()
    rules = [(PersonPattern(name="Ana*"), "es"), (PersonPattern(name="Ben*"), "en")]
    channels = (Channel(language="en"), Channel(language="es"))
    return replace(
        meeting,
        interpretation=replace(
            meeting.interpretation, languages=assign_languages(None, {}, rules), channels=channels
        ),
    )


@dataclass
class Scene:
    """A guest interpreter on a Janus server, and whoever is in the room with it."""

    server: JanusServer
    engine: TappedEngine
    page: str
    stack: AsyncExitStack
    people: dict[str, Participant] = field(default_factory=dict)

    async def come(self, name: str, microphone: Path) -> Participant:
        """Opens a browser for somebody, without anything in it."""
        person = self.people[name] = await self.stack.enter_async_context(participant(microphone))
        await person.page.goto(self.page)
        return person

    async def speak(self, name: str) -> None:
        """Has somebody join and publish."""
        await self.people[name].page.evaluate(
            "async ([url, room, name]) => {"
            "  window.speaker = await (await import('/janus.js')).Speaker.join(url, room, name);"
            "  await window.speaker.publish(); }",
            [f"ws://{self.server.host}/", ROOM, name],
        )

    async def listen(self, name: str) -> None:
        """Has somebody listen to both languages, and record them."""
        page = self.people[name].page
        await page.evaluate(
            "async ([url, room, names]) => {"
            "  const listener = await (await import('/janus.js')).Listener.open(url, room);"
            "  for (const name of names) await listener.hear(name); }",
            [f"ws://{self.server.host}/", ROOM, list(SEATS.values())],
        )
        for seat in SEATS.values():
            await page.evaluate("name => window.testHooks.start(name)", seat)

    async def until_sessions(self, count: int) -> list[SessionTap]:
        """The sessions, once so many are open, with five seconds and more of what they heard since."""
        anybody = next(iter(self.people.values()))

        def many() -> str:
            return f"{self.engine.sessions_open} sessions are open"

        await wait_until(anybody, lambda: self.engine.sessions_open == count, 60, many)
        before = {id(tap): len(tap.heard.frames) for tap in self.engine.sessions}

        def fed() -> list[SessionTap]:
            taps = self.engine.sessions
            return [tap for tap in taps if len(tap.heard.frames) > before.get(id(tap), 0) + 63]

        await wait_until(anybody, lambda: len(fed()) == count, 60, many)
        return fed()


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    process = EngineProcess(EngineSpec(kind="scripted", options={"script": SCRIPT}))
    try:
        process.wait_ready(30)
        engine = TappedEngine(process)
        async with janus_server(folder) as server, site(MODULES) as page, AsyncExitStack() as stack:
            address = parse_janus_url(server.url(room=ROOM))
            room = JanusRoom(JanusSettings(address=address, seats=SEATS, first_id=10_000))
            await stack.enter_async_context(Meeting(room, engine, MonotonicClock(), settings()))
            yield Scene(server=server, engine=engine, page=page, stack=stack)
    finally:
        process.close()


def level(pcm: stimuli.Pcm, frequency_hz: float, rate_hz: int = stimuli.MICROPHONE_RATE_HZ) -> float:
    return stimuli.tone_level_db(pcm, frequency_hz, rate_hz)


def assert_own_voices(sessions: list[SessionTap]) -> None:
    """Each session hears its own speaker and nobody else."""
    tones: Mapping[str, int] = {"es": ANA_HZ, "en": BEN_HZ}
    assert {tap.prompt.language_in for tap in sessions} <= tones.keys()
    for tap in sessions:
        heard, language = tap.heard.last(4), tap.prompt.language_in
        assert level(heard, tones[language], SAMPLE_RATE_HZ) == pytest.approx(VOICE_TONE_DBFS, abs=1.5)
        for other, hz in tones.items():
            if other != language:
                assert level(heard, hz, SAMPLE_RATE_HZ) < ABSENT_DBFS


async def assert_languages_apart(listener: Participant) -> None:
    """The listener hears each language from its own participant, and there no other and no original."""
    for seat, own_hz in zip(SEATS.values(), (IN_EN_HZ, IN_ES_HZ), strict=True):
        heard = (await listener.recording(seat, 4)).pcm
        assert level(heard, own_hz) == pytest.approx(SAID_DBFS, abs=1.5)
        for hz in {IN_EN_HZ, IN_ES_HZ, ANA_HZ, BEN_HZ} - {own_hz}:
            assert level(heard, hz) < ABSENT_DBFS


@pytest.mark.timeout(300)
async def test_a_guest_interprets_between_people_in_a_janus_room(tmp_path: Path) -> None:
    ana_voice = stimuli.microphone_file(tmp_path / "ana.wav", language="es", tone_hz=ANA_HZ)
    ben_voice = stimuli.microphone_file(tmp_path / "ben.wav", language="en", tone_hz=BEN_HZ)
    (tmp_path / "janus").mkdir()
    async with scene(tmp_path / "janus") as stage:
        ana, ben = await stage.come("Ana López", ana_voice), await stage.come("Ben", ben_voice)
        eva = await stage.come("Eva", ben_voice)
        for name in ("Ana López", "Ben"):
            await stage.speak(name)
        sessions = await stage.until_sessions(2)
        await stage.listen("Eva")
        await eva.page.wait_for_timeout(6_000)
        await assert_languages_apart(eva)
        assert_own_voices(sessions)

        # Ana stops publishing, only listens for a while, and begins anew.
        await ana.page.evaluate("() => window.speaker.unpublish()")
        (session,) = await stage.until_sessions(1)
        assert session.prompt.language_in == "en"
        await ana.page.evaluate("() => window.speaker.publish()")
        assert_own_voices(await stage.until_sessions(2))

        # Ben's browser crashes; nobody else notices.
        await ben.context.close()
        stage.people.pop("Ben")
        await stage.until_sessions(0)

        # The server crashes and comes back; pages and interpreter join again.
        await stage.server.kill()
        await stage.server.start()
        ben = await stage.come("Ben", ben_voice)
        for name in ("Ana López", "Ben"):
            await stage.speak(name)
        assert_own_voices(await stage.until_sessions(2))
        await stage.listen("Eva")
        await eva.page.wait_for_timeout(6_000)
        await assert_languages_apart(eva)
