"""Two real browsers in the hosted room: who reaches which session, who hears what, and how late."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, TickGrid
from duplex_model.spec import EngineSpec
from interpreter.metrics import Stage
from interpreter.mixing.cushion import CushionSettings
from interpreter.mixing.mixing import LIMIT_DELAY_S
from tests.browser import stimuli
from tests.browser.chromium import Participant, participant
from tests.browser.hosted import HostedMeeting, hosted_meeting, join, kept_time, wait_until
from tests.journey import PeerTap
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.slow]

ANA_HZ, BEN_HZ = 440, 660  # under their voices
FOR_BEN_HZ, FOR_ANA_HZ = 900, 1300  # what the sessions say
SAID_DBFS = -20.0
DUCKED_DB = -15.0
VOICE_TONE_DBFS = -26.0  # stimuli.TONE_AMPLITUDE
ABSENT_DBFS = -55.0

SCRIPT = {
    "directions": {
        "es>en": {
            "cues": [{"at_frame": 0, "sound": {"hz": FOR_BEN_HZ, "peak_dbfs": SAID_DBFS, "duration_s": 60}}]
        },
        "en>es": {
            "cues": [{"at_frame": 0, "sound": {"hz": FOR_ANA_HZ, "peak_dbfs": SAID_DBFS, "duration_s": 60}}]
        },
    }
}


@asynccontextmanager
async def ana_and_ben(folder: Path, hosted: HostedMeeting) -> AsyncIterator[tuple[Participant, Participant]]:
    """Two people in the room; Ana speaks Spanish and joins first."""
    ana_voice = stimuli.microphone_file(folder / "ana.wav", language="es", tone_hz=ANA_HZ)
    ben_voice = stimuli.microphone_file(folder / "ben.wav", language="en", tone_hz=BEN_HZ)
    async with participant(ana_voice) as ana, participant(ben_voice) as ben:
        await join(ana, hosted.link, "Ana", "es")
        await join(ben, hosted.link, "Ben", "en")
        await wait_until(ben, lambda: len(hosted.engine.sessions) >= 2)
        yield ana, ben


def level(pcm: stimuli.Pcm, frequency_hz: float, rate_hz: int = stimuli.MICROPHONE_RATE_HZ) -> float:
    return stimuli.tone_level_db(pcm, frequency_hz, rate_hz)


async def test_every_voice_reaches_its_own_session_and_every_rendering_its_own_listener(
    tmp_path: Path,
) -> None:
    async with (
        hosted_meeting(EngineSpec(kind="scripted", options={"script": SCRIPT})) as hosted,
        ana_and_ben(tmp_path, hosted) as (ana, ben),
    ):
        for person in (ana, ben):
            await person.record("heard")
        await ana.page.wait_for_timeout(7_000)
        ana_hears = (await ana.recording("heard", 5)).pcm
        ben_hears = (await ben.recording("heard", 5)).pcm
        sessions = {tap.prompt.language_in: tap.heard.last(5) for tap in hosted.engine.sessions}
        assert len(sessions) == len(hosted.engine.sessions)

    # Each session hears its own speaker and nobody else.
    assert level(sessions["es"], ANA_HZ, SAMPLE_RATE_HZ) == pytest.approx(VOICE_TONE_DBFS, abs=1)
    assert level(sessions["es"], BEN_HZ, SAMPLE_RATE_HZ) < ABSENT_DBFS
    assert level(sessions["en"], BEN_HZ, SAMPLE_RATE_HZ) == pytest.approx(VOICE_TONE_DBFS, abs=1)
    assert level(sessions["en"], ANA_HZ, SAMPLE_RATE_HZ) < ABSENT_DBFS
    # Each listener hears the other's rendering at its level and pitch, the other's own voice ducked under it,
    # and nothing of themselves.
    for heard, rendering_hz, other_hz, own_hz, own_rendering_hz in (
        (ana_hears, FOR_ANA_HZ, BEN_HZ, ANA_HZ, FOR_BEN_HZ),
        (ben_hears, FOR_BEN_HZ, ANA_HZ, BEN_HZ, FOR_ANA_HZ),
    ):
        assert level(heard, rendering_hz) == pytest.approx(SAID_DBFS, abs=1.5)
        assert level(heard, other_hz) == pytest.approx(VOICE_TONE_DBFS + DUCKED_DB, abs=2.5)
        assert level(heard, own_hz) < ABSENT_DBFS
        assert level(heard, own_rendering_hz) < ABSENT_DBFS


WINDOW_S = 8.0  # one turn of the microphones


def by_tick(grid: TickGrid, speaker: PeerTap, listener: PeerTap) -> tuple[stimuli.Pcm, stimuli.Pcm]:
    """What was pulled from `speaker` and what `listener` was played, tick by tick in media time: [N] each.

    A tick that a busy machine left out of the mixes is silence in both, since it delays nothing.
    """
    times = zip(speaker.pulled.at_s, speaker.pulled.frames, strict=True)
    pulled = {round((at_s - grid.origin_s) / FRAME_S): pcm for at_s, pcm in times}
    played = dict(zip(listener.play_ticks, listener.ready.frames, strict=True))
    silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
    pairs = [
        (pulled[tick], played[tick]) if tick in pulled and tick in played else (silence, silence)
        for tick in range(min(played), max(played) + 1)
    ]
    said, heard = zip(*pairs, strict=True)
    return np.concatenate(said), np.concatenate(heard)


def window_lags_s(said: stimuli.Pcm, heard: stimuli.Pcm, rate_hz: int) -> list[float]:
    """How late `heard` is in the last two windows; both begin at the same moment."""
    samples = round(WINDOW_S * rate_hz)
    cuts = [slice(len(said) - 2 * samples, len(said) - samples), slice(len(said) - samples, None)]
    return [stimuli.lag_s(said[cut], heard[cut], rate_hz) for cut in cuts]


async def test_the_delay_is_read_from_the_sound_and_does_not_grow(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    async with (
        hosted_meeting(EngineSpec(kind="loopback")) as hosted,
        ana_and_ben(tmp_path, hosted) as (ana, ben),
    ):
        await ana.record("microphone")
        await ben.record("heard")
        await ana.page.wait_for_timeout(1000 * (2 * WINDOW_S + 5))
        spoken = await ana.recording("microphone", 2 * WINDOW_S + 4)
        heard = await ben.recording("heard", 2 * WINDOW_S + 4)
        within = window_lags_s(*by_tick(hosted.engine.grid, *hosted.taps.peers), SAMPLE_RATE_HZ)
        stages, judged = hosted.meeting.metrics.snapshot().stages, kept_time(hosted)
    start_s = max(spoken.start_s, heard.start_s)
    end_s = start_s + 2 * WINDOW_S
    first, second = window_lags_s(
        spoken.between(start_s, end_s), heard.between(start_s, end_s), stimuli.MICROPHONE_RATE_HZ
    )
    remark = "" if judged else "; too busy to be judged"
    measured(f"mouth to ear {1000 * first:.0f} ms, 8 s later {1000 * second:.0f} ms{remark}")
    # Inside us, in media time and so on any machine: a mix holds what was pulled at its tick, the limiter later.
    # A session that could not answer in time is heard later by whole frames, as many as it says; where the machine
    # has no time for the sound either, a floor may hold some more.
    told_s = stages[Stage.RENDERING_LAG].max_ms / 1000
    assert all(lag > LIMIT_DELAY_S - 0.001 for lag in within), within
    assert stages[Stage.CUSHION].max_ms <= 1000 * CushionSettings().max_s
    # From mouth to ear, on the clock, where the machine had time for it: the browsers' and the network's part as well.
    assert first > 0.08, "one frame at least"
    if judged:
        assert all(lag < LIMIT_DELAY_S + told_s + 0.001 for lag in within), (within, told_s)
        assert first < 0.8, "never a walkie-talkie"
        assert second - first < 0.06
