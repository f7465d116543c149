"""A listener's "mm-hm" from the beginning of an interruption, by its words. Pure.

The lists are data (`backchannels.yaml`). All functions may be asked of text that still grows: "I" may become
"I see", so it is no backchannel yet and has no content word yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from interpreter.floor.spoken_words import words_of

_REPEATED = re.compile(r"(.)\1+")


@dataclass(frozen=True, kw_only=True)
class _Lists:
    """The lists of one language, in the form that `_heard` gives words."""

    phrases: frozenset[tuple[str, ...]]
    """Backchannels."""

    companions: frozenset[str]
    """Words that may stand among them, such as "doctor"."""

    empty: frozenset[str]
    """Every word without content, those of the phrases included."""

    content: frozenset[str]
    """Words that count although an empty one begins like them."""

    beginnings: frozenset[tuple[str, ...]]
    """Of the phrases, word by word."""

    longest: int
    """Words of the longest phrase."""


def is_backchannel(text: str, language: str) -> bool:
    """Whether `text` is nothing but signs that somebody follows: "mm-hm", "sí, claro", "okay, I see".

    Args:
        text: what was heard so far.
        language: primary tag; in a language without lists nothing is known to be a backchannel.
    """
    lists = _lists().get(language)
    words = _heard(text)
    return lists is not None and bool(words) and _phrased(words, lists)[-1]


def may_be_backchannel(text: str, language: str) -> bool:
    """Whether `text` is a backchannel, or one and the beginning of another: "okay, I", which may become "okay, I see".

    Args:
        text: what was heard so far, to the end of a word.
        language: primary tag; in a language without lists nothing is.
    """
    lists = _lists().get(language)
    words = _heard(text)
    if lists is None or not words:
        return False
    phrased = _phrased(words, lists)
    return phrased[-1] or any(
        phrased[start] and words[start:] in lists.beginnings
        for start in range(max(0, len(words) - lists.longest), len(words))
    )


def _phrased(words: tuple[str, ...], lists: _Lists) -> list[bool]:
    """[n + 1]: whether the first n words are phrases and companions, and a phrase is among them."""
    reached = [True] + [False] * len(words)  # the same without the last condition
    phrased = [False] * (len(words) + 1)
    for end in range(1, len(words) + 1):
        if words[end - 1] in lists.companions and reached[end - 1]:
            reached[end], phrased[end] = True, phrased[end - 1]
        for start in range(max(0, end - lists.longest), end):
            if reached[start] and words[start:end] in lists.phrases:
                reached[end] = phrased[end] = True
    return phrased


def has_content_word(text: str, language: str) -> bool:
    """Whether a word of `text` says something of its own: "wait", "no", "pain", but not "yes", "and", "doctor".

    A last word that may still become an empty one, as "cla" may become "claro", does not count until a sign follows.

    Args:
        text: what was heard so far.
        language: primary tag; in a language without lists every word has content.
    """
    words = _heard(text)
    lists = _lists().get(language)
    if lists is None or not words:
        return bool(words)
    if is_backchannel(text, language):
        return False  # "no problem", "cómo no"
    *whole, last = words
    if text[-1].isalnum() and last not in lists.content:
        open_ended = any(word.startswith(last) for word in lists.empty)
    else:
        open_ended = last in lists.empty
    return not open_ended or any(word not in lists.empty for word in whole)


def _heard(text: str) -> tuple[str, ...]:
    """Words in which a repeated letter counts once, since nobody knows how many m an "mm" has."""
    return tuple(_REPEATED.sub(r"\1", word) for word in words_of(text))


@cache
def _lists() -> Mapping[str, _Lists]:
    text = resources.files(__package__).joinpath("backchannels.yaml").read_text(encoding="utf-8")
    tables: Mapping[str, Mapping[str, str]] = yaml.safe_load(text)
    return {language: _lists_from(table) for language, table in tables.items()}


def _lists_from(table: Mapping[str, str]) -> _Lists:
    phrases = frozenset(_heard(phrase) for phrase in table["phrases"].split(","))
    companions, content = frozenset(_heard(table["with"])), frozenset(_heard(table["content"]))
    return _Lists(
        phrases=phrases,
        companions=companions,
        empty=companions.union(_heard(table["empty"]), *phrases) - content,
        content=content,
        beginnings=frozenset(phrase[:end] for phrase in phrases for end in range(1, len(phrase))),
        longest=max(map(len, phrases)),
    )
