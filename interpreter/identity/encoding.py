"""Bytes that have one spelling only: canonical JSON (RFC 8785, without fractions) and base64url (RFC 4648). Pure.

What is signed here is signed as bytes, and whoever checks it refuses every other spelling of the same value: no two
files, and no two tokens, say the same thing.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from interpreter.errors import IdentityError

Json = None | bool | int | str | list[Any] | dict[str, Any]
"""What canonical JSON may hold; lists and objects hold the same."""

MAX_INTEGER = 2**53 - 1
"""Beyond it other readers of JSON round (RFC 8259 section 6)."""

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def canonical(value: Json) -> bytes:
    """The one spelling of `value`: UTF-8, keys sorted, no space. Its keys are ASCII, so every sort order agrees.

    Raises:
        IdentityError: a fraction, a large number, or text that is not Unicode.
    """
    _check(value)
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise IdentityError(f"expected values that JSON can spell, got: {_reason(error)}") from error


def parse_canonical(data: bytes) -> Json:
    """The value that `data` spells.

    Raises:
        IdentityError: it is not JSON, or not the canonical spelling of what it says.
    """
    try:
        value: Json = json.loads(data.decode(), parse_float=_no_fraction, parse_constant=_no_fraction)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise IdentityError(f"expected JSON in UTF-8, got: {_reason(error)}") from error
    if canonical(value) != data:
        raise IdentityError("expected canonical JSON, got another spelling of it")
    return value


def to_base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes that `text` spells.

    Raises:
        IdentityError: it holds other characters, padding, or bits that no byte needs.
    """
    if not _BASE64URL.fullmatch(text):
        raise IdentityError("expected base64url without padding, got other characters")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise IdentityError("expected base64url, got an impossible length") from error
    if to_base64url(data) != text:
        raise IdentityError("expected canonical base64url, got bits that belong to no byte")
    return data


def members(value: Json, required: str, optional: str = "") -> dict[str, Any]:
    """`value`, an object with exactly the members named.

    Args:
        value: anything.
        required: names, separated by spaces.
        optional: names that may be there.

    Raises:
        IdentityError: it is no object, or has others.
    """
    if not isinstance(value, dict):
        raise IdentityError(f"expected an object, got {kind_of(value)}")
    needed = set(required.split())
    missing, unknown = needed - value.keys(), value.keys() - needed - set(optional.split())
    if missing or unknown:
        raise IdentityError(
            f"expected the members {required}, got {shown(' '.join(sorted(value)) or 'none')}"
        )
    return value


def text_in(record: Mapping[str, Any], name: str, *, pattern: str = r"(?s).*", longest: int = 1_000) -> str:
    """The text of the member `name`, which fits `pattern` as a whole.

    Raises:
        IdentityError: it is something else.
    """
    value = record[name]
    if not isinstance(value, str):
        raise IdentityError(f"expected text as `{name}`, got {kind_of(value)}")
    if len(value) > longest:
        raise IdentityError(f"expected at most {longest} characters as `{name}`, got {len(value)}")
    if not re.fullmatch(pattern, value):
        raise IdentityError(f"expected `{name}` to fit {pattern}, got {shown(value)}")
    return value


def integer_in(record: Mapping[str, Any], name: str, low: int = 0, high: int = MAX_INTEGER) -> int:
    """The whole number of the member `name`, from `low` to `high`.

    Raises:
        IdentityError: it is something else.
    """
    value = record[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise IdentityError(f"expected a whole number as `{name}`, got {kind_of(value)}")
    if not low <= value <= high:
        raise IdentityError(f"expected {low} to {high} as `{name}`, got {value}")
    return value


def kind_of(value: Json) -> str:
    """What a value is, for messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", int: "a number"}
    return names.get(type(value), "null")


def shown(text: str) -> str:
    """`text` for a message: short, and without anything a terminal would act on."""
    return ascii(text if len(text) <= 60 else text[:60] + "...")


def _check(value: Json) -> None:
    """Raises `IdentityError` unless numbers are whole and small and keys are ASCII."""
    pending: list[Json] = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if not all(isinstance(key, str) and key.isascii() for key in one):
                raise IdentityError("expected keys in ASCII, got others")
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)
        elif isinstance(one, int) and abs(one) > MAX_INTEGER:
            raise IdentityError(f"expected whole numbers up to {MAX_INTEGER}, got a larger one")
        elif not isinstance(one, str | int | None):
            raise IdentityError(f"expected JSON without fractions, got {type(one).__name__}")


def _no_fraction(text: str) -> NoReturn:
    raise IdentityError(f"expected whole numbers, got {shown(text)}")


def _reason(error: Exception) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg.lower()} at character {error.pos}"
        case UnicodeError():
            return "text that is not Unicode"
        case RecursionError():
            return "nesting too deep"
        case _:
            return "a number too long"
