"""Sealed lines: one spelling, one signer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.errors import IdentityError
from interpreter.identity.chain import FIRST, MAX_LINE_BYTES, Sealer, digest, parse_line
from interpreter.identity.encoding import to_base64url
from tests.interpreter.identity.sealed import KEY, OTHER_KEY


def sealed(text: str = "ñ") -> bytes:
    return Sealer(KEY).seal("note", {"text": text, "n": 3}).encode()


LINE = sealed()


def flips(data: bytes) -> Iterator[bytes]:
    """Every way to change one bit."""
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            yield bytes(changed)


def test_a_line_is_canonical_json_with_its_signature_last() -> None:
    line = parse_line(LINE)
    assert line.record == {"after": FIRST, "kind": "note", "n": 3, "text": "ñ"}
    assert (line.after, line.kind, line.digest) == (FIRST, "note", digest(LINE))
    assert line.signed + to_base64url(line.signature).encode() + b'"}' == LINE
    line.check(KEY.public)


def test_each_line_names_the_one_before() -> None:
    sealer = Sealer(KEY)
    first = sealer.seal("a", {})
    second = sealer.seal("b", {})
    assert parse_line(second.encode()).after == digest(first.encode())
    assert (sealer.lines, sealer.last) == (2, digest(second.encode()))


def test_no_bit_of_a_line_can_be_changed() -> None:
    for changed in flips(LINE):
        with pytest.raises(IdentityError):
            parse_line(changed).check(KEY.public)


def test_another_key_did_not_sign_it() -> None:
    with pytest.raises(IdentityError, match="expected a line signed by the key"):
        parse_line(LINE).check(OTHER_KEY.public)


@pytest.mark.parametrize(
    "changed",
    [
        LINE.replace(b":", b": ", 1),
        LINE + b"\r",
        b" " + LINE,
        json.dumps(json.loads(LINE)).encode(),
        json.dumps(json.loads(LINE), separators=(",", ":")).encode(),
        LINE.replace(b'"n":3', b'"n":3.0'),
        LINE.replace(b'"n":3', b'"n":3,"n":3'),
    ],
)
def test_another_spelling_is_refused_though_it_says_the_same(changed: bytes) -> None:
    assert json.loads(changed)["record"] == json.loads(LINE)["record"]
    with pytest.raises(IdentityError, match="canonical JSON|whole numbers"):
        parse_line(changed)


def test_a_signature_has_one_spelling() -> None:
    siblings = [LINE[:-3] + bytes([last]) + LINE[-2:] for last in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn"]
    refused = 0
    for sibling in siblings:
        if sibling != LINE:
            with pytest.raises(IdentityError):
                parse_line(sibling).check(KEY.public)
            refused += 1
    assert refused >= 39


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "JSON"),
        (b"null", "expected an object, got null"),
        (b'{"record":{}}', "expected the members record signature"),
        (b'{"record":{"after":"","kind":"x"},"signature":"AAAA"}', "signature of 64 bytes, got 3"),
        (b'{"record":{"after":"","kind":"x"},"signature":5}', "text as `signature`"),
        (b'{"record":[],"signature":"' + b"A" * 86 + b'"}', "a record with `after` and `kind`"),
        (b'{"record":{"kind":"x"},"signature":"' + b"A" * 86 + b'"}', "a record with `after` and `kind`"),
        (b"[" * 300_000, "nesting too deep"),
        (b"x" * MAX_LINE_BYTES, "bytes at most, got a longer one"),
    ],
)
def test_what_is_no_line_is_said(line: bytes, words: str) -> None:
    with pytest.raises(IdentityError, match=words):
        parse_line(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(IdentityError):
        parse_line(data)


def test_a_record_that_is_too_long_is_not_written() -> None:
    sealer = Sealer(KEY)
    with pytest.raises(IdentityError, match="expected a record of"):
        sealer.seal("note", {"text": "x" * MAX_LINE_BYTES})
    assert (sealer.lines, sealer.last) == (0, FIRST)
