"""Passports: what they say is what was signed, and nothing else passes for one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.errors import IdentityError
from interpreter.identity.encoding import canonical, to_base64url
from interpreter.identity.passport import (
    LIFETIME_S,
    MAX_TOKEN_CHARACTERS,
    RENEW_S,
    TOKEN_TYPE,
    Passport,
    in_order,
    issue,
    read,
)
from tests.interpreter.identity.sealed import ANA_EN, BEN_ES, KEY, OTHER_KEY, OTHER_ROLE, ROLE, claim

KEYS = {KEY.thumbprint: KEY.public}
PASSPORT = Passport(
    issuer="https://interpreter.example.org",
    subject="bot",
    room="Room 4",
    operator="Eva",
    role=ROLE,
    directions=in_order(
        [claim(ANA_EN), replace(claim(ANA_EN), role=OTHER_ROLE), claim(BEN_ES), claim(ANA_EN)]
    ),
    scope=("interpret", "speak"),
    issued_at_s=1_000,
    expires_at_s=1_000 + LIFETIME_S,
    token_id="m7.0",
    key=KEY.thumbprint,
    dtls_fingerprint="sha-256 " + ":".join(["AB"] * 32),
)
TOKEN = issue(PASSPORT, KEY)


def part(number: int) -> dict[str, Any]:
    text = TOKEN.split(".")[number]
    parsed: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return parsed


def claims_of_one() -> dict[str, Any]:
    direction: dict[str, Any] = part(1)["directions"][0]
    return direction


def signed(header: object, claims: object, spell: Callable[[Any], bytes] = canonical) -> str:
    """A token by our key, of whatever is given."""
    text = f"{to_base64url(spell(header))}.{to_base64url(spell(claims))}"
    return f"{text}.{to_base64url(KEY.sign(text.encode()))}"


def test_it_says_what_was_issued() -> None:
    assert read(TOKEN, KEYS) == PASSPORT
    plain = replace(PASSPORT, operator=None, dtls_fingerprint=None, directions=(), scope=())
    assert read(issue(plain, KEY), KEYS) == plain


def test_its_claims_are_those_of_the_rfcs() -> None:
    assert part(0) == {"alg": "EdDSA", "kid": KEY.thumbprint, "typ": TOKEN_TYPE}
    claims = part(1)
    assert (claims["iss"], claims["sub"]) == ("https://interpreter.example.org", "bot")
    assert claims["exp"] - claims["iat"] == 900
    assert claims["scope"] == "interpret speak"
    assert claims["cnf"] == {"jkt": KEY.thumbprint}
    assert claims["directions"][0]["checkpoint"] == "visit-es-en"


def test_it_holds_from_its_issue_to_its_end() -> None:
    assert [PASSPORT.holds_at(now_s) for now_s in (999.9, 1_000.0, 1_899.9, 1_900.0)] == [
        False,
        True,
        True,
        False,
    ]
    assert RENEW_S < LIFETIME_S


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at_s": 1_000 + LIFETIME_S + 1},
        {"expires_at_s": 1_000},
        {"issued_at_s": -1},
        {"key": OTHER_KEY.thumbprint},
        {"directions": (claim(ANA_EN), claim(BEN_ES))},
        {"directions": (claim(ANA_EN), claim(ANA_EN))},
        {"scope": ("interpret and more!",)},
        {"room": "x" * 1_001},
        {"room": "\ud800"},
        {"token_id": "x" * 101},
        {"dtls_fingerprint": "sha-256 AB"},
        {"role": replace(ROLE, checksum="5A" * 32)},
    ],
)
def test_what_none_may_say_is_not_issued(change: dict[str, Any]) -> None:
    with pytest.raises(IdentityError, match="expected"):
        issue(replace(PASSPORT, **change), KEY)


@given(st.integers(0, 8 * len(TOKEN) - 1))
def test_no_bit_of_it_can_be_changed(bit: int) -> None:
    data = bytearray(TOKEN.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IdentityError):
        read(data.decode("latin-1"), KEYS)


@given(st.integers(0, len(TOKEN) - 1))
def test_no_part_of_it_can_be_cut(length: int) -> None:
    with pytest.raises(IdentityError):
        read(TOKEN[:length], KEYS)


def test_only_a_known_key_vouches_for_it() -> None:
    with pytest.raises(IdentityError, match="by a key that is known, got one by"):
        read(TOKEN, {OTHER_KEY.thumbprint: OTHER_KEY.public})
    with pytest.raises(IdentityError, match="got another signature"):
        read(TOKEN, {KEY.thumbprint: OTHER_KEY.public})


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"typ": "JWT"},
        {"kid": 5},
        {"crit": ["x"]},
        {"jwk": KEY.public.jwk},
    ],
)
def test_another_header_is_refused_even_when_we_signed_it(change: dict[str, Any]) -> None:
    with pytest.raises(IdentityError, match="expected"):
        read(signed(part(0) | change, part(1)), KEYS)


@pytest.mark.parametrize(
    "change",
    [
        {"iat": 1_000.0},
        {"iat": True},
        {"exp": "2000"},
        {"nbf": 0},
        {"operator": None},
        {"scope": ["interpret"]},
        {"scope": "interpret  speak"},
        {"cnf": {"jkt": OTHER_KEY.thumbprint}},
        {"cnf": {}},
        {"role": "medical"},
        {"role": {"name": "x", "checksum": "00"}},
        {"directions": {}},
        {"directions": ["es>en"]},
        {"directions": [{**claims_of_one(), "role": None}]},
        {"directions": [{**claims_of_one(), "role": {"name": "x"}}]},
    ],
)
def test_other_claims_are_refused_even_when_we_signed_them(change: dict[str, Any]) -> None:
    def spell(value: Any) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    with pytest.raises(IdentityError, match="expected"):
        read(signed(part(0), part(1) | change, spell), KEYS)


def test_another_spelling_is_refused_even_when_we_signed_it() -> None:
    with pytest.raises(IdentityError, match="canonical JSON"):
        read(signed(part(0), part(1), lambda value: json.dumps(value).encode()), KEYS)


def test_a_claim_that_is_missing_is_said() -> None:
    claims = part(1)
    del claims["jti"]
    with pytest.raises(IdentityError, match="expected the members"):
        read(signed(part(0), claims), KEYS)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c.d", "A" * (MAX_TOKEN_CHARACTERS + 1), "e30.e30."])
def test_what_is_no_token_is_said(token: str) -> None:
    with pytest.raises(IdentityError, match="expected"):
        read(token, KEYS)
