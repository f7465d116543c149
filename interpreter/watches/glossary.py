"""Whether the terms of a glossary are rendered as it wants them. Pure: media time comes with the words.

Heard terms are looked for in the transcription of the speaker, so without one nothing is ever found missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from interpreter.floor.spoken_words import words_of

_KEPT_WORDS = 12
"""Of what was heard last: longer than any term."""


@dataclass(frozen=True)
class Term:
    """One thing in two languages."""

    heard: str
    spoken: str


@dataclass(frozen=True, kw_only=True)
class TermMissed:
    """A term was heard and not said as the glossary wants it."""

    term: Term
    at_s: float
    """When it was heard, media time."""


@dataclass(eq=False)
class _Waiting:
    term: Term
    at_s: float


class GlossaryWatch:
    """Follows one direction.

    Args:
        lag_s: how much later than its original a rendering may come.
    """

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._terms: tuple[tuple[Term, tuple[str, ...], tuple[str, ...]], ...] = ()
        self._heard = ""
        self._spoken: deque[tuple[str, float]] = deque()
        self._waiting: list[_Waiting] = []

    def set(self, terms: Iterable[Term]) -> None:
        """Watches for these terms from now on, and for no others."""
        self._terms = tuple((term, words_of(term.heard), words_of(term.spoken)) for term in terms)

    def heard(self, piece: str, at_s: float) -> None:
        """The next piece of what the speaker said."""
        if not piece or not self._terms:
            return
        before = words_of(self._heard)
        self._heard = " ".join(before[-_KEPT_WORDS:]) + piece if piece[:1].isspace() else self._heard + piece
        now = words_of(self._heard)
        for term, words, _ in self._terms:
            if _ends_with(now, words) and not any(
                one.term == term and at_s - one.at_s < 1.0 for one in self._waiting
            ):
                self._waiting.append(_Waiting(term, at_s))

    def spoken(self, piece: str, at_s: float) -> None:
        """The next piece of what the interpreter said."""
        if not piece or not self._terms:
            return
        self._spoken.append((piece, at_s))
        while self._spoken and self._spoken[0][1] < at_s - 2.0 * self._lag_s:
            self._spoken.popleft()

    def advance(self, now_s: float) -> list[TermMissed]:
        """Terms whose time is over."""
        over = [one for one in self._waiting if now_s - one.at_s >= self._lag_s]
        self._waiting = [one for one in self._waiting if now_s - one.at_s < self._lag_s]
        said = {term: words for term, _, words in self._terms}
        return [
            TermMissed(term=one.term, at_s=one.at_s)
            for one in over
            if one.term in said and not self._was_said(said[one.term], one.at_s)
        ]

    def _was_said(self, words: tuple[str, ...], since_s: float) -> bool:
        spoken = words_of("".join(piece for piece, at_s in self._spoken if at_s >= since_s))
        return any(spoken[n : n + len(words)] == words for n in range(len(spoken)))


def _ends_with(words: tuple[str, ...], term: tuple[str, ...]) -> bool:
    return bool(term) and words[-len(term) :] == term
