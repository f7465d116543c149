"""Listening to what a model said aloud: is it the speech of its text, and in the voice it was given?

The phones of a text are those the synthesiser would speak. Every score of a model's audio stands beside the score of
clean synthesised speech of the same text by the same judge, as a judge's own errors are no fault of the model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.training.grammar import Grammar, Pair
from duplex_model.training.grammar.pair import Language
from duplex_model.training.recogniser import Recogniser, phone_errors, phones_of
from duplex_model.training.scores import Errors, Estimate, count_errors, error_rate, share, words_of
from duplex_model.training.split import is_training
from duplex_model.training.tts import SpeakingVoice, TtsError, Utterance, synthesise
from duplex_model.training.voice_identity import VoiceBook

OwnVoices = Mapping[str, Mapping[Language, SpeakingVoice]]
"""By name and language."""

ENROLLED_SENTENCES = 6
_SPHINX_HZ = 16_000


@dataclass(frozen=True)
class Spoken:
    """Something a model said."""

    pcm: Pcm
    text: str
    """What it was to sound like: the model's own text, or the text given."""

    own_voice: str


@dataclass
class PhoneScores:
    """Phone errors of a model's speech, and of clean speech."""

    said: list[Errors] = field(default_factory=list)
    clean: list[Errors] = field(default_factory=list)

    def figures(self) -> dict[str, Estimate]:
        """For a report."""
        return {"phone_error": error_rate(self.said), "phone_error_of_clean_speech": error_rate(self.clean)}


def phone_scores(
    recogniser: Recogniser, own_voices: OwnVoices, language: Language, spoken: Iterable[Spoken]
) -> PhoneScores:
    """How well the phones of each text are heard; texts that cannot be synthesised are left out."""
    scores = PhoneScores()
    for one in spoken:
        clean = _clean(one, own_voices, language)
        if clean is None:
            continue
        phones = phones_of(clean)
        scores.said.append(phone_errors(recogniser, one.pcm, phones))
        scores.clean.append(phone_errors(recogniser, clean.pcm, phones))
    return scores


def _clean(one: Spoken, own_voices: OwnVoices, language: Language) -> Utterance | None:
    if not one.text.strip():
        return None
    try:
        return synthesise(one.text, own_voices[one.own_voice][language])
    except (TtsError, ValueError):  # a text made of broken pieces of words
        return None


def enrol(grammar: Grammar, own_voices: OwnVoices, language: Language) -> VoiceBook:
    """The own voices, by training sentences: what voice prompts are made of."""
    rng = random.Random(2)
    pairs: list[Pair] = []
    while len(pairs) < ENROLLED_SENTENCES:
        pair = grammar.sample(rng)
        if is_training(pair):
            pairs.append(pair)
    return VoiceBook(
        {
            name: [synthesise(pair.text(language), voices[language]).pcm for pair in pairs]
            for name, voices in own_voices.items()
        }
    )


def voice_figures(
    book: VoiceBook, own_voices: OwnVoices, language: Language, spoken: Sequence[Spoken]
) -> dict[str, Estimate]:
    """How often the voice of the prompt is recognised; nothing said is nothing recognised."""
    clean = [synthesise(one.text, own_voices[one.own_voice][language]).pcm for one in spoken]
    return {
        "voice_identified": share(
            [bool(len(one.pcm)) and book.identify(one.pcm) == one.own_voice for one in spoken]
        ),
        "voice_identified_in_clean_speech": share(
            [book.identify(pcm) == one.own_voice for pcm, one in zip(clean, spoken, strict=True)]
        ),
    }


class SecondOpinion:
    """English words as pocketsphinx hears them: its own acoustic model, in any order of the grammar's words."""

    def __init__(self, read: Callable[[bytes], str]) -> None:
        self._read = read

    def words(self, pcm: Pcm) -> list[str]:
        """What is heard in pcm [n] at 24 kHz."""
        wide = soxr.resample(pcm, SAMPLE_RATE_HZ, _SPHINX_HZ)
        samples = (np.clip(wide, -1, 1) * 32767).astype("<i2").tobytes()
        return words_of(self._read(samples), "en") if samples else []

    def figures(self, own_voices: OwnVoices, spoken: Iterable[Spoken]) -> dict[str, Estimate]:
        """Word error rates of a model's English, and of clean speech."""
        said, clean = [], []
        for one in spoken:
            utterance = _clean(one, own_voices, "en")
            if utterance is not None:
                words = words_of(one.text, "en")
                said.append(count_errors(words, self.words(one.pcm)))
                clean.append(count_errors(words, self.words(utterance.pcm)))
        return {
            "pocketsphinx_word_error": error_rate(said),
            "pocketsphinx_word_error_of_clean_speech": error_rate(clean),
        }


def second_opinion(words: Iterable[str]) -> SecondOpinion | None:
    """None where pocketsphinx is not installed. Words that its dictionary lacks cannot be heard."""
    try:
        from pocketsphinx import Config, Decoder  # type: ignore[import-untyped]
    except ImportError:
        return None
    decoder = Decoder(Config(samprate=_SPHINX_HZ, lm=None, loglevel="FATAL"))
    known = sorted({part for word in words for part in words_of(word, "en") if decoder.lookup_word(part)})
    decoder.add_jsgf_string("words", f"#JSGF V1.0; grammar words; public <text> = ( {' | '.join(known)} )+;")
    decoder.activate_search("words")

    def read(samples: bytes) -> str:
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp()
        return "" if heard is None else str(heard.hypstr)

    return SecondOpinion(read)
