"""What changed between two values of `snapshot`, as few operations on their JSON form. Pure.

    {"op": "set",    "path": ["people", "3f2a", "language"], "value": "es"}
    {"op": "remove", "path": ["people", "3f2a"]}
    {"op": "append", "path": ["log"], "drop": 1, "values": [{...}]}     drop from the start, then add at the end

A path names members from the root; an empty one is the whole. Dataclasses are compared field by field and mappings key
by key, down to where something differs; what is the same object is not looked into. Tuples of numbered items grow at
the end and are forgotten from the start, and an item never changes; any other tuple is one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Path = tuple[str, ...]


@dataclass(frozen=True)
class Set:
    """This member is now that."""

    path: Path
    value: object


@dataclass(frozen=True)
class Remove:
    """This member of a mapping is gone."""

    path: Path


@dataclass(frozen=True)
class Append:
    """A list lost its first `drop` items and gained `values`."""

    path: Path
    values: Sequence[object]
    drop: int = 0


Op = Set | Remove | Append


def difference(old: object, new: object, path: Path = ()) -> Iterator[Op]:
    """The operations that make `new` of `old`, both of one type of `snapshot`."""
    if old is new:
        return
    if is_dataclass(new) and type(old) is type(new):
        for name in _names(type(new)):
            yield from difference(getattr(old, name), getattr(new, name), (*path, name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _of_mappings(old, new, path)
    elif isinstance(old, tuple) and isinstance(new, tuple) and hasattr((new or old or ("",))[0], "n"):
        yield from _of_numbered(old, new, path)
    elif old != new:
        yield Set(path, new)


def to_json(value: object) -> Json:
    """The JSON form of a value of `snapshot`, or of a part of one."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Enum):
        return to_json(value.value)
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(one) for one in value]
    return {name: to_json(getattr(value, name)) for name in _names(type(value))}


def op_to_json(op: Op) -> dict[str, Json]:
    """The JSON form of an operation."""
    path: list[Json] = list(op.path)
    match op:
        case Set(value=value):
            return {"op": "set", "path": path, "value": to_json(value)}
        case Remove():
            return {"op": "remove", "path": path}
        case Append(values=values, drop=drop):
            return {"op": "append", "path": path, "drop": drop, "values": [to_json(one) for one in values]}


def _of_mappings(old: Mapping[str, object], new: Mapping[str, object], path: Path) -> Iterator[Op]:
    for key in old:
        if key not in new:
            yield Remove((*path, key))
    for key, value in new.items():
        if key not in old:
            yield Set((*path, key), value)
        else:
            yield from difference(old[key], value, (*path, key))


def _of_numbered(old: tuple[Any, ...], new: tuple[Any, ...], path: Path) -> Iterator[Op]:
    first = new[0].n if new else old[-1].n + 1
    last = old[-1].n if old else first - 1
    if new and old and (new[-1].n < last or first < old[0].n):  # counted anew
        yield Set(path, new)
        return
    drop = min(len(old), max(0, first - old[0].n)) if old else 0
    values = new[max(0, last + 1 - first) :]
    if drop or values:
        yield Append(path, values, drop)


def _names(kind: type[Any]) -> tuple[str, ...]:
    names = _NAMES.get(kind)
    if names is None:
        names = _NAMES[kind] = tuple(field.name for field in fields(kind))
    return names


_NAMES: dict[type[Any], tuple[str, ...]] = {}  # of the dataclasses met so far: `fields` is slow
