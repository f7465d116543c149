"""Reads named values out of parsed JSON, or says in words what is wrong with them.

Used where something comes from outside: a message on a socket, the options of an engine, a script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TypeVar

from duplex_model.errors import DuplexModelError

T = TypeVar("T")


class Fields:
    """One JSON object, read field by field and closed with `end`, which refuses fields nobody asked for.

    Every reader takes the key and, where the field may be missing or null, a `default`.
    """

    def __init__(self, values: object, where: str, error: type[DuplexModelError]) -> None:
        """Opens `values`.

        Args:
            values: what the JSON parser gave.
            where: how messages call this object, such as `cue 3`.
            error: what is raised for anything wrong.

        Raises:
            DuplexModelError: `error`, when `values` is not an object with text keys.
        """
        self._where = where
        self._error = error
        self._known: set[str] = set()
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise error(f"{where}: expected an object, got {_shown(values)}")
        self._values: Mapping[str, object] = values

    def text(self, key: str, default: str | None = None) -> str:
        """A string of characters that UTF-8 can carry."""
        value = self._take(key, default)
        if not isinstance(value, str) or not _encodable(value):
            raise self._wrong(key, "text", value)
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in [low, high]."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}", value)
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number in [low, high]."""
        value = self._take(key, default)
        valid = isinstance(value, int | float) and not isinstance(value, bool)
        if not valid or not isfinite(value) or not low <= value <= high:  # type: ignore[arg-type, operator]
            raise self._wrong(key, f"a number from {low:g} to {high:g}", value)
        return float(value)  # type: ignore[arg-type]

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def items(self, key: str, default: Sequence[object] | None = None) -> Sequence[object]:
        """A list of anything."""
        value = self._take(key, default)
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self._wrong(key, "a list", value)
        return value

    def mapping(self, key: str, default: Mapping[str, object] | None = None) -> Mapping[str, object]:
        """An object of anything."""
        value = self._take(key, default)
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise self._wrong(key, "an object", value)
        return value

    def has(self, key: str) -> bool:
        """Whether the field is there and not null; it need not be read then."""
        self._known.add(key)
        return self._values.get(key) is not None

    def end(self) -> None:
        """Refuses fields that were not asked for, naming those that exist."""
        unknown = sorted(set(self._values) - self._known)
        if unknown:
            known = ", ".join(sorted(self._known)) or "none"
            raise self._error(f"{self._where}: expected only the fields {known}, got {unknown[0]!r}")

    def _take(self, key: str, default: T | None) -> object:
        self._known.add(key)
        value = self._values.get(key)
        return default if value is None else value

    def _wrong(self, key: str, expected: str, value: object) -> DuplexModelError:
        return self._error(f"{self._where}: expected {key} to be {expected}, got {_shown(value)}")


def _encodable(text: str) -> bool:
    """False for lone surrogates, which JSON can spell and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(value: object) -> str:
    return "nothing" if value is None else ascii(value)[:80]
