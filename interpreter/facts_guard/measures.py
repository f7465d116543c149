"""Numbers and units in one form: equal by definition is equal as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

_FAMILIES: tuple[tuple[tuple[str, int], ...], ...] = (
    (("mcg", 1), ("mg", 1_000), ("g", 1_000_000), ("kg", 1_000_000_000)),
    (("ml", 1), ("l", 1_000)),
    (("mm", 1), ("cm", 10), ("m", 1_000)),
)
"""Units of one dimension, smallest first, in multiples of the smallest."""

_TIMES: tuple[tuple[tuple[str, int], ...], ...] = (
    (("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400), ("week", 604_800)),
    (("month", 1), ("year", 12)),
)
"""A month has no number of days."""

Amount = tuple[Fraction, ...]
"""One number, or the two of a range."""


def shown(number: Fraction) -> str:
    """`1250`, `0.5`: at most four places after the point."""
    if number.denominator == 1:
        return str(number.numerator)
    return f"{float(number):.4f}".rstrip("0").rstrip(".")


def shown_amount(amount: Amount) -> str:
    """`2` or `2-3`."""
    return "-".join(map(shown, amount))


def quantity(amount: Amount, unit: str) -> str:
    """`500 mcg` for half a milligram: in the largest unit of which there is one or more."""
    for family in _FAMILIES:
        sizes = dict(family)
        if unit in sizes:
            least = min(amount) * sizes[unit]
            unit_shown = next((name for name, size in reversed(family) if least >= size), family[0][0])
            return f"{shown_amount(_scaled(amount, sizes[unit], sizes[unit_shown]))} {unit_shown}"
    return f"{shown_amount(amount)} {unit}"


def stretch(amount: Amount, unit: str) -> str:
    """`2 week` for 14 days: in the largest unit that divides it."""
    for family in _TIMES:
        sizes = dict(family)
        if unit in sizes:
            for name, size in reversed(family):
                scaled = _scaled(amount, sizes[unit], size)
                if all(number.denominator == 1 and number for number in scaled):
                    return f"{shown_amount(scaled)} {name}"
    return f"{shown_amount(amount)} {unit}"


def _scaled(amount: Sequence[Fraction], size: int, target: int) -> Amount:
    return tuple(number * size / target for number in amount)
