"""Listening to what a model said aloud: is it the speech of its text, and in the voice it was given?

The phones of a text are those the synthesiser would speak. Every score of a model's audio stands beside the score of
clean synthesised speech of the same text by the same judge, as a judge's own errors are no fault of the model.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log10
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.training.evaluation.phone_reader import Recogniser, phone_errors, phones_of
from duplex_model.training.evaluation.scores import (
    Errors,
    Estimate,
    count_errors,
    error_rate,
    share,
    words_of,
)
from duplex_model.training.evaluation.voice_identity import VoiceBook
from duplex_model.training.grammar import Grammar, Pair
from duplex_model.training.grammar.pair import Language
from duplex_model.training.speech.tts import SpeakingVoice, TtsError, Utterance, synthesise
from duplex_model.training.split import is_training

OwnVoices = Mapping[str, Mapping[Language, SpeakingVoice]]
"""By name and language."""

ENROLLED_SENTENCES = 6
LEGIBLE = 24
"""Texts of a cell about which the second opinion is asked."""

_SPHINX_HZ = 16_000
_LEGIBLE_ERROR = 0.25
_DISCOUNT = 0.5


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


def training_pairs(grammar: Grammar, count: int) -> list[Pair]:
    """So many pairs that may be trained on, always the same."""
    rng = random.Random(2)
    pairs: list[Pair] = []
    while len(pairs) < count:
        pair = grammar.sample(rng)
        if is_training(pair):
            pairs.append(pair)
    return pairs


def enrol(
    grammar: Grammar, own_voices: OwnVoices, language: Language, through_codec: Callable[[Pcm], Pcm]
) -> VoiceBook:
    """The own voices as voice prompts have them: training sentences, through the codec."""
    pairs = training_pairs(grammar, ENROLLED_SENTENCES)
    return VoiceBook(
        {
            name: [through_codec(synthesise(pair.text(language), voices[language]).pcm) for pair in pairs]
            for name, voices in own_voices.items()
        }
    )


def voice_figures(
    book: VoiceBook,
    own_voices: OwnVoices,
    language: Language,
    spoken: Sequence[Spoken],
    through_codec: Callable[[Pcm], Pcm],
) -> dict[str, Estimate]:
    """How often the voice of the prompt is recognised; nothing said is nothing recognised."""
    said = [bool(len(one.pcm)) and book.identify(one.pcm) == one.own_voice for one in spoken]
    clean = [synthesise(one.text, own_voices[one.own_voice][language]).pcm for one in spoken]
    kept = [
        book.identify(through_codec(pcm)) == one.own_voice for pcm, one in zip(clean, spoken, strict=True)
    ]
    return {"voice_identified": share(said), "voice_identified_after_the_codec_alone": share(kept)}


class SecondOpinion:
    """English words as pocketsphinx hears them: its own acoustic model, a bigram of training sentences."""

    def __init__(self, read: Callable[[bytes], str]) -> None:
        self._read = read

    def words(self, pcm: Pcm) -> list[str]:
        """What is heard in pcm [n] at 24 kHz."""
        wide = soxr.resample(pcm, SAMPLE_RATE_HZ, _SPHINX_HZ)
        samples = (np.clip(wide, -1, 1) * 32767).astype("<i2").tobytes()
        return words_of(self._read(samples), "en") if samples else []

    def figures(self, own_voices: OwnVoices, spoken: Iterable[Spoken]) -> dict[str, Estimate]:
        """Word error rates of a model's English, and of clean speech.

        Only of texts whose clean speech it can read at all: many synthetic voices are foreign to it, and about
        those it has no opinion. `n` says how many are left, `LEGIBLE` of them at most.
        """
        said: list[Errors] = []
        clean: list[Errors] = []
        for one in spoken:
            utterance = _clean(one, own_voices, "en")
            if utterance is None or len(said) == LEGIBLE:
                continue
            words = words_of(one.text, "en")
            read = count_errors(words, self.words(utterance.pcm))
            if read.edits <= _LEGIBLE_ERROR * read.length:
                clean.append(read)
                said.append(count_errors(words, self.words(one.pcm)))
        return {
            "pocketsphinx_word_error": error_rate(said),
            "pocketsphinx_word_error_of_clean_speech": error_rate(clean),
        }


def second_opinion(sentences: Iterable[str]) -> SecondOpinion | None:
    """A judge whose language model is made from `sentences`; None where pocketsphinx is not installed."""
    try:
        from pocketsphinx import Config, Decoder  # type: ignore[import-untyped]
    except ImportError:
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bigrams.arpa"
        path.write_text(bigrams([words_of(sentence, "en") for sentence in sentences]), encoding="utf-8")
        decoder = Decoder(Config(lm=str(path), samprate=_SPHINX_HZ, loglevel="FATAL"))

    def read(samples: bytes) -> str:
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp()
        return "" if heard is None else str(heard.hypstr)

    return SecondOpinion(read)


def bigrams(sentences: Sequence[Sequence[str]]) -> str:
    """A language model of words and pairs of words in the ARPA format, with absolute discounting (Ney 1994)."""
    followers: dict[str, Counter[str]] = {}
    for sentence in sentences:
        for word, following in pairwise(["<s>", *sentence, "</s>"]):
            followers.setdefault(word, Counter())[following] += 1
    singles = sum(followers.values(), Counter({"<s>": 1}))
    share = {word: count / singles.total() for word, count in singles.items()}
    ones, twos = [], []
    for word, probability in share.items():
        after = followers.get(word, Counter())
        unseen = 1 - sum(share[following] for following in after)
        left = _DISCOUNT * len(after) / after.total() / max(unseen, 1e-6) if after else 1.0
        ones.append(f"{log10(probability):.4f} {word} {log10(left):.4f}")
        for following, count in after.items():
            twos.append(f"{log10((count - _DISCOUNT) / after.total()):.4f} {word} {following}")
    counts = f"ngram 1={len(ones)}\nngram 2={len(twos)}"
    tables = "\n".join(["\\1-grams:", *ones, "", "\\2-grams:", *twos])
    return f"\\data\\\n{counts}\n\n{tables}\n\n\\end\\\n"
