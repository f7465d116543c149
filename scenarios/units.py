"""Amounts as scenario files write them: always with their unit, so that nobody has to guess it. Pure.

Duration   600ms   2.5s   30min
Gain       -8dB
Level      -26dBFS
Share      20%
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from interpreter.yaml_file import Spelt

_NUMBER = r"-?(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,6})?"


class Amount(Spelt):
    """A number and its unit, in a range."""

    factors: ClassVar[Mapping[str, float]]
    """Unit -> what one of it is, in the class's own."""

    limits: ClassVar[tuple[float, float]]
    """The least and the greatest, in the class's own unit."""

    words: ClassVar[str]
    """What is expected, for messages."""

    @classmethod
    def pattern(cls) -> str:
        """A regular expression of what is written, but for the range."""
        return f"^({_NUMBER})({'|'.join(cls.factors)})$"

    @classmethod
    def number(cls, text: str) -> float:
        """What `text` says, in the class's own unit.

        Raises:
            ValueError: what was expected.
        """
        match = re.fullmatch(cls.pattern(), text)
        number = float(match[1]) * cls.factors[match[2]] if match else float("nan")
        if not cls.limits[0] <= number <= cls.limits[1]:
            raise ValueError(cls.words)
        return number


@dataclass(frozen=True, order=True)
class Duration(Amount):
    """A stretch of time; a negative one lies before what it is counted from."""

    factors = {"ms": 0.001, "s": 1.0, "min": 60.0}
    limits = (-60.0, 7200.0)
    words = "a duration with its unit, such as 600ms, 2.5s or 30min"

    s: float
    """Seconds."""

    @classmethod
    def read(cls, text: str) -> Self:
        """See `Spelt`."""
        return cls(cls.number(text))


@dataclass(frozen=True, order=True)
class Gain(Amount):
    """How much louder or softer than everybody speaks."""

    factors = {"dB": 1.0}
    limits = (-60.0, 20.0)
    words = "-60 to 20 decibels, such as -8dB"

    db: float

    @classmethod
    def read(cls, text: str) -> Self:
        """See `Spelt`."""
        return cls(cls.number(text))


@dataclass(frozen=True, order=True)
class Level(Amount):
    """RMS level against full scale."""

    factors = {"dBFS": 1.0}
    limits = (-90.0, -3.0)
    words = "-90 to -3 decibels against full scale, such as -26dBFS"

    dbfs: float

    @classmethod
    def read(cls, text: str) -> Self:
        """See `Spelt`."""
        return cls(cls.number(text))


@dataclass(frozen=True, order=True)
class Share(Amount):
    """A part of a whole."""

    factors = {"%": 0.01}
    limits = (0.0, 1.0)
    words = "0 to 100 per cent, such as 20%"

    of_one: float
    """In [0, 1]."""

    @classmethod
    def read(cls, text: str) -> Self:
        """See `Spelt`."""
        return cls(cls.number(text))
