"""Text to tokens: words, figures and signs, folded, with their place in the text. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from interpreter.floor.spoken_words import fold

_Value = TypeVar("_Value")

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|\.{2,}|[^\w\s]")
_DROPPED = frozenset("-\u2010\u2011\u2013\u2014'\"\u201c\u201d\u00ab\u00bb()")
SENTENCE_ENDS = frozenset(".?!")
BREAKS = SENTENCE_ENDS | frozenset(";:¿¡\u2026") | {"..."}
"""Signs across which a negation does not reach."""


@dataclass(frozen=True)
class Token:
    """A word, a figure or a sign."""

    text: str
    """Folded: lower case, no accents."""

    start: int
    """Index of its first sign in the text."""

    end: int
    """Index after its last."""

    @property
    def is_word(self) -> bool:
        """Letters."""
        return self.text[0].isalpha()

    @property
    def is_figure(self) -> bool:
        """Digits, perhaps with points and commas between them."""
        return self.text[0].isdigit()

    @property
    def is_sign(self) -> bool:
        """Punctuation."""
        return not self.text[0].isalnum()


def normal_form(text: str) -> str:
    """`text` as the places of tokens and facts count it: NFC, with straight apostrophes."""
    return unicodedata.normalize("NFC", text).replace("\u2019", "'")


def tokens_of(text: str) -> tuple[Token, ...]:
    """The tokens of `normal_form(text)`. A hyphen is one only between figures: `4-6`, but `forty eight`."""
    folded = fold(normal_form(text))
    tokens = []
    for match in _TOKEN.finditer(folded):
        token = Token(match.group(), match.start(), match.end())
        between_figures = folded[: token.start][-1:].isdigit() and folded[token.end :][:1].isdigit()
        if token.text in _DROPPED and not (token.text in "-\u2013" and between_figures):
            continue
        tokens.append(
            Token("...", *match.span()) if token.text[:2] == ".." or token.text == "\u2026" else token
        )
    return tuple(tokens)


class Phrases(Generic[_Value]):
    """Phrases of one or more tokens, each standing for a value; the longest that fits is found.

    Args:
        phrases: (text, value); of two with the same tokens the first counts.
    """

    def __init__(self, phrases: Iterable[tuple[str, _Value]]) -> None:
        table: dict[str, dict[tuple[str, ...], _Value]] = {}
        for text, value in phrases:
            words = tuple(token.text for token in tokens_of(text))
            if words:
                table.setdefault(words[0], {}).setdefault(words, value)
        self._table = {
            first: sorted(values.items(), key=lambda entry: -len(entry[0])) for first, values in table.items()
        }

    def at(self, tokens: Sequence[Token], index: int) -> tuple[_Value, int] | None:
        """The value of the phrase that begins at `index`, and the index after it."""
        if index >= len(tokens):
            return None
        for words, value in self._table.get(tokens[index].text, ()):
            end = index + len(words)
            if end <= len(tokens) and all(
                token.text == word for token, word in zip(tokens[index:end], words, strict=True)
            ):
                return value, end
        return None

    def before(self, tokens: Sequence[Token], index: int) -> tuple[_Value, int] | None:
        """The value of the longest phrase that ends before `index`, and the index of its beginning."""
        for start in range(max(0, index - 4), index):
            found = self.at(tokens, start)
            if found is not None and found[1] == index:
                return found[0], start
        return None
