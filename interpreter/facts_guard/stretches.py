"""Pieces of text to stretches that are compared: sentences, or what lies between two pauses. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from interpreter.facts_guard.extract import facts_of
from interpreter.facts_guard.facts import Fact
from interpreter.facts_guard.lexicon import has_lexicon, lexicon_of
from interpreter.facts_guard.tokens import tokens_of

PAUSE_S = 1.0
"""So long without a new piece ends a stretch."""

MAX_CHARACTERS = 400
"""A stretch that is longer ends at its last word; only a recogniser that writes no full stops gets there."""

_SENTENCE_END = re.compile(r"(?<=[^.\s][.?!])\s+(?=\S+[\s,.?!])")


@dataclass(eq=False, kw_only=True)
class Stretch:
    """A sentence of one side, and what has become of its facts."""

    text: str
    begun_s: float
    """Media time of its first piece."""

    ended_s: float
    """Media time of its last."""

    facts: tuple[Fact, ...]
    open_facts: list[Fact]
    """Those without a partner so far."""

    partners: list[Stretch] = field(default_factory=list)
    """Stretches of the other side that have facts of this one."""


class Stretches:
    """Collects one side's pieces.

    Args:
        language: primary tag.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._text = ""
        self._begun_s = 0.0
        self._ended_s = 0.0

    @property
    def open_since_s(self) -> float | None:
        """When the stretch that is being collected began; None between two."""
        return self._begun_s if self._text.strip() else None

    def add(self, piece: str, at_s: float) -> list[Stretch]:
        """The stretches that end before or within `piece`, which carries its own spaces."""
        ended = self.advance(at_s)
        if not self._text.strip():
            self._begun_s = at_s
        self._text += piece
        while (cut := self._cut()) is not None:
            ended += self._end(self._text[:cut], at_s)
            self._text = self._text[cut:]
            self._begun_s = at_s
        self._ended_s = at_s
        return ended

    def advance(self, now_s: float) -> list[Stretch]:
        """The stretch that a pause has ended."""
        return self.finish() if now_s - self._ended_s >= PAUSE_S else []

    def finish(self) -> list[Stretch]:
        """The stretch that was being collected; nothing where there was none."""
        text, self._text = self._text, ""
        return self._end(text, self._ended_s)

    def _cut(self) -> int | None:
        """Where the text collected so far must be cut: after a sentence, unless what follows corrects it."""
        for end in _SENTENCE_END.finditer(self._text):
            if not self._corrects(self._text[end.end() :]):
                return end.end()
        if len(self._text) <= MAX_CHARACTERS:
            return None
        return self._text.rfind(" ", 1, MAX_CHARACTERS) + 1 or MAX_CHARACTERS

    def _corrects(self, text: str) -> bool:
        if not has_lexicon(self._language):
            return False
        return lexicon_of(self._language).repairs.at(tokens_of(text), 0) is not None

    def _end(self, text: str, ended_s: float) -> list[Stretch]:
        text = text.strip()
        if not text:
            return []
        facts = facts_of(text, self._language)
        return [
            Stretch(text=text, begun_s=self._begun_s, ended_s=ended_s, facts=facts, open_facts=list(facts))
        ]
