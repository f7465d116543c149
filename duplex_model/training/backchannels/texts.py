"""Texts for the detector of backchannels: "yes, I see", and what is said to be let speak. Pure, drawn by seed.

What counts as a backchannel is the closed list that the detector is asked about; it is given, since it belongs to
whoever runs the detector. Everything else comes from the grammar, from everyday talk and from `backchannels.yaml`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from duplex_model.training.grammar import Grammar, everyday_sentence
from duplex_model.training.grammar.pair import Language
from duplex_model.training.split import held_out, normal_form, text_held_out

_MOST_PHRASES = 5
_MOST_WORDS = 7
"""Of anything else: longer than the detector listens."""


@dataclass(frozen=True, kw_only=True)
class ClosedList:
    """What listeners of one language say to show that they follow."""

    phrases: tuple[str, ...]
    companions: tuple[str, ...]
    """Words that may stand after them."""

    def beginning(self, words: Sequence[str]) -> int:
        """How many of `words`, from the first, are nothing but phrases with their companions."""
        plain = [_plain(word) for word in words]
        phrases = {tuple(_plain(word) for word in phrase.split()) for phrase in self.phrases}
        companions = {_plain(word) for word in self.companions}
        reached, phrased = {0}, 0
        for start in range(len(plain)):
            if start not in reached:
                continue
            if plain[start] in companions:
                reached.add(start + 1)
                phrased = start + 1 if phrased == start > 0 else phrased
            for phrase in phrases:
                if tuple(plain[start : start + len(phrase)]) == phrase:
                    reached.add(start + len(phrase))
                    phrased = max(phrased, start + len(phrase))
        return phrased


@dataclass(frozen=True, kw_only=True)
class Material:
    """One text, and how much of it is a backchannel."""

    text: str
    backchannel_words: int
    """Of `text.split()`, from the first; all of them, or none, or those of "yes, but" before the rest."""


def closed_lists(path: Path) -> Mapping[Language, ClosedList]:
    """Reads the lists of a YAML file: `{en: {phrases: "mm, yes, of course", with: "doctor, sir"}, es: ...}`."""
    tables: Mapping[Language, Mapping[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        language: ClosedList(phrases=_entries(table["phrases"]), companions=_entries(table["with"]))
        for language, table in tables.items()
    }


class Texts:
    """Draws texts of one language.

    Args:
        closed: its backchannels.
        grammar: of the sentences.
        language: of the texts.
        for_validation: draw the texts that are held out by `split`, and no others.
    """

    def __init__(
        self, closed: ClosedList, grammar: Grammar, language: Language, *, for_validation: bool = False
    ) -> None:
        self._closed = closed
        self._grammar = grammar
        self._language = language
        self._for_validation = for_validation
        table = _table()
        self._openers: Sequence[str] = table[language]["openers"]
        self._sentences: Sequence[str] = table[language]["sentences"]
        self._never = held_out_texts(language)

    def backchannel(self, rng: random.Random) -> Material:
        """One to five phrases, some of them again and again: "yes yes yes", "okay, I see, doctor"."""
        phrases = [rng.choice(self._closed.phrases)]
        for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 2, 3, _MOST_PHRASES - 1))):
            phrases.append(phrases[-1] if rng.random() < 0.3 else rng.choice(self._closed.phrases))
        if rng.random() < 0.2:
            phrases.append(rng.choice(self._closed.companions))
        text = rng.choice((" ", " ", ", ")).join(phrases)
        return Material(text=text, backchannel_words=len(text.split()))

    def other(self, rng: random.Random) -> Material:
        """What is no backchannel, though it may begin like one."""
        while True:
            text = self._other(rng)
            words = text.split()
            begins = self._closed.beginning(words)
            whole = normal_form(text, self._language)
            if begins == len(words) or whole in self._never:
                continue
            if text_held_out(text, self._language) == self._for_validation:
                return Material(text=text, backchannel_words=begins)

    def _other(self, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.2:
            return rng.choice(self._sentences)
        if kind < 0.45:
            return f"{rng.choice(self._openers)}{rng.choice((' ', ', '))}{self._sentence(rng)}"
        if kind < 0.62:
            begin = rng.choice((" ", ", ")).join(
                rng.choice(self._closed.phrases) for _ in range(rng.randint(1, 2))
            )
            return f"{begin}{rng.choice((' ', ', '))}{rng.choice(self._openers)} {self._sentence(rng)}"
        words = self._sentence(rng).split()
        if kind < 0.85:
            return " ".join(words[:_MOST_WORDS])
        start = rng.randrange(len(words))
        return " ".join(words[start : start + rng.randint(1, _MOST_WORDS)])

    def _sentence(self, rng: random.Random) -> str:
        """A beginning of a sentence, of the side that is wanted."""
        if rng.random() < 0.35:
            return everyday_sentence(rng, self._language, held_out=self._for_validation)
        while True:
            pair = self._grammar.sample(rng)
            if held_out(pair) == self._for_validation:
                return pair.en if self._language == "en" else pair.es


def held_out_texts(language: Language) -> frozenset[str]:
    """Texts, in normal form, that are never trained on."""
    return frozenset(_entries(_table()["held_out"][language]))


def held_out_variants() -> frozenset[str]:
    """Voices, by the engine's name of their variant, that are never trained on, beside those of `split`."""
    return frozenset(_table()["held_out"]["voices"].split())


@cache
def _table() -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("backchannels.yaml").read_text(encoding="utf-8")
    table: Mapping[str, Any] = yaml.safe_load(text)
    return table


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())


def _plain(word: str) -> str:
    return re.sub(r"[^\w']", "", word).lower()
