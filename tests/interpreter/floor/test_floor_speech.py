"""Floors by real voices: who stops a rendering and who does not, and how soon; espeak-ng speaks, Silero listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm, Prompt, TickGrid
from interpreter.clock import ManualClock
from interpreter.ears.voice_model import VoiceModel
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.mixing.mixing import Ducking
from scenarios.speech import VOICES, Speaker
from scenarios.stimuli import Clip, NoiseClip, clip_set, noise_clips
from scenarios.timeline import Kind
from scenarios.track_audio import TrackAudio
from tests.fakes import FakeRoom
from tests.interpreter.engines import PuppetEngine
from tests.interpreter.floor_clips import (
    INTERRUPTION_S,
    LANGUAGES,
    AnyClip,
    Heard,
    Outcome,
    attempt,
    frames_of,
    hear,
    onset_of,
    p95,
    reached,
    rendering,
    track_of,
)

pytestmark = pytest.mark.speech

EVERY = 9
"""Of the whole sets, as many clips are tried in a few seconds."""


@pytest.fixture(scope="module")
def model() -> VoiceModel:
    return VoiceModel()


PLACES = 3
"""Of a frame, in which each clip of the whole sets begins: when a frame ends is chance."""


def outcomes(
    clips: Sequence[AnyClip], language: str, speaker: Speaker, model: VoiceModel, *, places: int = 1
) -> tuple[list[Outcome], list[Outcome]]:
    """What the clips do where no words are known, by their sound, and where they are."""
    rendered = rendering(language, speaker.say)
    heard: list[Heard] = list(hear(clips, rendered, model, places=places))
    mistaken = sum(one.gated > 0 for one in heard)
    assert mistaken <= 0.01 * len(heard), "a voice beside our own is hardly ever taken for our echo"
    return (
        [attempt(one, rendered, language, words=False) for one in heard],
        [attempt(one, rendered, language, words=True) for one in heard],
    )


def of(kind: Kind, tried: Sequence[Outcome], least_s: float = 0.0, most_s: float = inf) -> list[Outcome]:
    return [
        one
        for one in tried
        if isinstance(one.clip, Clip) and one.clip.kind is kind and least_s <= one.clip.voiced_s < most_s
    ]


def stops(tried: Sequence[Outcome]) -> list[str]:
    return sorted(one.clip.id for one in tried if one.stopped)


def share(tried: Sequence[Outcome]) -> str:
    return f"{len(stops(tried))} of {len(tried)}"


@pytest.mark.slow
@pytest.mark.timeout(600)  # 25 s of a core that others may want, too
@pytest.mark.parametrize("language", LANGUAGES)
def test_interruptions_stop_a_rendering_in_time_and_backchannels_do_not(
    language: str, speaker: Speaker, model: VoiceModel, measured: Callable[[str], None]
) -> None:
    clips = clip_set(language, speaker.say)
    both = clips.backchannels + clips.interruptions
    by_sound, by_words = outcomes(both, language, speaker, model, places=PLACES)
    for name, tried in (("without words", by_sound), ("with words", by_words)):
        long = of(Kind.INTERRUPTION, tried, INTERRUPTION_S)
        assert len(long) >= 40 * PLACES
        assert len(stops(long)) >= 0.95 * len(long), name
        assert p95([one.silent_s for one in long if one.stopped]) <= 1.0, name
        assert p95([one.ducked_s for one in tried]) <= 0.2, name
        backchannels = of(Kind.BACKCHANNEL, tried)
        assert len(backchannels) >= 40 * PLACES
        assert len(stops(backchannels)) <= 0.05 * len(backchannels), (name, stops(backchannels))
        paired = [one for one in tried if "-pair-" in one.clip.id]
        measured(
            f"{name}: {share(backchannels)} backchannels and "
            f"{share(of(Kind.INTERRUPTION, tried, most_s=INTERRUPTION_S))} short interruptions stop it; of pairs as "
            f"long as each other {share(of(Kind.BACKCHANNEL, paired))} and {share(of(Kind.INTERRUPTION, paired))}"
        )


@pytest.mark.slow
def test_coughs_and_noises_never_stop_it(speaker: Speaker, model: VoiceModel) -> None:
    by_sound, _ = outcomes(noise_clips(), "en", speaker, model)
    assert len(by_sound) >= 40
    assert stops(by_sound) == []
    assert all(one.restored for one in by_sound if one.ducked_s < inf)


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_some_of_each(language: str, speaker: Speaker, model: VoiceModel) -> None:
    clips = clip_set(language, speaker.say)
    some: tuple[AnyClip, ...] = (
        *clips.backchannels[::EVERY],
        *clips.interruptions[::EVERY],
        *noise_clips(each=1),
    )
    by_sound, by_words = outcomes(some, language, speaker, model)
    for tried in (by_sound, by_words):
        long = of(Kind.INTERRUPTION, tried, INTERRUPTION_S)
        assert len(stops(long)) == len(long) >= 5
        assert np.median([one.silent_s for one in long]) <= 0.95
        assert np.median([one.ducked_s for one in tried if isinstance(one.clip, Clip)]) <= 0.15
        assert stops([one for one in tried if isinstance(one.clip, NoiseClip)]) == []
        assert len(stops(of(Kind.BACKCHANNEL, tried))) <= 1
    assert all(one.restored or one.stopped for one in of(Kind.BACKCHANNEL, by_words)), "after it was lowered"


class Reciter:
    """Sessions that say, from a call of `begin` on, what they are given, whoever speaks."""

    def __init__(self) -> None:
        self._left: dict[str, list[Pcm]] = {}

    def begin(self, language: str, pcm: Pcm) -> None:
        self._left[language] = frames_of(pcm)

    def say(self, prompt: Prompt, frame: Pcm) -> tuple[Pcm, str]:
        left = self._left.get(prompt.language_out)
        return (left.pop(0), "") if left else (np.zeros(FRAME_SAMPLES, dtype=np.float32), "")


SETTLED_TICKS = 25
"""A meeting's first notices have been shown by then."""


async def in_a_meeting(clip: AnyClip, number: int, rendered: Pcm, model: VoiceModel) -> Outcome:
    """The same clip, by the whole meeting."""
    onset_s = onset_of(number)
    clock = ManualClock(50.0)
    grid = TickGrid(origin_s=50.0)
    reciter, room = Reciter(), FakeRoom()
    engine = PuppetEngine(grid, clock.now_s, say=reciter.say)
    async with Meeting(room, engine, clock, MeetingSettings(), voice_model=model):
        room.join("ana", "es")
        begins_s = grid.origin_s + SETTLED_TICKS * FRAME_S
        track = track_of(clip, onset_s)
        ben = room.join("ben", "en", TrackAudio(track, start_s=begins_s))
        await clock.advance((SETTLED_TICKS - 1) * FRAME_S + 0.5 * FRAME_S)
        first = len(ben.frames)
        reciter.begin("en", rendered)
        for _ in range(len(track) // FRAME_SAMPLES + 2):
            await clock.advance(FRAME_S)
    heard = np.concatenate(ben.frames[first:])
    late = round(0.005 * SAMPLE_RATE_HZ)  # the limiter is in the mix already
    ducked_s, silent_s = reached(heard[late:], rendered, ben.at_s[first], begins_s + onset_s)
    return Outcome(clip=clip, ducked_s=ducked_s, silent_s=silent_s, cut=False, restored=False)


@pytest.mark.slow
async def test_a_whole_meeting_does_the_same(speaker: Speaker, model: VoiceModel) -> None:
    clips = clip_set("en", speaker.say)
    rendered = rendering("en", speaker.say)
    chosen = (clips.backchannels[0], clips.interruptions[2], noise_clips(each=1)[0])
    for number, heard in enumerate(hear(chosen, rendered, model)):
        alone = attempt(heard, rendered, "en", words=False)
        whole = await in_a_meeting(heard.clip, number, rendered, model)
        assert whole.ducked_s == pytest.approx(alone.ducked_s, abs=0.002), heard.clip.id
        assert whole.silent_s == pytest.approx(alone.silent_s, abs=0.002), heard.clip.id


# The original under a rendering -------------------------------------------------------------------------------------

PAUSES_S = (0.3, 0.45, 0.7, 2.5)


TAIL_S = 0.1  # a voice dies away, and is not heard over an original, before its last sample


def with_pauses(speaker: Speaker) -> tuple[Pcm, list[tuple[float, float]]]:
    """A rendering in sentences, and its pauses: how long, and from when on."""
    sentence = speaker.say("Take one tablet with food and come back on Monday.", VOICES["en"][0]).pcm
    pcm, pauses = sentence, []
    for pause_s in PAUSES_S:
        pauses.append((pause_s, len(pcm) / SAMPLE_RATE_HZ))
        silence = np.zeros(round(pause_s * SAMPLE_RATE_HZ), dtype=np.float32)
        pcm = np.concatenate((pcm, silence, sentence))
    pcm = np.concatenate((pcm, np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.float32)))
    return pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES], pauses


BLOCK_SAMPLES = 480  # 20 ms: 230 periods of
ORIGINAL_HZ = 11_500.0  # where no synthetic voice has any sound


async def test_the_original_is_never_suddenly_loud_when_the_interpreter_pauses(
    speaker: Speaker, model: VoiceModel
) -> None:
    rendered, pauses = with_pauses(speaker)
    n = np.arange(len(rendered) + 60 * FRAME_SAMPLES)
    original = (0.1 * np.sin(2 * np.pi * ORIGINAL_HZ * n / SAMPLE_RATE_HZ)).astype(np.float32)
    clock = ManualClock(50.0)
    reciter, room = Reciter(), FakeRoom()
    engine = PuppetEngine(TickGrid(origin_s=50.0), clock.now_s, say=reciter.say)
    async with Meeting(room, engine, clock, MeetingSettings(), voice_model=model):
        room.join("ana", "es", TrackAudio(original, start_s=49.0))
        ben = room.join("ben", "en")
        await clock.advance((SETTLED_TICKS - 0.5) * FRAME_S)
        first = len(ben.frames)
        reciter.begin("en", rendered)
        for _ in range(len(rendered) // FRAME_SAMPLES):
            await clock.advance(FRAME_S)
    turn = np.exp(-2j * np.pi * ORIGINAL_HZ * np.arange(BLOCK_SAMPLES) / SAMPLE_RATE_HZ)
    blocks = np.concatenate(ben.frames[first:]).reshape(-1, BLOCK_SAMPLES)
    levels_db = 20 * np.log10(2 / BLOCK_SAMPLES * np.abs(blocks @ turn) / 0.1)
    ducking = Ducking()
    block_s = BLOCK_SAMPLES / SAMPLE_RATE_HZ
    rises_db = np.diff(levels_db)
    assert rises_db.max() <= -ducking.depth_db / ducking.release_s * block_s + 0.05
    assert rises_db.min() >= ducking.depth_db / ducking.attack_s * block_s - 0.05
    assert levels_db.min() == pytest.approx(ducking.depth_db, abs=0.1)
    for pause, end_s in pauses:
        inside = levels_db[round((end_s + 0.05) / block_s) : round((end_s + pause - 0.05) / block_s)]
        risen_db = max(0.0, pause + TAIL_S - ducking.hold_s) * -ducking.depth_db / ducking.release_s
        assert inside.max() <= min(0.0, ducking.depth_db + risen_db) + 0.1, pause
    assert levels_db[-1] == pytest.approx(0.0, abs=0.1), "after the last sentence it comes back"
