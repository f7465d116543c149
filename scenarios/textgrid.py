"""TextGrids, Praat's files of who says what when: text -> tiers of intervals. Pure.

Long and short text files, in UTF-8 or UTF-16; tiers of points are left out. The format is in Praat's manual,
"TextGrid file formats".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scenarios.errors import ScenarioError

_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|<(exists|absent)>|(?<![\w.])([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?![\w.\]])'
)
"""A quoted text, a flag or a number. Words such as `xmin =` and indices such as `[1]` are comments to Praat as well."""

_INTERVALS = "IntervalTier"
_POINTS = "TextTier"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A stretch of time and what stands there."""

    start_s: float
    end_s: float
    text: str
    """Blank between utterances."""


@dataclass(frozen=True, kw_only=True)
class Tier:
    """One row of intervals."""

    name: str
    intervals: tuple[Interval, ...]


def decode_textgrid(content: bytes) -> str:
    """The text of a file, in whichever encoding Praat wrote it.

    Raises:
        ScenarioError: neither UTF-8 nor UTF-16.
    """
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ScenarioError(f"expected a TextGrid in UTF-8 or UTF-16, got: {error}") from error


def read_textgrid(text: str) -> tuple[Tier, ...]:
    """The interval tiers of a TextGrid.

    Raises:
        ScenarioError: it is none, or ends too early.
    """
    values = _values(text)
    try:
        if (next(values), next(values)) != ("ooTextFile", "TextGrid"):
            raise ScenarioError("expected a TextGrid, got another file")
        next(values), next(values)  # from when to when
        if next(values) != "exists":
            return ()
        tiers = [_tier(values) for _ in range(_count(values))]
    except StopIteration as error:
        raise ScenarioError("expected a whole TextGrid, got its beginning") from error
    return tuple(tier for tier in tiers if tier is not None)


def _values(text: str) -> Iterator[str | float]:
    for match in _TOKEN.finditer(text):
        quoted, flag, number = match.groups()
        if quoted is not None:
            yield quoted.replace('""', '"')
        else:
            yield flag or float(number)


def _tier(values: Iterator[str | float]) -> Tier | None:
    """The next tier; None for one of points."""
    kind, name = next(values), next(values)
    if kind not in (_INTERVALS, _POINTS) or not isinstance(name, str):
        raise ScenarioError(f"expected {_INTERVALS} or {_POINTS}, got {kind!r}")
    next(values), next(values)
    count = _count(values)
    if kind == _POINTS:
        for _ in range(2 * count):
            next(values)
        return None
    return Tier(name=name, intervals=tuple([_interval(values) for _ in range(count)]))


def _interval(values: Iterator[str | float]) -> Interval:
    start_s, end_s, text = next(values), next(values), next(values)
    if not isinstance(start_s, float) or not isinstance(end_s, float) or not isinstance(text, str):
        raise ScenarioError(f"expected two times and a text, got {start_s!r}, {end_s!r}, {text!r}")
    if not 0.0 <= start_s <= end_s:
        raise ScenarioError(f"expected an interval that ends after it begins, got {start_s} to {end_s}")
    return Interval(start_s=start_s, end_s=end_s, text=" ".join(text.split()))


def _count(values: Iterator[str | float]) -> int:
    number = next(values)
    if not isinstance(number, float) or number != int(number) or number < 0:
        raise ScenarioError(f"expected a count, got {number!r}")
    return int(number)
