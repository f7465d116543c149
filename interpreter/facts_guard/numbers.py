"""Numbers in words or figures, in any language whose words are given as data. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from interpreter.facts_guard.measures import Amount
from interpreter.facts_guard.tokens import Phrases, Token

MAX_FIGURES = 15
"""A longer figure is no number that anybody says."""


@dataclass(frozen=True, kw_only=True)
class NumberWords:
    """How a language says numbers."""

    digits: Mapping[str, int]
    """Words of 0 to 9."""

    digit_names: Mapping[str, int]
    """The same, with names that only stand among other digits: `oh`."""

    below_hundred: Mapping[str, int]
    """Words of 10 to 19, and of whatever else below 100 is one word."""

    tens: Mapping[str, int]
    """20, 30, …"""

    hundreds: Mapping[str, int]
    """Words that are hundreds by themselves: `doscientos`."""

    hundred: frozenset[str]
    """Words that multiply by 100."""

    thousand: frozenset[str]
    million: frozenset[str]

    tens_joiner: str
    """Between tens and digit, `treinta y dos`; empty for nothing."""

    joiner: str
    """May stand between hundreds and the rest, `two hundred and ten`; empty for nothing."""

    point: frozenset[str]
    """Words between whole number and decimals."""

    leading_point: bool
    """Whether they may begin a number: `point five`."""

    decimal: str
    """Signs that may be the decimal sign in figures."""

    group: str
    """The sign that may part groups of three figures."""

    one: frozenset[str]
    """Articles that stand for 1 before a unit."""

    pronouns: frozenset[str]
    """Words for 1 that are usually none without a unit."""

    range: frozenset[str]
    """Words between the two numbers of a range."""

    between: Phrases[str]
    """What may stand between a number and its unit: `two more tablets`, `one of these pills`."""

    from_to: Mapping[str, str]
    """Word before a range -> word within: `between two and three`."""

    fractions: Phrases[Fraction]
    """`half a`."""

    more: Phrases[Fraction]
    """`and a half`."""

    pairs_as_years: bool
    """Whether years are said as two numbers: `nineteen fifty-two`."""


@dataclass(frozen=True)
class Number:
    """A number that was read."""

    value: Fraction
    """Not negative."""

    end: int
    """Index after its last token."""


def read_number(tokens: Sequence[Token], index: int, words: NumberWords) -> Number | None:
    """The number that begins at `index`: figures, or words up to hundreds of millions, with decimals."""
    whole = _figure(tokens, index, words) or _whole(tokens, index, words)
    if whole is None:
        if not words.leading_point:
            return None
        return _with_decimals(Number(Fraction(0), index), tokens, words)
    return _with_decimals(whole, tokens, words) or whole


def read_amount(tokens: Sequence[Token], index: int, words: NumberWords) -> tuple[Amount, int] | None:
    """What may stand before a unit: a number, a range, a fraction, an article for 1; and the index after it."""
    fraction = words.fractions.at(tokens, index)
    if fraction is not None:
        return (fraction[0],), fraction[1]
    spread = _spread(tokens, index, words)
    if spread is not None:
        return spread
    number = read_number(tokens, index, words)
    if number is None:
        if index < len(tokens) and tokens[index].text in words.one:
            return (Fraction(1),), index + 1
        return None
    first, end = _and_more(number, tokens, words)
    joined = end < len(tokens) and (tokens[end].text in words.range or tokens[end].text == "-")
    second = read_number(tokens, end + 1, words) if joined else None
    if second is not None and second.value > first:
        value, end = _and_more(second, tokens, words)
        return (first, value), end
    return (first,), end


def read_more(tokens: Sequence[Token], index: int, words: NumberWords) -> tuple[Fraction, int]:
    """What "and a half" after a unit adds, and the index after it; nothing and `index` where there is none."""
    return words.more.at(tokens, index) or (Fraction(0), index)


def read_digit(tokens: Sequence[Token], index: int, words: NumberWords) -> str | None:
    """The single digit at `index`."""
    text = tokens[index].text if index < len(tokens) else ""
    if len(text) == 1 and text.isdecimal():
        return text
    digit = words.digit_names.get(text)
    return None if digit is None else str(digit)


def _spread(tokens: Sequence[Token], index: int, words: NumberWords) -> tuple[Amount, int] | None:
    """`between two and three`."""
    within = words.from_to.get(tokens[index].text) if index < len(tokens) else None
    low = read_number(tokens, index + 1, words) if within else None
    if low is None or low.end >= len(tokens) or tokens[low.end].text != within:
        return None
    high = read_number(tokens, low.end + 1, words)
    return None if high is None or high.value <= low.value else ((low.value, high.value), high.end)


def _and_more(number: Number, tokens: Sequence[Token], words: NumberWords) -> tuple[Fraction, int]:
    more, end = read_more(tokens, number.end, words)
    return number.value + more, end


def _figure(tokens: Sequence[Token], index: int, words: NumberWords) -> Number | None:
    text = tokens[index].text if index < len(tokens) else ""
    if not text[:1].isdecimal() or len(text) > MAX_FIGURES:
        return None
    number = _value_of_figure(text, words)
    if number is None:
        return None
    end = index + 1
    for multiplier, factor in ((words.thousand, 1_000), (words.million, 1_000_000)):
        if end < len(tokens) and tokens[end].text in multiplier:
            return Number(number * factor, end + 1)
    return Number(number, end)


def _value_of_figure(text: str, words: NumberWords) -> Fraction | None:
    """The value of `1,250`, `0.5`; None for what is neither, such as a date with points."""
    group = re.escape(words.group)
    if re.fullmatch(rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+", text):
        return Fraction(text.replace(words.group, ""))
    if re.fullmatch(rf"\d+(?:[{re.escape(words.decimal)}]\d+)?", text):
        return Fraction(text.replace(",", "."))
    return None


def _with_decimals(whole: Number, tokens: Sequence[Token], words: NumberWords) -> Number | None:
    """`whole` with what follows its "point": digit by digit, or one number below 100."""
    point = whole.end
    if point >= len(tokens) or tokens[point].text not in words.point:
        return None
    digits, end = "", point + 1
    while (digit := read_digit(tokens, end, words)) is not None:
        digits, end = digits + digit, end + 1
    if digits:
        return Number(whole.value + Fraction(int(digits), 10 ** len(digits)), end)
    rest = _figure(tokens, end, words) or _below_hundred(tokens, end, words)
    if rest is None or rest.value.denominator != 1:
        return None
    return Number(whole.value + rest.value / 10 ** len(str(rest.value)), rest.end)


def _whole(tokens: Sequence[Token], index: int, words: NumberWords) -> Number | None:
    """Millions, thousands and the rest, each of which may be missing."""
    total, end, found = Fraction(0), index, False
    for multiplier, factor in ((words.million, 1_000_000), (words.thousand, 1_000)):
        part = _scaled(tokens, _after_joiner(tokens, end, words) if found else end, multiplier, words)
        if part is not None:
            total, end, found = total + part.value * factor, part.end, True
    rest = _below_thousand(tokens, _after_joiner(tokens, end, words) if found else end, words)
    if rest is not None:
        return Number(total + rest.value, rest.end)
    return Number(total, end) if found else None


def _scaled(
    tokens: Sequence[Token], index: int, multiplier: frozenset[str], words: NumberWords
) -> Number | None:
    """What stands before a word of `multiplier`, which follows it; nothing or an article is 1."""
    count = _below_thousand(tokens, index, words)
    if count is None:
        article = index < len(tokens) and tokens[index].text in words.one
        count = Number(Fraction(1), index + 1 if article else index)
    if count.end < len(tokens) and tokens[count.end].text in multiplier:
        return Number(count.value, count.end + 1)
    return None


def _below_thousand(tokens: Sequence[Token], index: int, words: NumberWords) -> Number | None:
    if index >= len(tokens):
        return None
    hundreds = words.hundreds.get(tokens[index].text)
    end = index + 1
    if hundreds is None and words.hundred:
        count = _below_hundred(tokens, index, words)
        if count is None and tokens[index].text in words.one:
            count = Number(Fraction(1), index + 1)
        if count is not None and count.end < len(tokens) and tokens[count.end].text in words.hundred:
            hundreds, end = int(count.value) * 100, count.end + 1
    if hundreds is None:
        return _below_hundred(tokens, index, words)
    rest = _below_hundred(tokens, _after_joiner(tokens, end, words), words)
    return Number(Fraction(hundreds), end) if rest is None else Number(hundreds + rest.value, rest.end)


def _after_joiner(tokens: Sequence[Token], index: int, words: NumberWords) -> int:
    joined = words.joiner and index < len(tokens) and tokens[index].text == words.joiner
    return index + 1 if joined else index


def _below_hundred(tokens: Sequence[Token], index: int, words: NumberWords) -> Number | None:
    if index >= len(tokens):
        return None
    text = tokens[index].text
    for table in (words.digits, words.below_hundred):
        if text in table:
            return Number(Fraction(table[text]), index + 1)
    if text not in words.tens:
        return None
    end = index + 1
    digit_at = end
    if words.tens_joiner:
        joined = end < len(tokens) and tokens[end].text == words.tens_joiner
        digit_at = end + 1 if joined else len(tokens)
    digit = _single(tokens[digit_at].text, words) if digit_at < len(tokens) else 0
    if digit:
        return Number(Fraction(words.tens[text] + digit), digit_at + 1)
    return Number(Fraction(words.tens[text]), end)


def _single(word: str, words: NumberWords) -> int:
    """The value of a word for 1 to 9, such as `uno` and its short form `un`; 0 for any other."""
    value = words.digits.get(word, words.below_hundred.get(word, 0))
    return value if value < 10 else 0
