"""One spelling for every value, and words for every other."""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.errors import IdentityError
from interpreter.identity.encoding import (
    Json,
    canonical,
    from_base64url,
    integer_in,
    members,
    parse_canonical,
    shown,
    text_in,
    to_base64url,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner, max_size=4)
    ),
)


@given(VALUES)
def test_what_is_written_reads_as_it_was(value: Json) -> None:
    assert parse_canonical(canonical(value)) == value


def test_the_spelling_is_that_of_rfc_8785() -> None:
    value: Json = {"peach": 'ö€\n\x0f"\\/', "Zoë"[:1]: [1, True, None], "a": {"c": -3, "b": ""}}
    assert (
        canonical(value) == '{"Z":[1,true,null],"a":{"b":"","c":-3},"peach":"ö€\\n\\u000f\\"\\\\/"}'.encode()
    )


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'"\\u0041"',
        b'"\\/"',
        b"-0",
        b"1 ",
        b'{"a":1}\r',
        b'\xef\xbb\xbf"a"',
    ],
)
def test_another_spelling_of_the_same_is_refused(data: bytes) -> None:
    with pytest.raises(IdentityError, match="expected"):
        parse_canonical(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected JSON"),
        (b"\xff", "not Unicode"),
        (b"1.0", "whole numbers"),
        (b"1e3", "whole numbers"),
        (b"NaN", "whole numbers"),
        (b"-Infinity", "whole numbers"),
        (b"9" * 20, "whole numbers up to"),
        (b"9" * 5_000, "number too long"),
        (b'"\\ud800"', "got: text that is not Unicode"),
        (b"[" * 200_000, "nesting too deep"),
        (b"[" * 200_000 + b"]" * 200_000, "nesting too deep"),
        (b'{"a":' * 100_000, "nesting too deep"),
        ('{"ñ":1}'.encode(), "keys in ASCII"),
    ],
)
def test_what_no_canonical_json_holds_is_said(data: bytes, words: str) -> None:
    with pytest.raises(IdentityError, match=words):
        parse_canonical(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except IdentityError:
        return
    assert canonical(value) == data


def test_a_fraction_cannot_be_written() -> None:
    with pytest.raises(IdentityError, match="without fractions"):
        canonical({"a": 0.5})  # type: ignore[dict-item]


@given(st.binary(max_size=70))
def test_base64url_reads_what_it_wrote_and_no_sibling(data: bytes) -> None:
    text = to_base64url(data)
    assert from_base64url(text) == data == base64.urlsafe_b64decode(text + "==")
    for last in string.ascii_letters + string.digits + "-_":
        sibling = text[:-1] + last
        if text and sibling != text:
            assert decoded(sibling) != data


def decoded(text: str) -> bytes | None:
    """None for what is refused."""
    try:
        return from_base64url(text)
    except IdentityError:
        return None


@pytest.mark.parametrize("text", ["QQ==", "Q+", "Q/", "Q Q", "Q\n", "Ä", "Q"])
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(IdentityError, match="base64url"):
        from_base64url(text)


def test_members_must_be_those() -> None:
    assert members({"a": 1, "b": 2}, "a", "b c") == {"a": 1, "b": 2}
    with pytest.raises(IdentityError, match="expected the members a b, got 'a'"):
        members({"a": 1}, "a b")
    with pytest.raises(IdentityError, match="got 'a z'"):
        members({"a": 1, "z": 2}, "a")
    with pytest.raises(IdentityError, match="expected an object, got a list"):
        members([], "a")


def test_a_member_must_be_of_its_kind() -> None:
    record = {"text": "abc", "number": 3, "truth": True, "none": None}
    assert text_in(record, "text", pattern="[a-c]+") == "abc"
    assert integer_in(record, "number", 3, 3) == 3
    for name, words in (("number", "got a number"), ("none", "got null"), ("truth", "got a truth value")):
        with pytest.raises(IdentityError, match=f"expected text as `{name}`, {words}"):
            text_in(record, name)
    with pytest.raises(IdentityError, match="expected at most 2 characters"):
        text_in(record, "text", longest=2)
    with pytest.raises(IdentityError, match="to fit x, got 'abc'"):
        text_in(record, "text", pattern="x")
    with pytest.raises(IdentityError, match="whole number as `truth`"):
        integer_in(record, "truth")
    with pytest.raises(IdentityError, match="expected 4 to 9 as `number`, got 3"):
        integer_in(record, "number", 4, 9)


def test_what_is_shown_is_short_and_harmless() -> None:
    text = shown("\x1b[2Jñ" * 100)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 400


def test_keys_are_sorted_as_every_reader_sorts_them() -> None:
    assert list(json.loads(canonical({"b": 1, "B": 2, "a_": 3, "a": 4}))) == ["B", "a", "a_", "b"]
