"""Frozen dataclasses as JSON and back, by their declared types. Pure.

float     rounded to the microsecond, so that the same value is the same text
enum      its value; a flag the names of its members in order
tuple     a list
Mapping   an object
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

from scenarios.errors import RunLogError

DECIMALS = 6

_T = TypeVar("_T")


def encoded(value: object) -> object:
    """`value` as what `json.dumps` takes."""
    if isinstance(value, enum.Flag):
        return [str(one.name) for one in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0  # never -0.0, which is the same time as 0.0 and another text
    if is_dataclass(value):
        return {one.name: encoded(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encoded(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [encoded(one) for one in value]
    return value


def decoded(kind: type[_T], text: str, *, schema: str, beside: Sequence[str] = ()) -> _T:
    """The dataclass of a text.

    Args:
        kind: the dataclass.
        text: a JSON object with its fields, and `schema` beside them.
        schema: that is expected.
        beside: fields that are left at their default, whatever the text says of them.

    Raises:
        RunLogError: anything else.
    """
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise RunLogError(f"expected JSON, got {error}") from None
    if not isinstance(whole, dict):
        raise RunLogError(f"expected an object, got {_named(whole)}")
    found = whole.pop("schema", None)
    if found != schema:
        raise RunLogError(f"expected the schema {schema}, got {found!r}")
    for name in beside:
        whole.pop(name, None)
    value: _T = _value(kind, whole, kind.__name__)
    return value


def _value(kind: Any, value: object, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is types.UnionType or origin is typing.Union:
        return None if value is None else _value(typing.get_args(kind)[0], value, where)
    if origin is tuple:
        inner = typing.get_args(kind)[0]
        items = _checked(list, value, where)
        return tuple(_value(inner, one, f"{where}[{n}]") for n, one in enumerate(items))
    if origin is Mapping:
        inner = typing.get_args(kind)[1]
        entries = _checked(dict, value, where)
        return {key: _value(inner, one, f"{where}.{key}") for key, one in entries.items()}
    if is_dataclass(kind):
        return _dataclass(kind, _checked(dict, value, where), where)
    if issubclass(kind, enum.Enum):
        return _member(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _checked(kind, value, where)


def _dataclass(kind: Any, entries: dict[str, object], where: str) -> Any:
    hints = _hints(kind)
    declared = {one.name: one for one in fields(kind)}
    for name in entries:
        if name not in declared:
            raise RunLogError(f"{where}: expected one of {', '.join(declared)}, got {name!r}")
    for name, one in declared.items():
        if name not in entries and one.default is MISSING and one.default_factory is MISSING:
            raise RunLogError(f"{where}: expected {name}, got none")
    return kind(**{name: _value(hints[name], one, f"{where}.{name}") for name, one in entries.items()})


def _member(kind: type[enum.Enum], value: object, where: str) -> enum.Enum:
    try:
        if issubclass(kind, enum.Flag):
            flag = kind(0)
            for name in _checked(list, value, where):
                flag |= kind[name]
            return flag
        return kind(value)
    except (KeyError, ValueError):
        known = [str(one.name if issubclass(kind, enum.Flag) else one.value) for one in kind]
        raise RunLogError(f"{where}: expected {', '.join(known)}, got {value!r}") from None


def _checked(kind: type[_T], value: object, where: str) -> _T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RunLogError(f"{where}: expected {kind.__name__}, got {_named(value)}")
    return value


def _named(value: object) -> str:
    return "null" if value is None else f"{type(value).__name__} {value!r}"[:80]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
