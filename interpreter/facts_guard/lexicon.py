"""A language for the guard, read from its two files: `languages/xx.yaml` and `languages/xx-terms.yaml`.

A further language is two further files. In them phrases are parted by commas (`","` in quotes is the sign itself),
accents and capitals do not matter, and rules are written as in patterns.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

import yaml

from interpreter.facts_guard.numbers import NumberWords
from interpreter.facts_guard.patterns import Rule, parse_rule
from interpreter.facts_guard.tokens import Phrases
from interpreter.floor.spoken_words import fold


@dataclass(frozen=True, kw_only=True)
class AllergyWords:
    """How a language says what somebody is allergic to."""

    cues: frozenset[str]
    """`allergic`."""

    to: frozenset[str]
    """Leads to the substance."""

    skip: frozenset[str]
    """May stand before or after a substance."""

    joiners: frozenset[str]
    """Between two substances."""

    any: frozenset[str]
    """`anything`, `medicines`."""

    substances: Phrases[str]
    """Allergens and drugs."""


@dataclass(frozen=True, kw_only=True)
class SpellingWords:
    """How a language spells aloud."""

    letters: Phrases[str]
    """Names of letters."""

    double: frozenset[str]
    """`double l`."""

    ambiguous: frozenset[str]
    """Names that are words as well."""

    as_in: Phrases[str]
    """Between a letter and a word that begins with it."""

    initialisms: frozenset[str]
    """What is said letter by letter and spells nothing."""


@dataclass(frozen=True, kw_only=True)
class NegationWords:
    """How a language denies."""

    negators: Phrases[str]
    concord: frozenset[str]
    """Negators that only go along with another before them: `no … nada`."""

    cease: Phrases[str]
    """`stop`, `deje de`: phrase -> how the next word must end."""

    answers: frozenset[str]
    """Negators that may be an answer."""

    answered: frozenset[str]
    """May follow an answer without punctuation: `no gracias`."""

    answer_then: frozenset[str]
    """Begin the sentence after an answer without punctuation: `no I don't`."""

    tag_then: frozenset[str]
    """Pronouns of question tags: `isn't it?`."""

    breaks: frozenset[str]
    """Words across which a negation does not reach."""

    weak: frozenset[str]
    """Ids of what is denied only for itself: in "no serious problem" it is the problem."""

    joins: frozenset[str]
    """Words across which it reaches a second thing: `fever or chills`."""

    concepts: Phrases[str]
    """What is denied."""


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Everything the guard knows of one language."""

    numbers: NumberWords
    units: Phrases[str]
    spans: Phrases[str]
    """Units of time."""

    no_article: frozenset[str]
    """Units before which an article is no number."""

    not_hours: frozenset[str]
    """Words before which a number is no hour."""

    times_words: Mapping[str, int]
    """`twice`."""

    times_nouns: frozenset[str]
    """`times`."""

    tables: Mapping[str, Phrases[str]]
    """Slots of the rules that are lists of phrases."""

    rules: Mapping[str, tuple[Rule, ...]]
    """By pass: measures, routes, applied, sides."""

    applying: frozenset[str]
    """Words after which a part of the body may be a route."""

    repairs: Phrases[str]
    """What somebody says who corrects themselves."""

    repair_fillers: frozenset[str]
    """What may stand between such words and the facts around them."""

    drugs: Phrases[str]
    allergies: AllergyWords
    spelling: SpellingWords
    negation: NegationWords


def has_lexicon(language: str) -> bool:
    """Whether the guard knows the language with this primary tag."""
    return language in _languages()


@cache
def lexicon_of(language: str) -> Lexicon:
    """The lexicon of a primary tag for which `has_lexicon`."""
    grammar, terms = (_read(f"{language}{part}.yaml") for part in ("", "-terms"))
    drugs = dict(_entries(terms["drugs"]))
    return Lexicon(
        numbers=_numbers(grammar["numbers"]),
        units=Phrases(_entries(grammar["units"])),
        spans=Phrases(_entries(grammar["spans"])),
        no_article=_set(grammar["no_article"]),
        not_hours=_set(grammar["not_hours"]),
        times_words=grammar["times"]["words"],
        times_nouns=_set(grammar["times"]["nouns"]),
        tables={name: Phrases(_entries(table)) for name, table in grammar["tables"].items()},
        rules={name: tuple(map(parse_rule, rules)) for name, rules in grammar["rules"].items()},
        applying=_set(grammar["applying"]),
        repairs=_phrases(grammar["repairs"]),
        repair_fillers=_set(grammar["repair_fillers"]),
        drugs=Phrases(drugs.items()),
        allergies=_allergies(grammar["allergies"], {**drugs, **dict(_entries(terms["allergens"]))}),
        spelling=_spelling(grammar["spelling"]),
        negation=_negation(grammar["negation"], terms["concepts"]),
    )


@cache
def _languages() -> frozenset[str]:
    names = {file.name for file in resources.files(__package__).joinpath("languages").iterdir()}
    return frozenset(name.removesuffix("-terms.yaml") for name in names if name.endswith("-terms.yaml"))


def _read(name: str) -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("languages", name).read_text(encoding="utf-8")
    table: Mapping[str, Any] = yaml.safe_load(text)
    return table


def _numbers(table: Mapping[str, Any]) -> NumberWords:
    digits = {word: value for value, word in enumerate(_list(table["digits"]))}
    tens = {word: 10 * (n + 2) for n, word in enumerate(_list(table["tens"]))}
    return NumberWords(
        digits=digits,
        digit_names={**digits, **table["digit_names"]},
        below_hundred={
            **{word: value + 10 for value, word in enumerate(_list(table["teens"]))},
            **table["also"],
        },
        tens=tens,
        hundreds=table["hundreds"],
        hundred=_set(table["hundred"]),
        thousand=_set(table["thousand"]),
        million=_set(table["million"]),
        tens_joiner=table["tens_joiner"],
        joiner=table["joiner"],
        point=_set(table["point"]),
        leading_point=table["leading_point"],
        decimal=table["decimal"],
        group=table["group"],
        one=_set(table["one"]),
        pronouns=_set(table["pronouns"]),
        range=_set(table["range"]),
        between=_phrases(table["between"]),
        from_to=table["from_to"],
        fractions=Phrases((text, Fraction(value)) for text, value in _entries(table["fractions"])),
        more=Phrases((text, Fraction(value)) for text, value in _entries(table["more"])),
        pairs_as_years=table["pairs_as_years"],
    )


def _allergies(table: Mapping[str, str], substances: Mapping[str, str]) -> AllergyWords:
    return AllergyWords(
        **{name: _set(text) for name, text in table.items()}, substances=Phrases(substances.items())
    )


def _spelling(table: Mapping[str, Any]) -> SpellingWords:
    return SpellingWords(
        letters=Phrases(_entries(table["names"])),
        double=_set(table["double"]),
        ambiguous=_set(table["ambiguous"]),
        as_in=_phrases(table["as_in"]),
        initialisms=_set(table["initialisms"]),
    )


def _negation(table: Mapping[str, Any], concepts: Mapping[str, str]) -> NegationWords:
    sets = ["concord", "answers", "answered", "answer_then", "tag_then", "breaks", "joins", "weak"]
    return NegationWords(
        negators=_phrases(table["negators"]),
        cease=Phrases(table["cease"].items()),
        concepts=Phrases(_entries(concepts)),
        **{name: _set(table[name]) for name in sets},
    )


def _entries(table: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Phrase and id of a table of ids and lists of phrases."""
    for value, phrases in table.items():
        yield from ((phrase, value) for phrase in _list(phrases))


def _phrases(text: str) -> Phrases[str]:
    return Phrases((phrase, phrase) for phrase in _list(text))


def _set(text: str) -> frozenset[str]:
    return frozenset(_list(text))


def _list(text: str) -> tuple[str, ...]:
    return tuple(_folded(text.replace('","', "\0").split(",")))


def _folded(phrases: Iterable[str]) -> Iterator[str]:
    for phrase in phrases:
        if phrase.strip():
            yield fold(phrase.strip()).replace("\0", ",")
