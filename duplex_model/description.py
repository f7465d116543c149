"""A checkpoint that describes itself: `checkpoint.json` in its folder holds every field of its `CheckpointConfig`.

Published checkpoints stand in the table of `config`; one of our own, or of a user's, brings its description along.
The dataclasses are the schema: their types say what is expected, and nothing unknown or missing is accepted.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from duplex_model.config import CheckpointConfig
from duplex_model.errors import CheckpointError

DESCRIPTION_FILE = "checkpoint.json"
SCHEMA = "duplex-checkpoint/1"
MAX_BYTES = 1 << 20
MAX_NUMBER = 1 << 31
"""No count, width or card of a model is larger; a typing error must not ask for all memory."""

_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


def write_description(folder: Path, config: CheckpointConfig) -> Path:
    """Writes `config` beside the checkpoint's other files; the file written."""
    path = folder / DESCRIPTION_FILE
    described = {"schema": SCHEMA, **_plain(config)}
    path.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_description(folder: Path) -> CheckpointConfig | None:
    """What the checkpoint in `folder` says of itself, or None where it says nothing.

    Raises:
        CheckpointError: names the file, the field, what was expected and what came.
    """
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"expected {path} to have at most {MAX_BYTES} bytes, got {path.stat().st_size}")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"expected JSON in {path}: {error}") from error
    if not isinstance(values, dict) or values.pop("schema", None) != SCHEMA:
        raise CheckpointError(f"expected the schema {SCHEMA} in {path}, got another or none")
    try:
        config: CheckpointConfig = _read(values, CheckpointConfig, "checkpoint")
    except _Wrong as wrong:
        raise CheckpointError(f"{path}: {wrong}") from wrong
    return config


class _Wrong(Exception):
    """A value that is not what its type says; becomes a `CheckpointError` that names the file."""


def _plain(value: Any) -> Any:
    """Dataclasses, enums and sets as JSON spells them."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def _read(value: object, expected: Any, where: str) -> Any:
    """`value` as `expected`, a dataclass or one of the types its fields have."""
    if is_dataclass(expected):
        return _read_dataclass(value, expected, where)
    if isinstance(expected, type) and issubclass(expected, Enum):
        return _read_enum(value, expected, where)
    origin, inner = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        (some,) = (one for one in inner if one is not types.NoneType)
        return None if value is None else _read(value, some, where)
    if origin in (tuple, frozenset):
        items = _expect(value, list, "a list", where)
        return origin(_read(item, inner[0], f"{where}[{index}]") for index, item in enumerate(items))
    if origin is not None and issubclass(origin, Mapping):
        values = _expect(value, dict, "an object", where)
        return {key: _read(one, inner[1], f"{where}.{key}") for key, one in values.items()}
    return _read_scalar(value, expected, where)


def _read_dataclass(value: object, expected: Any, where: str) -> Any:
    values = _expect(value, dict, "an object", where)
    known = {field.name: field for field in fields(expected)}
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise _Wrong(f"expected no field {where}.{unknown[0]}")
    needed = {
        name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING
    }
    missing = sorted(needed - values.keys())
    if missing:
        raise _Wrong(f"expected the field {where}.{missing[0]}, got none")
    hints = get_type_hints(expected)
    return expected(**{name: _read(one, hints[name], f"{where}.{name}") for name, one in values.items()})


def _read_enum(value: object, expected: type[Enum], where: str) -> Enum:
    for member in expected:
        if member.value == value:
            return member
    raise _wrong(" or ".join(repr(member.value) for member in expected), value, where)


def _read_scalar(value: object, expected: Any, where: str) -> Any:
    if expected is float and type(value) is int:
        value = float(value)
    if type(value) is not expected:
        raise _wrong(_WORDS[expected], value, where)
    if isinstance(value, int | float) and not 0 <= value <= MAX_NUMBER:
        raise _wrong(f"{_WORDS[expected]} from 0 to {MAX_NUMBER}", value, where)
    return value


def _expect(value: object, kind: type, words: str, where: str) -> Any:
    if not isinstance(value, kind):
        raise _wrong(words, value, where)
    return value


def _wrong(expected: str, value: object, where: str) -> _Wrong:
    return _Wrong(f"expected {where} to be {expected}, got {ascii(value)[:80]}")
