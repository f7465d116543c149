"""Listeners' clips over a long rendering: what ear and floor make of them, driven as a meeting drives them.

Time is media time at our sender: from the first sound of a clip, as it was captured, to the sample that leaves. A
listener's sound is 30 ms on its way, then waits for its frame's tick; what answers it leaves a cushion after that.

    captured   |  frame with the voice's onset  |
    tick                                        <- 30 ms -> hears it
    leaves                                                  <- 10 ms -> the rendering's next frame, + 5 ms of limiter
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.directions import Direction
from interpreter.ears.ear import Ear
from interpreter.ears.voice_activity import Voice
from interpreter.ears.voice_model import VoiceModel
from interpreter.floor.floor import FloorEventKind, FloorMode, FloorSettings, Talk
from interpreter.floor.floors import FloorPolicy, Floors
from interpreter.mixing.cushion import CushionSettings
from interpreter.mixing.mixing import LIMIT_DELAY_S
from interpreter.sessions.hold import Said
from scenarios.speech import VOICES
from scenarios.stimuli import Clip, NoiseClip
from scenarios.timeline import Say
from scenarios.track_audio import TrackAudio

LANGUAGES = ("en", "es")
START_S = 100.0
CUSHION_S = CushionSettings().min_s
ONSET_S = 1.5
AFTER_S = 0.8
"""How long a track goes on after its clip."""

INTERRUPTION_S = 0.8
"""Voiced time from which on an interruption must be given way to."""

TRANSCRIPTION_S = 0.3
"""From a word's end to its text; the lanes of the checkpoint that ships are trained to 0.24 s."""

_TEXTS = {
    "en": "The doctor says that you should take this tablet twice a day with a little food and that you should come "
    "back to see her in two weeks time when the results of the blood test are there",
    "es": "La doctora dice que tiene que tomar esta pastilla dos veces al día con un poco de comida y que tiene que "
    "volver a verla dentro de dos semanas cuando estén los resultados del análisis de sangre",
}
_DUCKED = 10.0 ** (-12.0 / 20.0) * 1.001
_DITHER = 10.0 ** (-70.0 / 20.0)  # a codec's own noise: so that the level can be told at every sample


def rendering(language: str, say: Say) -> Pcm:
    """A long utterance without a pause, pcm [N * 1920]."""
    speech = say(_TEXTS[language], VOICES[language][1]).pcm
    pcm = np.pad(speech, (0, -len(speech) % FRAME_SAMPLES))
    return (pcm + np.random.default_rng(0).normal(0, _DITHER, len(pcm))).astype(np.float32)


def frames_of(pcm: Pcm) -> list[Pcm]:
    """As many whole frames as there are."""
    return list(pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES))


@dataclass(frozen=True, kw_only=True, eq=False)
class Recorded:
    """What somebody said into a microphone, alone in a room."""

    id: str
    pcm: Pcm
    """From its first sound."""

    def track(self, *, onset_s: float, duration_s: float) -> Pcm:
        """A microphone's pcm [duration_s * 24000] with the first sound at `onset_s`, a little noise all along."""
        samples, start = round(duration_s * SAMPLE_RATE_HZ), round(onset_s * SAMPLE_RATE_HZ)
        track = np.random.default_rng(0).normal(0, _DITHER, samples)
        track[start : start + len(self.pcm)] += self.pcm[: samples - start]
        return track.astype(np.float32)


AnyClip = Clip | NoiseClip | Recorded


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """A clip as the ear of its listener hears it."""

    clip: AnyClip
    onset_s: float
    """Of its first sound, on the clock of captures."""

    voices: Sequence[Voice]
    """Of every tick from `START_S` on."""

    gated: int
    """Frames that were taken for an echo."""

    def by_length(self) -> Heard:
        """The same, where nobody asks what it sounds like."""
        return replace(self, voices=[replace(voice, backchannel_in=frozenset()) for voice in self.voices])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a clip did to the rendering, in seconds from its first sound; infinite for never."""

    clip: AnyClip
    ducked_s: float
    """Until 12 dB down."""

    silent_s: float
    """Until silent."""

    cut: bool
    """The unit is to be said again."""

    restored: bool
    """It was lowered and came back."""

    @property
    def stopped(self) -> bool:
        """Whether it was an interruption to the floor: silence counts, whatever it was meant for."""
        return self.cut or self.silent_s < inf


def onset_of(number: int, place: float = 0.0) -> float:
    """When clip `number` begins: all places in a frame come up equally, and others for another `place` in [0, 1)."""
    return ONSET_S + (number * 0.6180339887 + place) % 1.0 * FRAME_S


def track_of(clip: AnyClip, onset_s: float) -> Pcm:
    """The microphone of whoever makes it."""
    duration_s = clip.speech.duration_s if isinstance(clip, Clip) else len(clip.pcm) / SAMPLE_RATE_HZ
    return clip.track(onset_s=onset_s, duration_s=onset_s + duration_s + AFTER_S)


def hear(clips: Sequence[AnyClip], rendered: Pcm, model: VoiceModel, *, places: int = 1) -> Iterator[Heard]:
    """Each clip by an ear of its own, whose person is sent the rendering all along, at `places` places in a frame."""
    for place, (number, clip) in product(range(places), enumerate(clips)):
        onset_s = onset_of(number, place / places)
        pcm = track_of(clip, onset_s)
        track, ear, voices, gated = TrackAudio(pcm, start_s=START_S), Ear(model), [], 0
        for n, frame in enumerate(frames_of(rendered)[: len(pcm) // FRAME_SAMPLES + 2]):
            listened = ear.listen(track.pull(START_S + n * FRAME_S))
            ear.sent(frame, START_S + n * FRAME_S + CUSHION_S)
            voices.append(listened.voice)
            gated += listened.gated
        yield Heard(clip=clip, onset_s=START_S + onset_s, voices=voices, gated=gated)


def words_by(clip: AnyClip, onset_s: float, captured_s: float) -> str:
    """What a transcription lane has written of a clip once it has heard the track up to `captured_s`."""
    words = clip.speech.words if isinstance(clip, Clip) else ()
    return "".join(f" {one.text}" for one in words if onset_s + one.end_s + TRANSCRIPTION_S <= captured_s)


def attempt(
    heard: Heard, rendered: Pcm, language: str, *, words: bool, settings: FloorSettings | None = None
) -> Outcome:
    """What the floor does about a clip.

    Args:
        heard: the clip.
        rendered: what its listener is being told, from the first tick on.
        language: of both.
        words: a transcription lane writes the clip down.
        settings: of the floor.
    """
    direction = Direction("ana", "es" if language == "en" else "en", language)
    floors = Floors()
    floors.keep({direction: FloorPolicy(mode=FloorMode.SIMULTANEOUS, settings=settings or FloorSettings())})
    played: list[Pcm] = []
    events: set[FloorEventKind] = set()
    for n, (voice, frame) in enumerate(zip(heard.voices, frames_of(rendered), strict=False)):
        tick_s = START_S + n * FRAME_S
        text = words_by(heard.clip, heard.onset_s, tick_s - 0.03) if words else None
        talk = Talk(voice=voice, language=language, words=text)
        tick = floors.advance(
            {direction: Said(pcm=frame, text=" word")},
            {"ben": talk},
            {direction: ["ben"]},
            (),
            tick_s + CUSHION_S,
        )
        played.append(tick.played[direction].pcm)
        events |= {event.kind for event in tick.played[direction].events}
    ducked_s, silent_s = reached(np.concatenate(played), rendered, START_S + CUSHION_S, heard.onset_s)
    return Outcome(
        clip=heard.clip,
        ducked_s=ducked_s,
        silent_s=silent_s,
        cut=FloorEventKind.CUT in events,
        restored=FloorEventKind.RESTORED in events,
    )


def reached(played: Pcm, rendered: Pcm, leaves_s: float, onset_s: float) -> tuple[float, float]:
    """From the onset: until a rendering is 12 dB down, and until it is silent; infinite for never.

    Args:
        played: pcm, of which the first sample enters the mix at `leaves_s`, and leaves it with the limiter's delay.
        rendered: the same at full level.
        leaves_s: when that is.
        onset_s: of the voice; what happens before does not count.
    """
    gains = np.abs(played / rendered[: len(played)])
    times_s = leaves_s + LIMIT_DELAY_S + np.arange(len(played)) / SAMPLE_RATE_HZ - onset_s
    after = times_s > 0.0
    ducked = np.flatnonzero(after & (gains <= _DUCKED))
    silent = np.flatnonzero(after & (gains == 0.0))
    return (
        float(times_s[ducked[0]]) if ducked.size else inf,
        float(times_s[silent[0]]) if silent.size else inf,
    )


def p95(values_s: Sequence[float]) -> float:
    """The 95th percentile: so many are at most as high; infinite ones count."""
    return float(np.quantile(values_s, 0.95, method="higher")) if values_s else 0.0
