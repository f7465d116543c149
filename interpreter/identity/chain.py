"""Sealed lines: JSON, one record a line, each naming the line before it, each signed. Pure.

    {"record":{"after":"<SHA-256 of the line before>","kind":"...",...},"signature":"<Ed25519, base64url>"}

The signature covers the line's own bytes from its first to the quotation mark before the signature. What is left of
the line has one spelling, so every other line, by a single bit, is no sealed line of this key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interpreter.errors import IdentityError
from interpreter.identity.encoding import (
    Json,
    canonical,
    from_base64url,
    members,
    parse_canonical,
    text_in,
    to_base64url,
)
from interpreter.identity.keys import SIGNATURE_BYTES, IdentityKey, PublicKey

MAX_LINE_BYTES = 400_000
"""Of a line with its newline. The longest have a passport in them that lists hundreds of directions."""

FIRST = ""
"""What the first line of a file says it comes after."""

DIGEST = r"[0-9a-f]{64}"
_BEFORE_RECORD = b'{"record":'
_BEFORE_SIGNATURE = b',"signature":"'
_END = b'"}'


@dataclass(frozen=True)
class Line:
    """A line whose spelling is right; whether its signature is, `check` says."""

    record: Mapping[str, Any]
    signed: bytes
    """The bytes the signature covers."""

    signature: bytes
    digest: str
    """SHA-256 of the whole line, without its newline, in hexadecimal; what the next one comes after."""

    @property
    def after(self) -> str:
        """Digest of the line before; `FIRST` for none."""
        return text_in(self.record, "after", pattern=rf"({DIGEST})?")

    @property
    def kind(self) -> str:
        """What the record is."""
        return text_in(self.record, "kind", longest=40)

    def check(self, key: PublicKey) -> None:
        """Raises `IdentityError` unless the owner of `key` signed it."""
        if not key.verifies(self.signature, self.signed):
            raise IdentityError(f"expected a line signed by the key {key.thumbprint}, got another signature")


class Sealer:
    """Writes the lines of one file, which follow one another."""

    def __init__(self, key: IdentityKey) -> None:
        self._key = key
        self._last = FIRST
        self._lines = 0

    @property
    def lines(self) -> int:
        """How many were sealed."""
        return self._lines

    @property
    def last(self) -> str:
        """Digest of the last one."""
        return self._last

    def seal(self, kind: str, members_of_kind: Mapping[str, Json]) -> str:
        """The next line, without a newline.

        Raises:
            IdentityError: the record cannot be spelled, or is too long.
        """
        record = canonical({**members_of_kind, "kind": kind, "after": self._last})
        signed = _BEFORE_RECORD + record + _BEFORE_SIGNATURE
        line = signed + to_base64url(self._key.sign(signed)).encode() + _END
        if len(line) >= MAX_LINE_BYTES:
            raise IdentityError(f"expected a record of {MAX_LINE_BYTES} bytes at most, got {len(line)}")
        self._last = digest(line)
        self._lines += 1
        return line.decode()


def digest(line: bytes) -> str:
    """SHA-256 of a line without its newline, in hexadecimal."""
    return hashlib.sha256(line).hexdigest()


def parse_line(line: bytes) -> Line:
    """A line, given without its newline.

    Raises:
        IdentityError: it is spelled in any other way than `Sealer` does.
    """
    if len(line) >= MAX_LINE_BYTES:
        raise IdentityError(f"expected a line of {MAX_LINE_BYTES} bytes at most, got a longer one")
    sealed = members(parse_canonical(line), "record signature")
    signature = from_base64url(text_in(sealed, "signature", longest=100))
    if len(signature) != SIGNATURE_BYTES:
        raise IdentityError(f"expected a signature of {SIGNATURE_BYTES} bytes, got {len(signature)}")
    record = sealed["record"]
    if not isinstance(record, dict) or not {"after", "kind"} <= record.keys():
        raise IdentityError("expected a record with `after` and `kind`, got another")
    unsigned = len(_END) + len(to_base64url(signature))
    return Line(record, line[:-unsigned], signature, digest(line))
