"""A checkpoint that describes itself: `checkpoint.json` in its folder holds every field of its `CheckpointConfig`.

Published checkpoints stand in the table of `config`; one of our own, or of a user's, brings its description along.
The dataclasses are the schema: their types say what is expected, and nothing unknown or missing is accepted.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from duplex_model.config import CheckpointConfig, MimiConfig, SpectralConfig
from duplex_model.errors import CheckpointError

DESCRIPTION_FILE = "checkpoint.json"
SCHEMA = "duplex-checkpoint/1"
MAX_BYTES = 1 << 20
MAX_NUMBER = 1 << 31
"""No count, width or card of a model is larger; a typing error must not ask for all memory."""

KINDS: Mapping[str, type] = {"mimi": MimiConfig, "spectral": SpectralConfig}
"""Dataclasses that stand where one of several may; the field `kind` beside their own says which it is."""

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
    return parse_description(values, path)


def parse_description(values: object, path: Path) -> CheckpointConfig:
    """What the JSON object `values` of the file at `path` says of a checkpoint.

    Raises:
        CheckpointError: see `read_description`.
    """
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise CheckpointError(f"expected the schema {SCHEMA} in {path}, got another or none")
    values = {name: value for name, value in values.items() if name != "schema"}
    try:
        config: CheckpointConfig = _read(values, CheckpointConfig, "checkpoint")
        _check_codes(config)
        _check_unsure(config)
    except _Wrong as wrong:
        raise CheckpointError(f"{path}: {wrong}") from wrong
    return config


def _check_codes(config: CheckpointConfig) -> None:
    """A codec and prompt codes of its own must be those the language model speaks."""
    lm, codec, codes = config.lm, config.codec_config, config.prompt_codes
    sides = max(lm.own_codebooks, lm.heard_codebooks)
    if config.codec is not None and (codec.codebooks < sides or codec.card != lm.card):
        raise _Wrong(
            f"expected a codec of {sides} codebooks of {lm.card}, as in lm, got {codec.codebooks} of {codec.card}"
        )
    if config.codec is None or not (config.role_text or config.voice_prompt):
        return  # published codes, or no prompt
    for name, frame in (("silence", codes.silence), ("sine", codes.sine)):
        if len(frame) < sides or max(frame) >= lm.card:
            raise _Wrong(
                f"expected checkpoint.prompt_codes.{name} to be {sides} codes below {lm.card}, got {list(frame)}"
            )


def _check_unsure(config: CheckpointConfig) -> None:
    token = config.generation.unsure_token
    if token is not None and token >= config.lm.text_card:
        raise _Wrong(
            f"expected checkpoint.generation.unsure_token below {config.lm.text_card}, the text tokens, got {token}"
        )
    if token is None and config.generation.unsure_entropy_nats is not None:
        raise _Wrong("expected an unsure_token with checkpoint.generation.unsure_entropy_nats, got none")


class _Wrong(Exception):
    """A value that is not what its type says; becomes a `CheckpointError` that names the file."""


def _plain(value: Any) -> Any:
    """Dataclasses, enums and sets as JSON spells them."""
    if is_dataclass(value):
        plain = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        kind = next((name for name, known in KINDS.items() if type(value) is known), None)
        return plain if kind is None else {"kind": kind, **plain}
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
        if value is None and types.NoneType in inner:
            return None
        some = [one for one in inner if one is not types.NoneType]
        return _read(value, some[0], where) if len(some) == 1 else _read_kind(value, some, where)
    if origin is Literal:
        return _read_choice(value, inner, where)
    if origin in (tuple, frozenset):
        items = _expect(value, list, "a list", where)
        return origin(_read(item, inner[0], f"{where}[{index}]") for index, item in enumerate(items))
    if origin is not None and issubclass(origin, Mapping):
        values = _expect(value, dict, "an object", where)
        return {
            _read(key, inner[0], where): _read(one, inner[1], f"{where}.{key}") for key, one in values.items()
        }
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


def _read_kind(value: object, expected: Sequence[type], where: str) -> Any:
    """One of several dataclasses, by what its field `kind` says."""
    values = dict(_expect(value, dict, "an object", where))
    kinds = {name: known for name, known in KINDS.items() if known in expected}
    kind = _read_choice(values.pop("kind", None), tuple(kinds), f"{where}.kind")
    return _read_dataclass(values, kinds[kind], where)


def _read_choice(value: object, choices: tuple[str, ...], where: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise _wrong(" or ".join(map(repr, choices)), value, where)
    return value


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
