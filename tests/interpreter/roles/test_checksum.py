from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.facts_guard.facts import FactKind
from interpreter.roles.checksum import canonical_json, files_hash, role_checksum
from interpreter.roles.library import load_library
from interpreter.roles.role import Disclosure, GlossaryEntry, Policies, Role
from tests.interpreter.roles.texts import LEAST, role

VOICE, CHECKPOINT = "a" * 64, "b" * 64


def checksum(one: Role) -> str:
    return role_checksum(one, VOICE, CHECKPOINT)


def test_every_role_has_its_own() -> None:
    sums = [checksum(one) for one in load_library().roles.values()]
    assert len(set(sums)) == len(sums)
    assert all(len(one) == 64 for one in sums)


def test_the_same_role_has_the_same_however_its_file_is_written() -> None:
    from interpreter.roles.library import parse_role

    lines = LEAST.splitlines()
    turned = parse_role("# other\n" + "\n".join(reversed(lines)), name="x.yaml")
    assert (
        checksum(turned)
        == checksum(role())
        == checksum(role("policies: {duck_db: -15, hold_limit_s: 20.0}\n"))
    )


CHANGES: dict[str, object] = {
    "name": "other",
    "version": 2,
    "title": {"en": "Other"},
    "summary": {"en": "Other."},
    "prompt": "You are calm.",
    "prompt_for": {"x": ""},
    "voice": "ana",
    "mode": "captions",
    "session_mode": "consecutive",
    "policies": Policies(duck_db=-15.000001),
    "scripts": {**role().scripts, "en": {**role().scripts["en"], "paused": ("The interpreter is paused",)}},
    "glossary": (GlossaryEntry(terms={"en": "x", "es": "y"}),),
    "checks": (FactKind.DRUG,),
    "disclosure": Disclosure(closing=False),
}


@pytest.mark.parametrize("field", [field.name for field in fields(Role)])
def test_whatever_is_changed_changes_it(field: str) -> None:
    assert checksum(replace(role(), **{field: CHANGES[field]})) != checksum(role())  # type: ignore[arg-type]


def test_voice_and_checkpoint_are_part_of_it_and_cannot_trade_places() -> None:
    sums = {
        role_checksum(role(), *hashes)
        for hashes in [(VOICE, CHECKPOINT), (CHECKPOINT, VOICE), ("", CHECKPOINT), (VOICE, VOICE)]
    }
    assert len(sums) == 4


def test_it_is_this_one_for_ever() -> None:
    """A checksum that changes with the code could not be verified later; renew it only with the format."""
    one = role()
    text = canonical_json({"role": one, "voice_sha256": VOICE, "checkpoint_sha256": CHECKPOINT})
    assert text.startswith(
        f'{{"checkpoint_sha256":"{CHECKPOINT}","role":{{"checks":[],"disclosure":{{"closing":true,'
    )
    assert '"policies":{"after_interruption":"resume","announce":false,"backchannel_gain_db":-9,' in text
    assert text.endswith(f'"voice":""}},"voice_sha256":"{VOICE}"}}')


@pytest.mark.parametrize(
    ("number", "text"),
    [  # RFC 8785 appendix B, and what stands beside its borders
        (0.0, "0"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (-1.7976931348623157e308, "-1.7976931348623157e+308"),
        (9007199254740992.0, "9007199254740992"),
        (295147905179352830000.0, "295147905179352830000"),
        (9.999999999999997e22, "9.999999999999997e+22"),
        (1e23, "1e+23"),
        (999999999999999700000.0, "999999999999999700000"),
        (1e21, "1e+21"),
        (9.999999999999997e-7, "9.999999999999997e-7"),
        (0.000001, "0.000001"),
        (333333333.3333332, "333333333.3333332"),
        (-12.0, "-12"),
        (0.7, "0.7"),
        (30, "30"),
    ],
)
def test_numbers_are_written_as_in_ecmascript(number: float, text: str) -> None:
    assert canonical_json(number) == text


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 2**53, 10**400])
def test_numbers_that_json_has_not_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected a number that JSON has"):
        canonical_json(wrong)


def test_what_json_cannot_spell_is_refused() -> None:
    with pytest.raises(TypeError, match="got set"):
        canonical_json({"x": {1}})


def test_keys_are_sorted_by_utf16_and_text_is_nfc() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]  # RFC 8785 section 3.2.3
    ordered = list(json.loads(canonical_json(dict.fromkeys(keys, 0))))
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600"]
    assert [key for key in ordered if key in expected] == expected
    assert canonical_json("e\u0301") == canonical_json("é") == '"é"'
    assert canonical_json('"\\\x07\n') == '"\\"\\\\\\u0007\\n"'


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def normal(value: object) -> object:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, dict):
        return {normal(key): normal(item) for key, item in value.items()}
    return value


@given(values.map(normal))
def test_it_is_json_and_says_the_same(value: object) -> None:
    text = canonical_json(value)
    read = json.loads(text, parse_int=float)  # as ECMAScript reads it: all numbers are doubles
    assert read == value
    assert canonical_json(read) == text


def test_files_are_hashed_by_name_and_content_in_any_order(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1")
    b.write_bytes(b"2")
    first = files_hash([a, b])
    assert files_hash([b, a]) == first
    b.write_bytes(b"3")
    assert files_hash([a, b]) != first
    b.write_bytes(b"2")
    renamed = b.rename(tmp_path / "c")
    assert files_hash([a, renamed]) != first
