"""Who speaks: the voices heard in training and evaluation, and the eight that the interpreter itself has."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from duplex_model.training.split import held_out_voices

Language = Literal["en", "es"]
Engine = Literal["espeak", "flite"]


@dataclass(frozen=True)
class SpeakingVoice:
    """One way of speaking one language."""

    engine: Engine
    accent: str
    """A voice of espeak-ng, such as "es-419"; "en-us" for flite."""

    variant: str
    """The timbre: a variant of espeak-ng or a voice of flite. Whole variants are held out, in both languages."""

    pitch: int = 50
    """0 to 99; 50 is the variant's own."""

    rate_wpm: int = 175

    @property
    def language(self) -> Language:
        """What it speaks."""
        return "es" if self.accent.startswith("es") else "en"

    @property
    def name(self) -> str:
        """Unique and stable."""
        return f"{self.engine}:{self.accent}+{self.variant}:p{self.pitch}:r{self.rate_wpm}"


ACCENTS: Mapping[Language, tuple[str, ...]] = MappingProxyType(
    {"en": ("en-us", "en-gb-x-rp", "en", "en-us-nyc"), "es": ("es-419", "es")}
)

_CLEAR = """
    Alex Alicia Andrea Andy Annie Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen adam anika
    antonio aunty belinda benjamin caleb david ed edward edward2 f1 f2 f3 f4 f5 gustave iven iven2 iven3 iven4 john
    linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max miguel norbert pablo paul pedro quincy rob robert sandro shelby steph
    steph2 steph3 travis victor zac
"""

VARIANTS: tuple[str, ...] = tuple(_CLEAR.split())
"""Variants of espeak-ng that are meant as speaking people: no whisper, no croak, no robot."""

FLITE_VOICES = ("slt", "rms", "kal16", "awb")

_PITCHES = (36, 44, 50, 57, 66)
_RATES_WPM = (145, 155, 165, 175, 190, 205)
_VERSIONS = 2
"""Pitches and rates of each variant in each accent."""


def source_voices(language: Language, *, held_out: bool = False) -> Sequence[SpeakingVoice]:
    """The voices of participants, in a fixed order: those to train on, or those never trained on."""
    kept_apart = held_out_voices()
    return [voice for voice in _all_voices(language) if (voice.variant in kept_apart) == held_out]


def _all_voices(language: Language) -> Sequence[SpeakingVoice]:
    voices = [
        _spread(SpeakingVoice("espeak", accent, variant), version)
        for version, variant, accent in itertools.product(range(_VERSIONS), VARIANTS, ACCENTS[language])
    ]
    if language == "en":
        flite = itertools.product(FLITE_VOICES, (45, 50, 55), (150, 175, 200))
        voices += [SpeakingVoice("flite", "en-us", name, pitch, rate) for name, pitch, rate in flite]
    return voices


def _spread(voice: SpeakingVoice, version: int) -> SpeakingVoice:
    """`voice` with a pitch and a rate that follow from its name; another version has others of both."""
    choice = zlib.crc32(voice.name.encode())
    pitch = _PITCHES[(choice + 2 * version) % len(_PITCHES)]
    rate_wpm = _RATES_WPM[(choice // len(_PITCHES) + 2 * version) % len(_RATES_WPM)]
    return SpeakingVoice(voice.engine, voice.accent, voice.variant, pitch, rate_wpm)


def _own(variant: str, pitch: int, rate_wpm: int = 170) -> Mapping[Language, SpeakingVoice]:
    return MappingProxyType(
        {
            "en": SpeakingVoice("espeak", "en-us", variant, pitch, rate_wpm),
            "es": SpeakingVoice("espeak", "es-419", variant, pitch, rate_wpm),
        }
    )


OWN_VOICES: Mapping[str, Mapping[Language, SpeakingVoice]] = MappingProxyType(
    {
        "ana": _own("f2", 35),  # 177 Hz
        "bruno": _own("edward", 20),  # 80 Hz
        "clara": _own("f3", 45),  # 207 Hz
        "diego": _own("m6", 50),  # 104 Hz
        "elena": _own("f5", 65),  # 240 Hz
        "felix": _own("benjamin", 75),  # 134 Hz
        "gloria": _own("anika", 50, rate_wpm=140),  # 279 Hz; a quick variant
        "hugo": _own("miguel", 80),  # 152 Hz
    }
)
"""The interpreter's own, each with one timbre in both languages and at least an eighth apart in pitch, as noted.

Chosen to differ, among the variants that pocketsphinx understands better than most.
"""
