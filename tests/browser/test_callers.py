"""Two browsers that call by WHIP and WHEP, by the book and with an npm package, and hear each other interpreted."""

from __future__ import annotations

from pathlib import Path

import pytest

from duplex_model.spec import EngineSpec
from tests.browser import stimuli
from tests.browser.chromium import Participant, participant
from tests.browser.hosted import hosted_meeting, wait_until
from tests.browser.pages import site
from tests.conftest import NPM_PACKAGE
from webrtc.hosted import Door, Invitee
from webrtc.room import SAMPLE_RATE_HZ

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.npm, pytest.mark.slow]

ANA = Invitee(name="Ana", language="es", token="ana-0123456789-abc")
BEN = Invitee(name="Ben", language="en", token="ben-0123456789-abc")
ANA_HZ, BEN_HZ = 440, 660  # under their voices
FOR_BEN_HZ, FOR_ANA_HZ = 900, 1300  # what the sessions say
SAID_DBFS, DUCKED_DB, VOICE_TONE_DBFS, ABSENT_DBFS = -20.0, -15.0, -26.0, -55.0


def humming(hz: float) -> dict[str, object]:
    return {"cues": [{"at_frame": 0, "sound": {"hz": hz, "peak_dbfs": SAID_DBFS, "duration_s": 120}}]}


SCRIPT = {"directions": {"es>en": humming(FOR_BEN_HZ), "en>es": humming(FOR_ANA_HZ)}}


HERE = Path(__file__).parent
MODULES = {
    "/callers.js": HERE / "callers.js",
    **{f"/npm/{one}": NPM_PACKAGE / one for one in ("whip.js", "whep.js")},
}


async def make_caller(person: Participant, url: str, kind: str, token: str) -> None:
    await person.page.goto(url)
    await person.page.evaluate(
        "async ([kind, token]) => { window.caller = new (await import('/callers.js'))[kind](token); }",
        [kind, token],
    )


async def do(person: Participant, verb: str, url: str = "") -> object:
    return await person.page.evaluate("([verb, url]) => window.caller[verb](url)", [verb, url])


def level(pcm: stimuli.Pcm, frequency_hz: float, rate_hz: int = stimuli.MICROPHONE_RATE_HZ) -> float:
    return stimuli.tone_level_db(pcm, frequency_hz, rate_hz)


async def test_callers_without_our_page_hear_each_other_interpreted(tmp_path: Path) -> None:
    ana_voice = stimuli.microphone_file(tmp_path / "ana.wav", language="es", tone_hz=ANA_HZ)
    ben_voice = stimuli.microphone_file(tmp_path / "ben.wav", language="en", tone_hz=BEN_HZ)
    spec = EngineSpec(kind="scripted", options={"script": SCRIPT})
    async with (
        site(MODULES) as elsewhere,
        hosted_meeting(spec, people=(ANA, BEN), origins=(elsewhere,)) as hosted,
        participant(ana_voice) as ana,
        participant(ben_voice) as ben,
    ):
        await make_caller(ana, elsewhere, "PlainCaller", ANA.token)
        await make_caller(ben, elsewhere, "PackageCaller", BEN.token)
        for person in (ana, ben):
            await do(person, "publish", hosted.call_urls[Door.WHIP])
            await do(person, "listen", hosted.call_urls[Door.WHEP])
        await wait_until(ben, lambda: len(hosted.engine.sessions) >= 2)
        for person in (ana, ben):
            await person.record("heard")
        await ana.page.wait_for_timeout(7_000)
        ana_hears = (await ana.recording("heard", 5)).pcm
        ben_hears = (await ben.recording("heard", 5)).pcm
        sessions = {tap.prompt.language_in: tap.heard.last(5) for tap in hosted.engine.sessions}
        assert len(sessions) == len(hosted.engine.sessions)

        await do(ben, "leave")
        await wait_until(ana, lambda: hosted.engine.sessions_open == 0, instead=lambda: "sessions for nobody")
        assert await do(ana, "leave") == [200, 200]

    # Each session hears its own speaker and nobody else.
    assert level(sessions["es"], ANA_HZ, SAMPLE_RATE_HZ) == pytest.approx(VOICE_TONE_DBFS, abs=1)
    assert level(sessions["es"], BEN_HZ, SAMPLE_RATE_HZ) < ABSENT_DBFS
    assert level(sessions["en"], BEN_HZ, SAMPLE_RATE_HZ) == pytest.approx(VOICE_TONE_DBFS, abs=1)
    assert level(sessions["en"], ANA_HZ, SAMPLE_RATE_HZ) < ABSENT_DBFS
    # Each listener hears the other's rendering, the other's own voice ducked under it, and nothing of themselves.
    for heard, rendering_hz, other_hz, own_hz, own_rendering_hz in (
        (ana_hears, FOR_ANA_HZ, BEN_HZ, ANA_HZ, FOR_BEN_HZ),
        (ben_hears, FOR_BEN_HZ, ANA_HZ, BEN_HZ, FOR_ANA_HZ),
    ):
        assert level(heard, rendering_hz) == pytest.approx(SAID_DBFS, abs=1.5)
        assert level(heard, other_hz) == pytest.approx(VOICE_TONE_DBFS + DUCKED_DB, abs=2.5)
        assert level(heard, own_hz) < ABSENT_DBFS
        assert level(heard, own_rendering_hz) < ABSENT_DBFS
