"""Labelled speech for the detector of backchannels: a text said by a voice, in a room, and how much of it is one.

The labels of one utterance, at each moment after its first sound, are about everything said so far:

    said      ....|yes, I see|but I am allergic|....
    label         |BACKCHANNEL|open|OTHER
                              |<- 0.12 s ->|          what begins may still become a backchannel: not trained on

A pause of 0.2 s and more ends the utterance, as it ends a spurt for whoever asks the detector.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.random import Generator

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.training.backchannels.texts import Material, Texts, held_out_variants
from duplex_model.training.grammar.pair import Language
from duplex_model.training.speech.augment import augment
from duplex_model.training.speech.espeak import espeak
from duplex_model.training.speech.flite import flite
from duplex_model.training.speech.phones import SILENCE
from duplex_model.training.speech.speaking_voices import SpeakingVoice, source_voices
from duplex_model.training.speech.timing import Phone, shifted

BEFORE_S = 0.1
"""What is heard before the first sound of an utterance."""

OPEN_S = 0.12
"""From the end of a backchannel that goes on as something else, to the label of that."""

LONGEST_S = 1.6
"""After the first sound: what is longer is an interruption anyway."""

_PAUSE_S = 0.2
_AFTER_S = 0.3
_LEVEL_DB = -26.0
_RATES_WPM = (125, 340)
"""The same for both kinds, so that haste tells nothing."""

_PITCHES = (25, 75)
_RECORDED = 0.2
"""Share of the voices that were built from recordings of people, where a language has any."""

_STRENGTHS = (0.2, 1.0)  # of `augment`

_HUMS: Mapping[Language, Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "en": {
            "mm": ("m'm-:", "m'm", "@m"),
            "hm": ("h'm-:", "h'm", "h@m"),
            "mmhm": ("m-h'm-", "m'm-h'm", "@mh'@m", "m@h'@m"),
            "mmmm": ("m'm-m'm-", "m-m'm"),
            "uhuh": ("Vh'V", "@h'V", "V'h@"),
        },
        "es": {
            "mm": ("m'@m", "m'm"),
            "hm": ("h'@m", "h'm"),
            "mmhm": ("m@h'@m", "mh'm", "@mh'@m"),
            "uhuh": ("ah'a", "@h'@"),
        },
    }
)
"""Language -> what is hummed, plainly written -> phones of espeak-ng, which spells such words letter by letter."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One utterance as a microphone brings it."""

    pcm: Pcm
    """[T], 24 kHz, from `BEFORE_S` before the first sound."""

    backchannel_until_s: float
    """After the first sound; until then nothing but a backchannel was said. Infinite where there is nothing else."""

    ends_s: float
    """The last sound, after the first."""

    phones: tuple[Phone, ...]
    """Times after the first sound."""

    material: Material
    voice: SpeakingVoice
    language: Language


class Speaking:
    """Draws utterances.

    Args:
        texts: language -> what is said.
        for_validation: in the voices that are held out for validation.
    """

    def __init__(self, texts: Mapping[Language, Texts], *, for_validation: bool = False) -> None:
        self._texts = texts
        self._voices = {
            (language, recorded): _voices(language, recorded=recorded, for_validation=for_validation)
            for language in texts
            for recorded in (True, False)
        }

    def draw(self, seed: int) -> Example:
        """Utterance number `seed`; half of them are backchannels."""
        rng = random.Random(seed)
        language = rng.choice(sorted(self._texts))
        texts = self._texts[language]
        while True:
            material = texts.backchannel(rng) if rng.random() < 0.5 else texts.other(rng)
            voice = rng.choice(self._voices[language, rng.random() < _RECORDED])
            voice = replace(voice, pitch=rng.randint(*_PITCHES), rate_wpm=rng.randint(*_RATES_WPM))
            said = _said(material, voice, language, rng)
            if said is not None:
                return _in_a_room(said, np.random.default_rng(seed))


def _voices(language: Language, *, recorded: bool, for_validation: bool) -> Sequence[SpeakingVoice]:
    """Voices of which no variant is one of the clips that the floor is tried with.

    Args:
        language: of the voices.
        recorded: those built from recordings of people, where the language has any.
        for_validation: those that are held out for it.
    """
    never = held_out_variants()
    voices = [one for one in source_voices(language, held_out=for_validation) if one.variant not in never]
    built = [one for one in voices if one.engine == "flite"]
    return built if recorded and built else [one for one in voices if one.engine == "espeak"]


def _said(material: Material, voice: SpeakingVoice, language: Language, rng: random.Random) -> Example | None:
    """The first spurt of what is said, without a room; None where the voice cannot say it."""
    text = " ".join(_spelled(word, language, rng) for word in material.text.split())
    if voice.engine == "flite":
        if "[[" in text:
            return None
        pcm, rate_hz, phones = flite().speak(text, voice.variant, voice.pitch / 50, 175 / voice.rate_wpm)
    else:
        pcm, phones = espeak().speak(text, voice.accent, voice.variant, voice.pitch, voice.rate_wpm)
        rate_hz = espeak().rate_hz
    spurt = _first_spurt(phones)
    if not spurt:
        return None
    start_s, end_s = spurt[0].start_s, spurt[-1].end_s
    pcm = soxr.resample(pcm, rate_hz, SAMPLE_RATE_HZ, quality="MQ").astype(np.float32)
    pcm = pcm[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
    rest = [phone.start_s - start_s for phone in spurt if (phone.word or 0) >= material.backchannel_words]
    return Example(
        pcm=_levelled(pcm),
        backchannel_until_s=min(rest, default=np.inf),
        ends_s=end_s - start_s,
        phones=tuple(shifted(phone, -start_s) for phone in spurt),
        material=material,
        voice=voice,
        language=language,
    )


def _spelled(word: str, language: Language, rng: random.Random) -> str:
    """`word` as espeak-ng shall read it."""
    core = word.strip(".,;:!?¡¿")
    plain = re.sub(r"(.)\1+", r"\1\1", core.lower().replace("-", ""))
    phones = _HUMS[language].get({"m": "mm", "mhm": "mmhm", "mhmm": "mmhm", "hmm": "hm"}.get(plain, plain))
    return word if phones is None else f"[[{rng.choice(phones)}]]{word.partition(core)[2]}"


def _first_spurt(phones: Sequence[Phone]) -> list[Phone]:
    """From the first sound to the first long pause."""
    spurt: list[Phone] = []
    for phone in phones:
        if phone.symbol == SILENCE:
            if spurt and phone.end_s - phone.start_s >= _PAUSE_S:
                break
        else:
            if spurt and phone.start_s - spurt[-1].end_s >= _PAUSE_S:
                break
            spurt.append(phone)
    return spurt


def _levelled(pcm: Pcm) -> Pcm:
    rms = float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))) if pcm.size else 0.0
    return pcm * np.float32(10 ** (_LEVEL_DB / 20) / max(rms, 1e-6))


def _in_a_room(said: Example, rng: Generator) -> Example:
    """`said` with silence around it, as a microphone brings it."""
    around = [np.zeros(round(s * SAMPLE_RATE_HZ), dtype=np.float32) for s in (BEFORE_S, _AFTER_S)]
    pcm = np.concatenate((around[0], said.pcm, around[1]))[: round((BEFORE_S + LONGEST_S) * SAMPLE_RATE_HZ)]
    return replace(said, pcm=augment(pcm, rng, rng.uniform(*_STRENGTHS)))
