"""The critical facts of a text, by rule. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from interpreter.facts_guard.allergies import find_allergies
from interpreter.facts_guard.facts import Fact, FactKind
from interpreter.facts_guard.found import Found
from interpreter.facts_guard.lexicon import Lexicon, has_lexicon, lexicon_of
from interpreter.facts_guard.negation import find_negations, negators_of
from interpreter.facts_guard.patterns import Reader, Rule, fill, remembering
from interpreter.facts_guard.readers import clock, readers_of
from interpreter.facts_guard.repairs import repaired
from interpreter.facts_guard.spelling import find_spellings
from interpreter.facts_guard.tokens import BREAKS, Token, tokens_of

_APPLYING_TOKENS = 12
"""A part of the body is where something is put when the putting is named no farther before it."""

_ANCHOR_TOKENS = 5
_ANCHORED = (FactKind.DATE, FactKind.TIME)
_EVERY_SINGLE = re.compile(r"(?:(\S+) )?every 1 (\w+)")
_MASK = "\N{REPLACEMENT CHARACTER}"


def facts_of(text: str, language: str) -> tuple[Fact, ...]:
    """The facts of `text`, in their order.

    Args:
        text: as a speech model writes it: words or figures, with or without punctuation and accents.
        language: primary tag; in a language without lexicon nothing is found.

    Returns:
        Places count the signs of `tokens.normal_form(text)`.
    """
    if not has_lexicon(language):
        return ()
    tokens = tokens_of(text)
    return tuple(
        Fact(kind=fact.kind, value=fact.value, start=tokens[fact.first].start, end=tokens[fact.after - 1].end)
        for fact in sorted(_find(tokens, lexicon_of(language), _readers(language)), key=_place)
    )


def _place(fact: Found) -> tuple[int, int, str, str]:
    return fact.first, fact.after, fact.kind.value, fact.value


@cache
def _readers(language: str) -> Mapping[str, Reader]:
    return readers_of(lexicon_of(language))


def _find(tokens: Sequence[Token], lexicon: Lexicon, readers: Mapping[str, Reader]) -> list[Found]:
    spellings = find_spellings(tokens, lexicon.spelling)
    tokens, readers = _masked(tokens, spellings), remembering(readers)
    sides = _scan(tokens, lexicon.rules["sides"], readers)
    measured = _anchored(tokens, _scan(tokens, lexicon.rules["measures"], readers), lexicon)
    plain = [fact for fact in measured if not _is_counted_side(fact, sides)]
    routes = _routes(tokens, lexicon, readers)
    drugs = _drugs(tokens, lexicon)
    found, corrections = repaired(tokens, [*spellings, *sides, *plain, *routes, *drugs], lexicon)
    negators = negators_of(tokens, lexicon.negation, corrections)
    allergies, denials = find_allergies(tokens, negators, lexicon)
    negations = find_negations(
        tokens, [negator for negator in negators if negator not in denials], lexicon.negation
    )
    kept = [fact for fact in found if fact.kind is not FactKind.DRUG or not fact.overlaps(allergies)]
    return [*kept, *allergies, *negations]


def _masked(tokens: Sequence[Token], found: Iterable[Found]) -> tuple[Token, ...]:
    """`tokens` with those of `found` made unreadable, so that their letters are taken for no words."""
    spelt = {index for fact in found for index in range(fact.first, fact.after)}
    return tuple(
        replace(token, text=_MASK) if index in spelt else token for index, token in enumerate(tokens)
    )


def _scan(tokens: Sequence[Token], rules: Sequence[Rule], readers: Mapping[str, Reader]) -> list[Found]:
    """From left to right what the longest rule says, unless another begins within it and reaches farther.

    Thus "until June" gives way to "June fifteenth". Of two rules as long the one written first counts.
    """
    matches = [_longest(tokens, index, rules, readers) for index in range(len(tokens))]
    found: list[Found] = []
    index = 0
    while index < len(tokens):
        match = matches[index]
        if match is None:
            index += 1
            continue
        rule, end, values = match
        within = [at for at in range(index + 1, end) if (other := matches[at]) is not None and other[1] > end]
        if within:
            index = within[0]
            continue
        if "hour" in values:
            values |= {"clock": clock(values, before=False), "clock-before": clock(values, before=True)}
        found += [Found(kind, _canonical(fill(value, values)), index, end) for kind, value in rule.facts]
        index = end
    return found


def _longest(
    tokens: Sequence[Token], index: int, rules: Sequence[Rule], readers: Mapping[str, Reader]
) -> tuple[Rule, int, dict[str, str]] | None:
    """The rule that matches most tokens from `index` on, the index after them, and its slots."""
    best: tuple[Rule, int, dict[str, str]] | None = None
    for rule in rules:
        match = rule.pattern.match(tokens, index, readers)
        if match is not None and match[0] > (best[1] if best else index) and _is_sound(match[1]):
            best = rule, match[0], dict(match[1])
    return best


def _is_sound(values: Mapping[str, str]) -> bool:
    """Whether slots fit together: of a blood pressure the first is the higher, and seven over ten is a score."""
    return "pressure" not in values or int(values["pressure"]) > int(values["pressure2"])


def _canonical(value: str) -> str:
    """`1/day` for "every day", `2/day` for "twice every 24 hours"."""
    single = _EVERY_SINGLE.fullmatch(value)
    return f"{single[1] or 1}/{single[2]}" if single else value


def _anchored(tokens: Sequence[Token], found: Sequence[Found], lexicon: Lexicon) -> list[Found]:
    """`found` with dates and times made durations where "since" or "until" leads to them.

    Of "last night" that is the day.
    """
    return [
        fact if index and found[index - 1].first == fact.first else _anchored_one(tokens, fact, lexicon)
        for index, fact in enumerate(found)
    ]


def _anchored_one(tokens: Sequence[Token], fact: Found, lexicon: Lexicon) -> Found:
    if fact.kind not in _ANCHORED:
        return fact
    anchors = lexicon.tables["anchor"]
    for index in range(fact.first, max(-1, fact.first - _ANCHOR_TOKENS), -1):
        anchor = anchors.at(tokens, index)
        if anchor is not None and all(
            token.text in lexicon.repair_fillers for token in tokens[anchor[1] : fact.first]
        ):
            return Found(FactKind.DURATION, f"{anchor[0]} {fact.value}", index, fact.after)
    return fact


def _is_counted_side(fact: Found, sides: Sequence[Found]) -> bool:
    """Whether it is the "two" of "las dos manos"."""
    return fact.kind in (FactKind.NUMBER, FactKind.QUANTITY) and fact.overlaps(sides)


def _routes(tokens: Sequence[Token], lexicon: Lexicon, readers: Mapping[str, Reader]) -> list[Found]:
    """Every route once: said again it says nothing more."""
    plain = _scan(tokens, lexicon.rules["routes"], readers)
    applied = [
        fact
        for fact in _scan(tokens, lexicon.rules["applied"], readers)
        if _is_applied(tokens, fact, lexicon)
    ]
    first = {fact.value: fact for fact in reversed([*plain, *applied])}
    return list(first.values())


def _is_applied(tokens: Sequence[Token], fact: Found, lexicon: Lexicon) -> bool:
    for token in reversed(tokens[max(0, fact.first - _APPLYING_TOKENS) : fact.first]):
        if token.text in BREAKS:
            return False
        if token.text in lexicon.applying:
            return True
    return False


def _drugs(tokens: Sequence[Token], lexicon: Lexicon) -> list[Found]:
    """The drugs that are named."""
    found, index = [], 0
    while index < len(tokens):
        drug = lexicon.drugs.at(tokens, index)
        if drug is not None:
            found.append(Found(FactKind.DRUG, drug[0], index, drug[1]))
        index = drug[1] if drug is not None else index + 1
    return found
