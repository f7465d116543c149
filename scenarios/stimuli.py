"""Clips that try an interpreter's floor: what listeners say to show that they follow, what they say to be let speak.

    clips = clip_set("es", Speaker(default_cache()).say)
    for clip in clips.backchannels:
        track = clip.track(onset_s=2.0, duration_s=6.0)   # must not stop a rendering
    for noise in noise_clips():
        track = noise.track(onset_s=2.0, duration_s=6.0)  # neither must a cough

Texts and labels are written by hand and know nothing of any rule that is to be tried with them. Voices, rates, levels
and backgrounds are drawn by seed; the same seed gives the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from scenarios.errors import ScenarioError
from scenarios.sounds import Background, Noise, background, noise
from scenarios.speech import LEVEL_DBFS, VOICES, Speech, Voice
from scenarios.timeline import Kind, Say

PAIR_TOLERANCE_S = 0.02
"""Clips of a pair differ by less in voiced duration: a quarter of a frame."""

_BACKCHANNELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            *("Mm-hm.", "Mm.", "Uh-huh.", "Yeah.", "Yes.", "Okay.", "Right.", "I see.", "Sure.", "Hm."),
            *("All right.", "Got it.", "Of course.", "Yes, yes.", "Oh, okay.", "Yeah, sure.", "Okay, good."),
            *("Mm-hm, mm-hm.", "Yes, I see.", "Okay, doctor."),
        ),
        "es": (
            *("Mm-hm.", "Mm.", "Ajá.", "Sí.", "Ya.", "Claro.", "Vale.", "Bueno.", "Entiendo.", "Hm."),
            *("Ya veo.", "Está bien.", "De acuerdo.", "Sí, sí.", "Ah, ya.", "Sí, claro.", "Muy bien."),
            *("Ajá, ajá.", "Sí, entiendo.", "Sí, doctora."),
        ),
    }
)

_INTERRUPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            *(
                "Wait, I am allergic to penicillin.",
                "Sorry, can I say something?",
                "No, it is the left knee.",
            ),
            *(
                "Stop, that is not what I said.",
                "Excuse me, I have a question.",
                "Hold on, which tablet is that?",
            ),
            *("But I already take that one.", "My chest hurts right now.", "I can't breathe very well."),
            *("Please speak more slowly.", "How many milligrams was that?", "No, no, not fifty, fifteen."),
            *("Sorry, I did not hear you.", "Can you repeat the dose?", "I want to speak to a person."),
            *("Let me finish, please.", "Doctor, I feel dizzy.", "When did that start?"),
            *("Does it hurt when I press here?", "One moment, please.", "That happened last year."),
            *("I don't have any insurance.", "My daughter is calling me.", "You mean twice a day?"),
        ),
        "es": (
            *("Espere, soy alérgico a la penicilina.", "Perdone, ¿puedo decir algo?"),
            *(
                "No, es la rodilla izquierda.",
                "Pare, eso no es lo que dije.",
                "Disculpe, tengo una pregunta.",
            ),
            *("Un momento, ¿qué pastilla es esa?", "Pero esa ya la tomo.", "Me duele el pecho ahora."),
            *("No puedo respirar bien.", "Hable más despacio, por favor.", "¿Cuántos miligramos eran?"),
            *("No, no, cincuenta no, quince.", "Perdone, no le he oído.", "¿Puede repetir la dosis?"),
            *("Quiero hablar con una persona.", "Déjeme terminar, por favor.", "Doctora, estoy mareado."),
            *("¿Cuándo empezó eso?", "¿Le duele si aprieto aquí?", "Un momento, por favor."),
            *("Eso fue el año pasado.", "No tengo seguro médico.", "Mi hija me está llamando."),
            "¿Quiere decir dos veces al día?",
        ),
    }
)

_SHORT_INTERRUPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            *("Wait!", "Stop!", "No!", "Sorry?", "Excuse me!", "Hold on!", "Listen!", "What?", "But why?"),
            *("It hurts!", "Not now!", "My leg!", "Help me!", "Left side!"),
        ),
        "es": (
            *("¡Espere!", "¡Pare!", "¡No!", "¿Perdón?", "¡Disculpe!", "¡Oiga!", "¡Escuche!", "¿Qué?"),
            *("¿Por qué?", "¡Me duele!", "¡Ahora no!", "¡Mi pierna!", "¡Ayuda!", "¡La otra!"),
        ),
    }
)

_PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "en": (
            *(("Mm-hm.", "Wait!"), ("Okay.", "Stop it!"), ("I see.", "Not now!")),
            *(("Of course.", "It hurts!"), ("All right.", "Excuse me!"), ("Yes I see.", "My left leg!")),
            *(
                ("Okay I understand.", "No it is the left one."),
                ("Yes yes of course.", "Stop I am allergic."),
            ),
            *(("Yeah yeah yeah yeah.", "Which tablet is that?"), ("Right right I see.", "How many tablets?")),
            *(("Oh okay all right.", "But I take that one."), ("Sure sure of course.", "Please slow down.")),
        ),
        "es": (
            *(("Mm-hm.", "¡Pare!"), ("Ajá.", "¡No!"), ("Claro.", "¡Oiga!")),
            *(("Entiendo.", "¡Me duele!"), ("Está bien.", "¡Ahora no!"), ("De acuerdo.", "¡Mi pierna!")),
            *(("Sí sí claro claro.", "¿Qué pastilla es?"), ("Ya ya entiendo.", "Esa ya la tomo.")),
            *(("Sí sí por supuesto.", "Soy alérgico a eso."), ("Ah bueno de acuerdo.", "No puedo respirar.")),
            *(
                ("Sí doctora entiendo.", "¿Cuántos miligramos?"),
                ("Sí claro muy bien.", "Hable más despacio."),
            ),
        ),
    }
)
"""A backchannel and an interruption; without commas, so that each is one spurt."""

_ROUNDS = 2
"""How often each text is spoken, by another voice in another room."""

_BACKGROUNDS: tuple[tuple[Background, float] | None, ...] = (
    None,
    (Background.ROOM, 25.0),
    (Background.HISS, 20.0),
    (Background.HUM, 25.0),
    (Background.ROOM, 15.0),
)
"""What sounds along, and how many dB below the voice."""

_LEVELS_DBFS = (LEVEL_DBFS, LEVEL_DBFS - 6.0, LEVEL_DBFS + 3.0)
_RATES_WPM = {Kind.BACKCHANNEL: (170, 260), Kind.INTERRUPTION: (135, 215)}
"""Backchannels are said in passing, most of them in less than 0.6 s."""

_MATCHING_STEPS = 8
_VOICES_TRIED = 12
_RATE_LIMITS_WPM = (90, 400)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One utterance of a listener, alone in a room."""

    id: str
    """Unique in its set, such as `es-interruption-07`."""

    language: str
    kind: Kind
    text: str
    voice: Voice
    speech: Speech
    """Clean, from its first sound; with words, spurts and their times."""

    level_dbfs: float
    """Of the voice while it sounds."""

    background: Background | None
    snr_db: float
    """How far the background is below the voice; infinite without one."""

    seed: int
    """Of the background."""

    @property
    def voiced_s(self) -> float:
        """How long the voice sounds."""
        return self.speech.voiced_s

    def track(self, *, onset_s: float, duration_s: float) -> Pcm:
        """A microphone's pcm [duration_s * 24000] with the first sound at `onset_s`, the background all along."""
        pcm = np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32)
        if self.background is not None:
            pcm += background(self.background, len(pcm), self.level_dbfs - self.snr_db, self.seed)
        return _with(pcm, self.speech.pcm * np.float32(10 ** ((self.level_dbfs - LEVEL_DBFS) / 20)), onset_s)


@dataclass(frozen=True, kw_only=True)
class NoiseClip:
    """A cough, a knock, or the like, alone in a room."""

    id: str
    noise: Noise
    pcm: Pcm
    """From its first sample."""

    def track(self, *, onset_s: float, duration_s: float) -> Pcm:
        """A microphone's pcm [duration_s * 24000] with the noise at `onset_s`, silence around it."""
        return _with(np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32), self.pcm, onset_s)


@dataclass(frozen=True, kw_only=True)
class ClipSet:
    """What listeners of one language say."""

    backchannels: tuple[Clip, ...]
    interruptions: tuple[Clip, ...]
    """Long ones and short ones; `Clip.voiced_s` tells."""

    pairs: tuple[tuple[Clip, Clip], ...]
    """A backchannel and an interruption as long, by one voice in one room; both are also in the lists above."""


def clip_set(language: str, say: Say, *, seed: int = 0) -> ClipSet:
    """52 backchannels and 74 interruptions, 12 of each in pairs.

    Args:
        language: `en` or `es`.
        say: says them.
        seed: of voices, rates, levels and backgrounds.

    Raises:
        ScenarioError: another language.
        SpeechError: espeak-ng is missing.
    """
    if language not in _PAIRS:
        raise ScenarioError(f"expected a language of {', '.join(_PAIRS)}, got {language!r}")
    draw = _Draw(language, say, seed)
    pairs = tuple(draw.pair(number, *texts) for number, texts in enumerate(_PAIRS[language]))
    return ClipSet(
        backchannels=draw.clips(Kind.BACKCHANNEL, _BACKCHANNELS[language] * _ROUNDS)
        + tuple(one for one, _ in pairs),
        interruptions=draw.clips(
            Kind.INTERRUPTION, _INTERRUPTIONS[language] * _ROUNDS + _SHORT_INTERRUPTIONS[language]
        )
        + tuple(one for _, one in pairs),
        pairs=pairs,
    )


def noise_clips(*, seed: int = 0, each: int = 8) -> tuple[NoiseClip, ...]:
    """Coughs, knocks and other noises, `each` of every kind, between 9 dB below and 3 dB above a voice's level."""
    rng = np.random.default_rng([seed, 3])
    return tuple(
        NoiseClip(
            id=f"{kind.value}-{number:02d}",
            noise=kind,
            pcm=noise(kind, LEVEL_DBFS + rng.uniform(-9.0, 3.0), seed * each + number),
        )
        for kind in Noise
        for number in range(each)
    )


class _Draw:
    """Draws voices and rooms: every voice of the language in turn, so that all of them are heard."""

    def __init__(self, language: str, say: Say, seed: int) -> None:
        self._language = language
        self._say = say
        self._rng = np.random.default_rng([seed, 2, sum(language.encode())])
        self._drawn = 0

    def clips(self, kind: Kind, texts: Sequence[str]) -> tuple[Clip, ...]:
        return tuple(
            self._clip(f"{self._language}-{kind.value}-{number:02d}", kind, text, self._voice(kind))
            for number, text in enumerate(texts)
        )

    def pair(self, number: int, backchannel: str, interruption: str) -> tuple[Clip, Clip]:
        name = f"{self._language}-{{}}-pair-{number:02d}"
        for _ in range(_VOICES_TRIED):
            voice = self._voice(Kind.BACKCHANNEL)
            first = self._clip(name.format(Kind.BACKCHANNEL.value), Kind.BACKCHANNEL, backchannel, voice)
            rate_wpm, speech = self._as_long(interruption, voice, first.voiced_s)
            if abs(speech.voiced_s - first.voiced_s) <= PAIR_TOLERANCE_S:
                second = replace(
                    first,
                    id=name.format(Kind.INTERRUPTION.value),
                    kind=Kind.INTERRUPTION,
                    text=interruption,
                    voice=replace(voice, rate_wpm=rate_wpm),
                    speech=speech,
                )
                return first, second
        raise ScenarioError(
            f"expected a voice that says {interruption!r} in the time of {backchannel!r}, got none"
        )

    def _as_long(self, text: str, voice: Voice, voiced_s: float) -> tuple[int, Speech]:
        """The rate at which `text` sounds for about `voiced_s`, and the text at that rate."""
        tried: dict[int, Speech] = {}
        rate = voice.rate_wpm
        while rate not in tried and len(tried) < _MATCHING_STEPS:
            tried[rate] = self._say(text, replace(voice, rate_wpm=rate))
            rate = round(np.clip(rate * tried[rate].voiced_s / voiced_s, *_RATE_LIMITS_WPM))
        return min(tried.items(), key=lambda item: abs(item[1].voiced_s - voiced_s))

    def _voice(self, kind: Kind) -> Voice:
        voices = VOICES[self._language]
        voice = voices[self._drawn % len(voices)]
        self._drawn += 1
        return replace(voice, rate_wpm=int(self._rng.integers(*_RATES_WPM[kind])))

    def _clip(self, name: str, kind: Kind, text: str, voice: Voice) -> Clip:
        room = _BACKGROUNDS[self._rng.integers(len(_BACKGROUNDS))]
        return Clip(
            id=name,
            language=self._language,
            kind=kind,
            text=text,
            voice=voice,
            speech=self._say(text, voice),
            level_dbfs=_LEVELS_DBFS[self._rng.integers(len(_LEVELS_DBFS))],
            background=room[0] if room else None,
            snr_db=room[1] if room else float("inf"),
            seed=int(self._rng.integers(2**31)),
        )


def _with(track: Pcm, pcm: Pcm, onset_s: float) -> Pcm:
    """`track` with pcm added at a time; what does not fit is left out."""
    start = round(onset_s * SAMPLE_RATE_HZ)
    length = max(0, min(len(pcm), len(track) - start))
    track[start : start + length] += pcm[:length]
    return np.clip(track, -1.0, 1.0)
