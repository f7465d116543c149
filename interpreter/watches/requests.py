"""What people ask of the interpreter itself, found in what they say: a human instead of it, or an end of it. Pure.

Asked of text that still grows, it answers as soon as the phrase is complete. It is precise rather than complete:
whoever is not understood has a button and a command.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any

import yaml

from interpreter.facts_guard.patterns import Pattern, Reader, parse_pattern
from interpreter.facts_guard.tokens import Phrases, Token, tokens_of

_UNLESS_TOKENS = 2


class SpokenRequest(enum.Enum):
    """What may be asked for by voice."""

    HUMAN = "human"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class _Phrases:
    """How one language asks."""

    patterns: Mapping[SpokenRequest, tuple[Pattern, ...]]
    readers: Mapping[str, Reader]
    unless: Phrases[str]
    """What makes no request of it: "don't stop interpreting"."""


def spoken_requests(text: str, language: str) -> frozenset[SpokenRequest]:
    """What is asked for in `text`.

    Args:
        text: heard or rendered, so far.
        language: primary tag; in a language without phrases nothing is found.
    """
    phrases = _all_phrases().get(language)
    if phrases is None:
        return frozenset()
    tokens = tokens_of(text)
    return frozenset(
        request
        for request, patterns in phrases.patterns.items()
        if any(_is_asked(tokens, index, patterns, phrases) for index in range(len(tokens)))
    )


def _is_asked(tokens: Sequence[Token], index: int, patterns: Sequence[Pattern], phrases: _Phrases) -> bool:
    if not any(pattern.match(tokens, index, phrases.readers) for pattern in patterns):
        return False
    before = range(max(0, index - _UNLESS_TOKENS), index)
    excuses = [at for at in before if phrases.unless.at(tokens[:index], at)]
    return not any(all(not token.is_sign for token in tokens[at:index]) for at in excuses)


@cache
def _all_phrases() -> Mapping[str, _Phrases]:
    text = resources.files(__package__).joinpath("requests.yaml").read_text(encoding="utf-8")
    tables: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text)
    return {language: _phrases_from(table) for language, table in tables.items()}


def _phrases_from(table: Mapping[str, Any]) -> _Phrases:
    readers = {name: _list(text).at for name, text in table["tables"].items()}
    return _Phrases(
        patterns={request: tuple(map(parse_pattern, table[request.value])) for request in SpokenRequest},
        readers={**readers, "start": partial(_border, -1), "end": partial(_border, 0)},
        unless=_list(table["unless"]),
    )


def _list(text: str) -> Phrases[str]:
    return Phrases((phrase, phrase) for phrase in text.split(","))


def _border(offset: int, tokens: Sequence[Token], index: int) -> tuple[str, int] | None:
    """Nothing, where a sentence begins or ends."""
    at = index + offset
    return ("", index) if not 0 <= at < len(tokens) or tokens[at].is_sign else None
