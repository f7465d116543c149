"""A listener's loudspeaker gives the interpreter back to their microphone, in a whole meeting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm, Prompt, TickGrid
from interpreter.clock import ManualClock
from interpreter.ears.voice_activity import VoiceActivity
from interpreter.ears.voice_model import VoiceModel
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from scenarios.speech import VOICES, Speaker
from scenarios.track_audio import TrackAudio
from tests.fakes import Ear, FakeRoom
from tests.interpreter.engines import PuppetEngine
from tests.interpreter.floor_clips import frames_of, reached, rendering
from webrtc.room import IncomingFrame

pytestmark = pytest.mark.speech

SETTLED_TICKS = 25
"""A meeting's first notices have been shown by then."""

INTERRUPTS_S = 5.0
"""From the rendering's first sample to the listener's own voice."""

GATE_S = 0.5
"""An echo is known so long after its first sound; a little later than that a detector's hang is over, too."""

RESTORED_FRAMES = 8  # until an echo's spurt is over, and the level restored

NOISE = 10.0 ** (-70.0 / 20.0)  # of a microphone


class LoudspeakerTrack:
    """A microphone that hears its owner, and what they were sent, from a loudspeaker."""

    def __init__(self, own: TrackAudio, ear: Ear, *, delay_s: float, level_db: float) -> None:
        self._own = own
        self._ear = ear
        self._delay_s = delay_s
        self._gain = np.float32(10.0 ** (level_db / 20.0))
        self._chance = np.random.default_rng(4)

    def pull(self, now_s: float) -> IncomingFrame:
        own = self._own.pull(now_s)
        noise = self._chance.normal(0.0, NOISE, FRAME_SAMPLES).astype(np.float32)
        pcm = own.pcm + self._gain * self._sent(own.captured_at_s - self._delay_s) + noise
        return IncomingFrame(pcm=pcm, captured_at_s=own.captured_at_s)

    def _sent(self, from_s: float) -> Pcm:
        """[1920]: what left us from a time on; all of it has, as the network and the loudspeaker take time."""
        pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        for frame, at_s in zip(self._ear.frames[-12:], self._ear.at_s[-12:], strict=True):
            start = round((at_s - from_s) * SAMPLE_RATE_HZ)
            low, high = max(0, start), min(FRAME_SAMPLES, start + FRAME_SAMPLES)
            if low < high:
                pcm[low:high] += frame[low - start : high - start]
        return pcm


@dataclass(frozen=True, kw_only=True)
class Call:
    """What came of one."""

    raw_frames: int
    """Frames in which a detector hears our voice in the microphone, before its owner speaks."""

    passed_frames: int
    """Of these, those in which it hears it in what their session was fed, once the gate is up."""

    stopped_before: bool
    """The rendering fell silent before its listener spoke."""

    lowered_frames: int
    """Frames of the rendering below its level before that, once what passed before the gate was up is over."""

    silent_s: float
    """From the first sound of the listener's own voice to silence."""


async def call(speaker: Speaker, model: VoiceModel, *, delay_s: float, level_db: float, talks: bool) -> Call:
    rendered = rendering("en", speaker.say)
    own = speaker.say("Wait, I am allergic to penicillin, and I told you so.", VOICES["en"][4])
    lead = np.zeros(round(INTERRUPTS_S * SAMPLE_RATE_HZ), dtype=np.float32)
    near = np.concatenate((lead, own.pcm if talks else own.pcm * 0))
    clock, room = ManualClock(50.0), FakeRoom()
    left: list[Pcm] = []

    def say(prompt: Prompt, frame: Pcm) -> tuple[Pcm, str]:
        speaks = prompt.language_out == "en" and left
        return (left.pop(0) if speaks else np.zeros(FRAME_SAMPLES, dtype=np.float32)), ""

    engine = PuppetEngine(TickGrid(origin_s=50.0), clock.now_s, say=say)
    microphone: list[Pcm] = []
    async with Meeting(room, engine, clock, MeetingSettings(), voice_model=model):
        room.join("ana", "es")
        ben = room.join("ben", "en")
        begins_s = 50.0 + SETTLED_TICKS * FRAME_S + 0.01  # the first frame of the rendering leaves then
        track = LoudspeakerTrack(TrackAudio(near, start_s=begins_s), ben, delay_s=delay_s, level_db=level_db)
        kept = _Kept(track, microphone)
        room.start_track("ben", kept)
        await clock.advance((SETTLED_TICKS - 0.5) * FRAME_S)
        first, fed = len(ben.frames), len(microphone)
        left += frames_of(rendered)
        for _ in range(len(rendered) // FRAME_SAMPLES):
            await clock.advance(FRAME_S)
        heard = next(s for s in engine.opened if s.prompt.language_in == "en").heard
    played = np.concatenate(ben.frames[first:])[round(0.005 * SAMPLE_RATE_HZ) :]
    assert ben.at_s[first] == pytest.approx(begins_s)
    heard = heard[-len(microphone) + fed :]  # both end with the last tick
    alone = round(INTERRUPTS_S / FRAME_S)
    up = round((delay_s + GATE_S) / FRAME_S)
    before = np.abs(played / rendered[: len(played)])[: alone * FRAME_SAMPLES]
    _, silent_s = reached(played, rendered, ben.at_s[first], begins_s + INTERRUPTS_S)
    return Call(
        raw_frames=sum(_voiced(microphone[fed:], model)[:alone]),
        passed_frames=sum(_voiced(heard, model)[up:alone]),
        stopped_before=bool((before == 0.0).any()),
        lowered_frames=int(
            (before.reshape(-1, FRAME_SAMPLES)[up + RESTORED_FRAMES :] < 0.99).any(axis=1).sum()
        ),
        silent_s=silent_s,
    )


class _Kept:
    """A track whose frames are kept."""

    def __init__(self, track: LoudspeakerTrack, frames: list[Pcm]) -> None:
        self._track = track
        self._frames = frames

    def pull(self, now_s: float) -> IncomingFrame:
        frame = self._track.pull(now_s)
        self._frames.append(frame.pcm)
        return frame


def _voiced(frames: list[Pcm], model: VoiceModel) -> list[bool]:
    activity = VoiceActivity(model)
    return [activity.advance(frame, n * FRAME_S).active for n, frame in enumerate(frames)]


PATHS = [(0.06, -20.0), (0.15, -30.0), (0.3, -20.0), (0.15, -40.0)]


@pytest.fixture(scope="module")
def model() -> VoiceModel:
    return VoiceModel()


@pytest.mark.parametrize(
    ("delay_s", "level_db"),
    [PATHS[0], *(pytest.param(*path, marks=pytest.mark.slow) for path in PATHS[1:])],
)
async def test_an_echo_stops_nothing_and_an_interruption_over_it_does(
    delay_s: float, level_db: float, speaker: Speaker, model: VoiceModel, measured: Callable[[str], None]
) -> None:
    echo = await call(speaker, model, delay_s=delay_s, level_db=level_db, talks=True)
    assert echo.raw_frames > 15, "there is something to take out"
    assert echo.passed_frames == 0, echo
    assert not echo.stopped_before, echo
    assert echo.lowered_frames == 0, echo
    assert echo.silent_s <= 1.2, echo
    measured(f"silent {echo.silent_s:.2f} s after the onset of a voice over the echo")


@pytest.mark.slow
async def test_an_echo_alone_is_never_an_interruption(speaker: Speaker, model: VoiceModel) -> None:
    echo = await call(speaker, model, delay_s=0.2, level_db=-20.0, talks=False)
    assert echo.silent_s == inf
    assert not echo.stopped_before
