"""What the slots of the rules stand for: numbers, measures, dates and hours. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from interpreter.facts_guard import measures
from interpreter.facts_guard.lexicon import Lexicon
from interpreter.facts_guard.numbers import read_amount, read_digit, read_more, read_number
from interpreter.facts_guard.patterns import Reader
from interpreter.facts_guard.tokens import Token

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_YEARS = range(1900, 2101)
_LEAST_DIGITS = 3
"""So many single digits in a row are one number, such as that of a telephone."""

_Tokens = Sequence[Token]
_Found = tuple[str, int] | None


def readers_of(lexicon: Lexicon) -> Mapping[str, Reader]:
    """A reader for every slot that the rules of `lexicon` may name."""
    named: Mapping[str, Callable[[Lexicon, _Tokens, int], _Found]] = {
        "number": _number,
        "digits": _digits,
        "quantity": _quantity,
        "stretch": _stretch,
        "times": _times,
        "several": _several,
        "pressure": _pressure,
        "mmhg": _mmhg,
        "day": _day,
        "dayth": _dayth,
        "mm": _month_number,
        "monthno": partial(_figures, range(1, 13)),
        "year": _year,
        "hour": _hour,
        "minute": _minute,
    }
    bound: dict[str, Reader] = {name: partial(_phrase, name, lexicon) for name in lexicon.tables}
    bound |= {name: partial(reader, lexicon) for name, reader in named.items()}
    return {**bound, "span": lexicon.spans.at, "any": _any, "end": partial(_end, lexicon)}


def unit_at(lexicon: Lexicon, tokens: _Tokens, index: int) -> bool:
    """Whether a unit or a part of the body begins at `index`, so that a number before it counts those."""
    return any(table.at(tokens, index) for table in (lexicon.units, lexicon.spans, lexicon.tables["body"]))


def _phrase(name: str, lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    return lexicon.tables[name].at(tokens, index)


def _any(tokens: _Tokens, index: int) -> _Found:
    """Any word."""
    return (tokens[index].text, index + 1) if index < len(tokens) and tokens[index].is_word else None


def _end(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    """Nothing, where the text ends or a sign or a conjunction follows."""
    if index == len(tokens) or tokens[index].is_sign or tokens[index].text in lexicon.negation.breaks:
        return "", index
    return ("", index) if tokens[index].text in lexicon.negation.joins else None


def _number(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    number = read_number(tokens, index, lexicon.numbers)
    if number is None or _belongs_to_word(tokens, index):
        return None
    if number.end == index + 1 and tokens[index].text in lexicon.numbers.pronouns:
        return None
    return measures.shown(number.value), number.end


def _belongs_to_word(tokens: _Tokens, index: int) -> bool:
    """Whether a figure is part of a name such as B12."""
    return index > 0 and tokens[index - 1].is_word and tokens[index - 1].end == tokens[index].start


def _digits(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    """Single digits in a row, or figures with a hyphen or nothing between them as in telephone numbers."""
    digits, end = "", index
    while (digit := read_digit(tokens, end, lexicon.numbers)) is not None:
        digits, end = digits + digit, end + 1
    if len(digits) >= _LEAST_DIGITS:
        return digits, end
    groups, end = [], index
    while end < len(tokens) and tokens[end].text.isdecimal():
        groups.append(tokens[end].text)
        end += 1
        hyphen = end + 1 < len(tokens) and tokens[end].text == "-" and tokens[end + 1].text.isdecimal()
        end += 1 if hyphen else 0
    long = len(groups) > 1 and len("".join(groups)) >= 2 * _LEAST_DIGITS
    return ("".join(groups), end) if long else None


def _quantity(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    counted = _counted(lexicon, tokens, index, lexicon.units.at)
    if counted is None:
        return None
    amount, unit, end = counted
    return measures.quantity(amount, unit), end


def _stretch(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    counted = _counted(lexicon, tokens, index, lexicon.spans.at)
    if counted is None:
        return None
    amount, unit, end = counted
    return measures.stretch(amount, unit), end


def _counted(
    lexicon: Lexicon, tokens: _Tokens, index: int, unit_of: Callable[[_Tokens, int], _Found]
) -> tuple[measures.Amount, str, int] | None:
    """An amount and its unit: `two and a half hours`, `two hours and a half`."""
    read = read_amount(tokens, index, lexicon.numbers)
    if read is None:
        return None
    amount, end = read
    between = lexicon.numbers.between.at(tokens, end)
    end = between[1] if between else end
    unit = unit_of(tokens, end)
    if unit is None or (
        tokens[index].text in lexicon.numbers.one and _needs_number(unit, tokens, end, lexicon)
    ):
        return None
    more, end = read_more(tokens, unit[1], lexicon.numbers)
    if len(amount) == 1 and more < 1:
        amount = (amount[0] + more,)
    return (amount, unit[0], end) if all(amount) else None


def _needs_number(unit: tuple[str, int], tokens: _Tokens, index: int, lexicon: Lexicon) -> bool:
    """Whether an article before the unit at `index` is no 1: "a foot", "a second", and the letter of "a g"."""
    return unit[0] in lexicon.no_article or len(tokens[index].text) == 1


def _times(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    """How often: `2` of "twice", `2-3` of "two or three times"."""
    word = tokens[index].text if index < len(tokens) else ""
    if word in lexicon.times_words:
        return str(lexicon.times_words[word]), index + 1
    read = read_amount(tokens, index, lexicon.numbers)
    if read is None or read[1] >= len(tokens) or tokens[read[1]].text not in lexicon.times_nouns:
        return None
    return measures.shown_amount(read[0]), read[1] + 1


def _several(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    """How often, where it is more than once."""
    found = _times(lexicon, tokens, index)
    return None if found is None or found[0] == "1" else found


def _pressure(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    """A blood pressure in mmHg; `one forty` is 140, and 14 are the centimetres of mercury some countries say."""
    number = read_number(tokens, index, lexicon.numbers)
    if number is None or number.value.denominator != 1:
        return None
    value, end = int(number.value), number.end
    if value in (1, 2):
        rest = read_number(tokens, end, lexicon.numbers)
        if rest is None or not 10 <= rest.value <= 99 or tokens[index].is_figure:
            return None
        value, end = 100 * value + int(rest.value), rest.end
    value = 10 * value if value < 30 else value
    return (str(value), end) if 30 <= value <= 300 else None


def _mmhg(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    unit = lexicon.units.at(tokens, index)
    return unit if unit is not None and unit[0] == "mmhg" else None


def _day(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    ordinal = _dayth(lexicon, tokens, index)
    return ordinal or _in_range(lexicon, tokens, index, range(1, 32))


def _dayth(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    found = lexicon.tables["ordinal"].at(tokens, index)
    return (f"{int(found[0]):02d}", found[1]) if found else None


def _month_number(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    found = lexicon.tables["month"].at(tokens, index)
    return (f"{_MONTHS.index(found[0]) + 1:02d}", found[1]) if found else None


def _in_range(lexicon: Lexicon, tokens: _Tokens, index: int, allowed: range) -> _Found:
    number = read_number(tokens, index, lexicon.numbers)
    if number is None or number.value.denominator != 1 or int(number.value) not in allowed:
        return None
    return f"{int(number.value):02d}", number.end


def _figures(allowed: range, lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    in_figures = index < len(tokens) and tokens[index].is_figure
    return _in_range(lexicon, tokens, index, allowed) if in_figures else None


def _year(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    found = _in_range(lexicon, tokens, index, _YEARS)
    century = _in_range(lexicon, tokens, index, range(19, 21)) if lexicon.numbers.pairs_as_years else None
    if found is None and century is not None:
        rest = _in_range(lexicon, tokens, century[1], range(10, 100)) or _minute(lexicon, tokens, century[1])
        found = (century[0] + rest[0], rest[1]) if rest else None
    return None if found is None or unit_at(lexicon, tokens, found[1]) else found


def _hour(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    found = _in_range(lexicon, tokens, index, range(25))
    if found is None or unit_at(lexicon, tokens, found[1]):
        return None
    counted = found[1] < len(tokens) and tokens[found[1]].text in lexicon.not_hours
    return None if counted else found


def _minute(lexicon: Lexicon, tokens: _Tokens, index: int) -> _Found:
    """`30`, or `05` of "oh five"."""
    digits = [read_digit(tokens, index + n, lexicon.numbers) for n in (0, 1)]
    if digits[0] == "0" and digits[1] is not None:
        return f"0{digits[1]}", index + 2
    return _in_range(lexicon, tokens, index, range(60))


def clock(values: Mapping[str, str], *, before: bool) -> str:
    """A time of day from the slots hour, minute(s), half or meridiem: `20:00`, or `8:00/20:00` when half is not said.

    Args:
        values: of the slots of a rule.
        before: whether the minutes are to be taken off: `quarter to nine`.
    """
    minutes = int(values.get("minute", values.get("minutes", "0")))
    half = values.get("half", values.get("meridiem"))
    hour = int(values["hour"])
    known = half is not None or hour > 12 or hour == 0
    if half == "am":
        hour %= 12
    elif half == "pm":
        hour = hour % 12 + 12
    elif half == "night":
        hour = 0 if hour == 12 else hour if hour <= 4 else hour % 12 + 12
    of_day = (60 * hour - minutes if before else 60 * hour + minutes) % 1440
    hour, minutes = divmod(of_day, 60)
    if known:
        return f"{hour:02d}:{minutes:02d}"
    return f"{hour % 12}:{minutes:02d}/{hour % 12 + 12}:{minutes:02d}"
