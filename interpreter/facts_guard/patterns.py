"""Rules as data: `every <stretch> = frequency every <stretch>`. Pure.

On the left, tokens one after another: a word, `a|b` for either, `"` around a sign that YAML would read, `?` after
what may be missing, `<slot>` for what a reader finds; a digit at the end of a slot's name tells two of a kind apart.
On the right the facts, with the slots' values in them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from interpreter.facts_guard.facts import FactKind
from interpreter.facts_guard.tokens import Token, tokens_of

Reader = Callable[[Sequence[Token], int], tuple[str, int] | None]
"""Tokens and an index -> the value of what begins there and the index after it; None where nothing does."""

_SLOT = re.compile(r"<([a-z-]+)(\d?)>")


@dataclass(frozen=True)
class _Element:
    """One place of a pattern."""

    words: frozenset[str]
    """Tokens that fit; empty for a slot."""

    slot: str
    """Name of the slot with its digit; empty for words."""

    optional: bool


@dataclass(frozen=True)
class Pattern:
    """The left side of a rule."""

    elements: tuple[_Element, ...]
    first: frozenset[str] | None
    """Tokens with which a match begins; None where a slot may begin it."""

    def match(
        self, tokens: Sequence[Token], index: int, readers: Mapping[str, Reader]
    ) -> tuple[int, Mapping[str, str]] | None:
        """The index after the longest match at `index` and the values of the slots."""
        if self.first is not None and tokens[index].text not in self.first:
            return None
        return max(_matches(self.elements, tokens, index, readers), key=lambda found: found[0], default=None)


@dataclass(frozen=True)
class Rule:
    """A pattern and the facts it stands for."""

    pattern: Pattern
    facts: tuple[tuple[FactKind, str], ...]
    """Kinds and templates of values."""


def parse_pattern(text: str) -> Pattern:
    """A pattern from its notation."""
    elements = tuple(map(_element, text.split()))
    first: set[str] = set()
    for element in elements:
        first |= element.words
        if element.slot:
            return Pattern(elements, None)
        if not element.optional:
            break
    return Pattern(elements, frozenset(first))


def parse_rule(text: str) -> Rule:
    """A rule from its notation.

    Raises:
        ValueError: the text is no rule.
    """
    left, equals, right = text.partition(" = ")
    facts = [fact.strip().partition(" ") for fact in right.split(";")]
    if not equals or not all(value for _, _, value in facts):
        raise ValueError(f"expected `pattern = kind value; …`, got `{text}`")
    return Rule(parse_pattern(left), tuple((FactKind(kind), value) for kind, _, value in facts))


def remembering(readers: Mapping[str, Reader]) -> Mapping[str, Reader]:
    """`readers` for one text, each of which reads at one place once."""
    return {name: _remembering(reader) for name, reader in readers.items()}


def _remembering(reader: Reader) -> Reader:
    known: dict[int, tuple[str, int] | None] = {}

    def read(tokens: Sequence[Token], index: int) -> tuple[str, int] | None:
        if index not in known:
            known[index] = reader(tokens, index)
        return known[index]

    return read


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with the value of every slot in it."""
    return _SLOT.sub(lambda slot: values[f"{slot[1]}{slot[2]}"], template)


def _element(text: str) -> _Element:
    optional = len(text) > 1 and text.endswith("?")
    body = text[:-1] if optional else text
    slot = _SLOT.fullmatch(body)
    if slot:
        return _Element(frozenset(), f"{slot[1]}{slot[2]}", optional)
    words = (tokens_of(word.strip('"')) for word in body.split("|"))
    return _Element(frozenset(token.text for tokens in words for token in tokens), "", optional)


def _matches(
    elements: Sequence[_Element], tokens: Sequence[Token], index: int, readers: Mapping[str, Reader]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    if not elements:
        yield index, {}
        return
    element, *rest = elements
    if element.slot:
        found = readers[element.slot.rstrip("0123456789")](tokens, index)
        if found is not None:
            value, after = found
            for end, values in _matches(rest, tokens, after, readers):
                yield end, {element.slot: value, **values}
    elif index < len(tokens) and tokens[index].text in element.words:
        yield from _matches(rest, tokens, index + 1, readers)
    if element.optional:
        yield from _matches(rest, tokens, index, readers)
