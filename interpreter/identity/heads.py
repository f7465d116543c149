"""The first line of a sealed file: what the file is, and the key it names as its own; its last one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interpreter.errors import IdentityError
from interpreter.identity.chain import FIRST, Line
from interpreter.identity.encoding import from_base64url, integer_in, members, shown, text_in
from interpreter.identity.keys import PublicKey, key_set, read_key_set
from interpreter.identity.passport import MAX_TOKEN_CHARACTERS, Passport, read

VERSION = 1
ATTESTATION_KIND = "attestation"
AUDIT_KIND = "audit"
PASSPORT_KIND = "passport"
END_KIND = "end"
SALT_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the first line says."""

    kind: str
    """`ATTESTATION_KIND` or `AUDIT_KIND`."""

    meeting_id: str
    key: PublicKey
    """Which signs the file, by its own word."""

    passport: Passport | None
    """Of an attestation; None in an audit log."""

    first_frame: int
    """Media-clock number of the meeting's first frame; 0 in an audit log."""

    salt: bytes | None
    """For texts; None where it is not published."""


def read_head(line: Line) -> Head:
    """What the first line of a file says, once its signature was found to be by the key it names.

    Raises:
        IdentityError: it is no first line, or another key signed it.
    """
    if line.kind not in {ATTESTATION_KIND, AUDIT_KIND}:
        raise IdentityError(f"expected the first line of a sealed file, got {shown(line.kind)}")
    attestation = line.kind == ATTESTATION_KIND
    names = "after kind version meeting at jwks" + (" first_frame passport" if attestation else "")
    head = members(dict(line.record), names, "text_salt" if attestation else "")
    integer_in(head, "version", VERSION, VERSION)
    if line.after != FIRST:
        raise IdentityError("expected a first line that comes after none, got one from elsewhere")
    key = _only_key(head)
    line.check(key)
    integer_in(head, "at")
    return Head(
        kind=line.kind,
        meeting_id=text_in(head, "meeting", longest=100),
        key=key,
        passport=_passport(head, key) if attestation else None,
        first_frame=integer_in(head, "first_frame") if attestation else 0,
        salt=_salt(head) if "text_salt" in head else None,
    )


def check_end(line: Line, lines_before: int) -> None:
    """Raises `IdentityError` unless the line says that the file is whole with so many lines before it."""
    end = members(dict(line.record), "after kind at lines")
    integer_in(end, "at")
    integer_in(end, "lines", lines_before, lines_before)


def check_passport_line(line: Line, key: PublicKey) -> Passport:
    """The passport that a line of its own renews.

    Raises:
        IdentityError: `key` did not sign it, or the line says more.
    """
    return _passport(members(dict(line.record), "after kind passport"), key)


def _passport(record: Mapping[str, Any], key: PublicKey) -> Passport:
    token = text_in(record, "passport", longest=MAX_TOKEN_CHARACTERS)
    return read(token, {key.thumbprint: key})


def _only_key(head: Mapping[str, Any]) -> PublicKey:
    keys = tuple(read_key_set(head["jwks"]).values())
    if len(keys) != 1 or head["jwks"] != key_set(keys):
        raise IdentityError(f"expected one key, spelled as we do, as `jwks`, got {len(keys)}")
    return keys[0]


def _salt(head: Mapping[str, Any]) -> bytes:
    salt = from_base64url(text_in(head, "text_salt", longest=100))
    if len(salt) != SALT_BYTES:
        raise IdentityError(f"expected a salt of {SALT_BYTES} bytes, got {len(salt)}")
    return salt
