"""The facts of one text against those of its rendering. Pure.

Two facts agree when their values are equal, or when one says less and nothing else: `20:00` and `8:00/20:00`, `left`
and `left knee`, `2` and `2 tablet`. Never so where what is left out changes the fact: `50` is not `50 mg`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from interpreter.facts_guard.facts import Difference, DifferenceKind, Fact, FactKind
from interpreter.facts_guard.negation import ANSWER, OTHER

_COUNTED_UNITS = frozenset({"tablet", "capsule", "drop", "puff", "time", "dose"})
"""Units that may be left out where it is clear what is counted."""

_ALIKE = frozenset(
    {
        frozenset({"evening", "afternoon"}),  # Spanish has one word, tarde, from noon to dusk
        frozenset({"evening", "night"}),  # and noche from dusk on
        frozenset({"per day", "1/day"}),
        frozenset({"per week", "1/week"}),
        frozenset({"per month", "1/month"}),
    }
)

_SCALES = ("degree", "celsius", "fahrenheit")
_PART_HOURS = {
    "morning": range(0, 13),
    "afternoon": range(12, 21),
    "evening": range(17, 24),
    "night": (*range(18, 24), *range(0, 6)),
}

_AMOUNTS = (FactKind.QUANTITY, FactKind.NUMBER)
_TOLD_APART_BY = (FactKind.TIME, FactKind.DRUG, FactKind.SIDE, FactKind.DATE)
"""What amounts of one sentence belong to."""

_RELATED = ({FactKind.QUANTITY, FactKind.NUMBER}, {FactKind.DURATION, FactKind.DATE, FactKind.TIME})
"""Kinds of which one may have become the other by mistake."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What agrees and what does not."""

    matches: tuple[tuple[Fact, Fact], ...]
    """Heard and spoken facts that agree."""

    differences: tuple[Difference, ...]
    """Everything else that matters."""


def compare(heard: Sequence[Fact], spoken: Sequence[Fact]) -> Comparison:
    """Pairs the facts of two texts that say the same.

    A fact said again, a clock time's "in the morning", and the "no" of an answer that is denied anyway, may be missing
    or added without harm.
    """
    matches, left, new = pair(heard, spoken)
    matched_heard, matched_spoken = [one for one, _ in matches], [other for _, other in matches]
    missing = [fact for fact in left if not is_implied(fact, matched_heard, spoken)]
    added = [fact for fact in new if not is_implied(fact, matched_spoken, heard)]
    found = [*differences(missing, added), *exchanged(heard, spoken)]
    return Comparison(matches=tuple(matches), differences=tuple(found))


def pair(
    heard: Sequence[Fact], spoken: Sequence[Fact]
) -> tuple[list[tuple[Fact, Fact]], list[Fact], list[Fact]]:
    """The pairs that agree, the equal ones before those that are only alike, and what is left of either side."""
    matches: list[tuple[Fact, Fact]] = []
    left, new = list(heard), list(spoken)
    for agree in (_equal, agrees):
        for fact in list(left):
            other = next((one for one in new if agree(fact, one)), None)
            if other is not None:
                matches.append((fact, other))
                left.remove(fact)
                new.remove(other)
    left, new = _without_regrouped(left, new, matches)
    return matches, left, new


def agrees(one: Fact, other: Fact) -> bool:
    """Whether two facts may be the same, one perhaps saying less."""
    if one.kind is not other.kind:
        return _counts_alike(one, other) or _counts_alike(other, one)
    a, b = one.value, other.value
    if a == b or frozenset({a, b}) in _ALIKE:
        return True
    return (rule := _LOOSER.get(one.kind)) is not None and rule(a, b)


def is_implied(fact: Fact, matched: Sequence[Fact], others: Sequence[Fact]) -> bool:
    """Whether `fact`, which has no partner, says nothing that is not there anyway.

    Args:
        fact: of one side.
        matched: facts of the same side that have partners.
        others: facts of the other side.
    """
    if any(agrees(fact, one) for one in matched):
        return True
    if fact.kind is FactKind.NEGATION and fact.value == ANSWER:
        return any(_denies(one) for one in others)
    hours = _PART_HOURS.get(fact.value, ()) if fact.kind is FactKind.TIME else ()
    return any(_hour_of(one) in hours for one in others)


def differences(missing: Sequence[Fact], added: Sequence[Fact]) -> list[Difference]:
    """Facts without partners, those that may have become each other paired as changed."""
    found: list[Difference] = []
    rest = list(added)
    for same_kind in (True, False):
        for fact in list(missing):
            changed = next((one for one in rest if _may_become(fact, one, same_kind=same_kind)), None)
            if changed is not None and not any(one.heard is fact for one in found):
                rest.remove(changed)
                found.append(Difference(kind=DifferenceKind.CHANGED, heard=fact, spoken=changed))
    changed_facts = [one.heard for one in found]
    found += [
        Difference(kind=DifferenceKind.MISSING, heard=fact, spoken=None)
        for fact in missing
        if not any(fact is one for one in changed_facts)
    ]
    return found + [Difference(kind=DifferenceKind.ADDED, heard=None, spoken=fact) for fact in rest]


def exchanged(heard: Sequence[Fact], spoken: Sequence[Fact]) -> list[Difference]:
    """Amounts that changed places: "two in the morning and three at night" for three and two.

    Args:
        heard: facts of one text, whose places count its signs.
        spoken: facts of another.
    """
    found = []
    for kind in _TOLD_APART_BY:
        ours, theirs = _amounts_by(kind, heard), _amounts_by(kind, spoken)
        if _values(ours) == _values(theirs):  # the same amounts, so that only their places may differ
            found += [
                Difference(kind=DifferenceKind.CHANGED, heard=amount, spoken=theirs[one])
                for one, amount in ours.items()
                if one in theirs and theirs[one].value != amount.value
            ]
    return found


def _amounts_by(kind: FactKind, facts: Sequence[Fact]) -> dict[str, Fact]:
    """The amount that goes with each fact of `kind`, where the two take turns: "two at noon, three at night"."""
    turns = sorted((one for one in facts if one.kind in (kind, *_AMOUNTS)), key=lambda one: one.start)
    amounts = [one for one in turns if one.kind in _AMOUNTS]
    others = [one for one in turns if one.kind is kind]
    take_turns = len(amounts) == len(others) and all(
        (one.kind is kind) != (other.kind is kind) for one, other in pairwise(turns)
    )
    return {other.value: one for one, other in zip(amounts, others, strict=True)} if take_turns else {}


def _values(amounts: Mapping[str, Fact]) -> list[str]:
    return sorted(amount.value for amount in amounts.values())


def _may_become(one: Fact, other: Fact, *, same_kind: bool) -> bool:
    if same_kind:
        return one.kind is other.kind
    return any({one.kind, other.kind} <= kinds for kinds in _RELATED)


def _equal(one: Fact, other: Fact) -> bool:
    return one.kind is other.kind and one.value == other.value


def _counts_alike(number: Fact, counted: Fact) -> bool:
    """Whether a plain number is the number of `counted`, whose unit goes without saying: pieces, years of age."""
    count, _, unit = counted.value.rpartition(" ")
    if number.kind is not FactKind.NUMBER or number.value != count:
        return False
    age = counted.kind is FactKind.DURATION and unit == "year"
    return age or (counted.kind is FactKind.QUANTITY and unit in _COUNTED_UNITS)


def _without_regrouped(
    left: list[Fact], new: list[Fact], matches: list[tuple[Fact, Fact]]
) -> tuple[list[Fact], list[Fact]]:
    """`left` and `new` without plain numbers that are the same digits in other groups, as in telephone numbers."""
    ours = [fact for fact in left if fact.kind is FactKind.NUMBER]
    theirs = [fact for fact in new if fact.kind is FactKind.NUMBER]
    digits = "".join(fact.value for fact in ours)
    if not ours or digits != "".join(fact.value for fact in theirs):
        return left, new
    matches += [(fact, theirs[0]) for fact in ours] + [(ours[0], fact) for fact in theirs[1:]]
    return [fact for fact in left if fact not in ours], [fact for fact in new if fact not in theirs]


def _denies(fact: Fact) -> bool:
    return fact.kind is FactKind.NEGATION or (fact.kind is FactKind.ALLERGY and fact.value.startswith("no "))


def _hour_of(fact: Fact) -> int | None:
    """Hour of a clock time of which the half is known."""
    hour, colon, _ = fact.value.partition(":")
    return int(hour) if fact.kind is FactKind.TIME and colon and "/" not in fact.value else None


def _same_hour(one: str, other: str) -> bool:
    """`20:00` and `8:00/20:00`, `since 20:00` and `since 8:00/20:00`."""
    *before, clock = one.split(" ")
    *before_other, clock_other = other.split(" ")
    either = {_padded(hour) for hour in clock.split("/")} & {_padded(hour) for hour in clock_other.split("/")}
    return before == before_other and ":" in clock and bool(either)


def _padded(clock: str) -> str:
    return clock if clock[1:2] != ":" else f"0{clock}"


def _same_degrees(one: str, other: str) -> bool:
    number, _, scale = one.rpartition(" ")
    other_number, _, other_scale = other.rpartition(" ")
    scales = {scale, other_scale}
    return number == other_number and "degree" in scales and scales <= set(_SCALES)


def _same_side(one: str, other: str) -> bool:
    side, _, part = one.partition(" ")
    other_side, _, other_part = other.partition(" ")
    return side == other_side and not (part and other_part)


def _same_denial(one: str, other: str) -> bool:
    return OTHER in (one, other) and ANSWER not in (one, other)


_LOOSER: Mapping[FactKind, Callable[[str, str], bool]] = {
    FactKind.TIME: _same_hour,
    FactKind.DURATION: _same_hour,
    FactKind.QUANTITY: _same_degrees,
    FactKind.SIDE: _same_side,
    FactKind.NEGATION: _same_denial,
}
