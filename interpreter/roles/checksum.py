"""A checksum that names exactly which interpreter spoke."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from hashlib import file_digest, sha256
from pathlib import Path

from interpreter.roles.role import Role

_MAX_EXACT_INTEGER = 2**53 - 1
"""Larger ones are no numbers of JSON that everybody reads alike (RFC 8785 section 3.2.2.3)."""


def role_checksum(role: Role, voice_hash: str, checkpoint_hash: str) -> str:
    """SHA-256, in hex, over the canonical JSON of everything that makes the interpreter what it is.

    Args:
        role: from the library: name, version, prompts, modes, policies, scripts, glossary, checks, disclosure.
        voice_hash: SHA-256 of the voice's file in hex; empty where the checkpoint takes none.
        checkpoint_hash: SHA-256 of the checkpoint's files in hex.
    """
    content = {"role": role, "voice_sha256": voice_hash, "checkpoint_sha256": checkpoint_hash}
    return sha256(canonical_json(content).encode()).hexdigest()


def files_hash(paths: Iterable[Path]) -> str:
    """SHA-256, in hex, over the names and the bytes of files, in whatever order they come.

    Raises:
        OSError: a file cannot be read.
    """
    digests = []
    for path in sorted(paths):
        with path.open("rb") as file:
            digests.append({"name": path.name, "sha256": file_digest(file, "sha256").hexdigest()})
    return sha256(canonical_json(digests).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """`value` as the one JSON text that spells it (RFC 8785), its strings in Unicode's form NFC.

    Args:
        value: of dataclasses, mappings, sequences, enums, text, numbers, booleans and None.

    Raises:
        ValueError: a number that JSON does not have, or not for everybody.
        TypeError: anything else.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Enum):
        return canonical_json(value.value)
    if isinstance(value, str):
        return json.dumps(unicodedata.normalize("NFC", value), ensure_ascii=False)
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Sequence):
        return f"[{','.join(canonical_json(item) for item in value)}]"
    if is_dataclass(value) and not isinstance(value, type):
        return canonical_json({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        pairs = sorted(
            ((unicodedata.normalize("NFC", key), item) for key, item in value.items()),
            key=lambda pair: pair[0].encode("utf-16-be"),  # RFC 8785 sorts by UTF-16 code units
        )
        return f"{{{','.join(f'{canonical_json(key)}:{canonical_json(item)}' for key, item in pairs)}}}"
    raise TypeError(f"expected what JSON can spell, got {type(value).__name__}")


def _number(number: int | float) -> str:
    """As ECMAScript writes it: ECMA-262 section 6.1.6.1.20, Number::toString."""
    exact = abs(number) <= _MAX_EXACT_INTEGER if isinstance(number, int) else math.isfinite(number)
    if not exact:
        raise ValueError("expected a number that JSON has, got one that is too large, or none")
    if number == 0:
        return "0"
    sign, digit_list, exponent = Decimal(repr(number)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_list))
    point = len(digits) + exponent  # where the decimal point stands, counted from the first digit
    minus = "-" if sign else ""
    if len(digits) <= point <= 21:
        return f"{minus}{digits}{'0' * (point - len(digits))}"
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{fraction}e{point - 1:+d}"
