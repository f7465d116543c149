"""Materials made up for tests: a synthesiser whose word times are known, a handful of pairs, and no rooms."""

from __future__ import annotations

import random

import numpy as np

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.training.dialogues.dialogue import Materials
from duplex_model.training.grammar.pair import Fact, FactKind, Language, Link, Pair, Register
from duplex_model.training.speech.tts import OWN_VOICES, SpeakingVoice, Timed, Utterance

LEAD_S = 0.02
"""Silence before the first word of an utterance here."""


def one_by_one(
    en: str,
    es: str,
    *,
    name: str = "test.pain",
    register: Register | None = None,
    facts: tuple[Fact, ...] = (),
) -> Pair:
    """Words that correspond one by one, in the same order."""
    links = tuple(Link((index,), (index,)) for index in range(len(en.split())))
    return Pair(name, "patient", register, en, es, links, facts)


PAIRS = (
    one_by_one(
        "My left arm hurts.", "Mi izquierdo brazo duele.", facts=(Fact(FactKind.SIDE, "left", "izquierdo"),)
    ),
    one_by_one("I have pain here.", "Yo tengo dolor aquí."),
    one_by_one("Do you feel dizzy?", "¿Se siente usted mareado?", register=Register.FORMAL),
    one_by_one("Do you feel dizzy?", "¿Te sientes tú mareado?", register=Register.INFORMAL),
)
CLOSED = (
    one_by_one("Please repeat.", "Favor repita.", name="closed.repeat"),
    one_by_one("Interpreter ready.", "Intérprete listo.", name="closed.notice"),
)
EVERYDAY = {"en": "The train is late.", "es": "El tren tarda."}


def word_s(word: str) -> float:
    """How long a word takes here."""
    return 0.05 + 0.04 * len(word)


def synthesise(text: str, voice: SpeakingVoice) -> Utterance:
    """A tone from the first word to the last."""
    end_s = LEAD_S
    words = []
    for word in text.split():
        words.append(Timed(word, end_s, end_s + word_s(word)))
        end_s = words[-1].end_s
    seconds = np.arange(round(end_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pcm = np.where(seconds >= LEAD_S, 0.1 * np.cos(2 * np.pi * voice.pitch * 4 * seconds), 0).astype(
        np.float32
    )
    return Utterance(pcm=pcm, words=tuple(words), phones=())


def sample(rng: random.Random) -> Pair:
    """One of `PAIRS`."""
    return rng.choice(PAIRS)


def everyday(rng: random.Random, language: Language) -> str:
    """The sentence that is outside the domain."""
    return EVERYDAY[language]


def as_it_is(pcm: Pcm, generator: np.random.Generator, strength: float) -> Pcm:
    """No room."""
    return pcm


def pieces(word: str) -> int:
    """Tokens of a word here."""
    return 1 + (len(word) > 6)


MATERIALS = Materials(
    sample=sample,
    out_of_domain=everyday,
    closed=CLOSED,
    synthesise=synthesise,
    source_voices={"en": [OWN_VOICES["ana"]["en"]], "es": [OWN_VOICES["bruno"]["es"]]},
    own_voices={"ana": OWN_VOICES["ana"], "bruno": OWN_VOICES["bruno"]},
    augment=as_it_is,
    pieces=pieces,
)
