"""Logging in: the published examples, and servers that must not be believed."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import LocalError, SignallingError
from webrtc.jitsi.sasl import Account, Login, choose, prepare

ACCOUNT = Account(username="user", password="pencil")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def decoded(text: str | None) -> str:
    return base64.b64decode(text or "").decode()


def login(mechanism: str, nonce: str, account: Account | None = ACCOUNT) -> Login:
    chosen = choose([mechanism], account, nonce)
    assert chosen is not None
    return chosen


def test_scram_sha_1_as_in_rfc_5802() -> None:
    scram = login("SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL")
    assert decoded(scram.begin()) == "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
    assert decoded(scram.answer(encoded(challenge))) == (
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    )
    scram.finish(encoded("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="))


def test_scram_sha_256_as_in_rfc_7677() -> None:
    scram = login("SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO")
    assert decoded(scram.begin()) == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert decoded(scram.answer(encoded(challenge))) == (
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    # A server may also send its proof as one more challenge.
    assert scram.answer(encoded("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")) == ""
    scram.finish("")


def test_plain_as_in_rfc_4616() -> None:
    assert base64.b64decode(login("PLAIN", "n").begin() or "") == b"\0user\0pencil"


def test_guests_are_anonymous() -> None:
    anonymous = login("ANONYMOUS", "n", None)
    assert (anonymous.mechanism, anonymous.begin()) == ("ANONYMOUS", None)
    anonymous.finish("")


def test_the_best_way_is_taken_and_a_guest_never_gives_a_password() -> None:
    offered = ["PLAIN", "SCRAM-SHA-1", "ANONYMOUS", "SCRAM-SHA-256", "X-OAUTH2"]
    chosen = choose(offered, ACCOUNT, "n")
    assert chosen is not None
    assert chosen.mechanism == "SCRAM-SHA-256"
    assert choose(["ANONYMOUS", "X-OAUTH2"], ACCOUNT, "n") is None
    assert choose(["PLAIN", "SCRAM-SHA-1"], None, "n") is None


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        ("r=other,s=QSXCR+Q6sek8bf92,i=4096", "continues our nonce"),
        ("r=nonce,s=QSXCR+Q6sek8bf92,i=4096", "continues our nonce"),
        ("m=x,r=nonce+,s=QSXCR+Q6sek8bf92,i=4096", "continues our nonce"),
        ("r=nonce+,s=QSXCR+Q6sek8bf92,i=1", "4096 to 1000000 SCRAM iterations, got 1"),
        ("r=nonce+,s=QSXCR+Q6sek8bf92,i=9999999", "iterations, got 9999999"),
        ("r=nonce+,s=QSXCR+Q6sek8bf92,i=99999999999", "number of SCRAM iterations"),
        ("r=nonce+,s=QSXCR+Q6sek8bf92,i=-1", "number of SCRAM iterations"),
        ("r=nonce+,s=!!,i=4096", "expected base64"),
        ("", "continues our nonce"),
    ],
)
def test_challenges_that_must_not_be_believed(challenge: str, words: str) -> None:
    with pytest.raises(SignallingError, match=words):
        login("SCRAM-SHA-1", "nonce").answer(encoded(challenge))


def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    for proof in ("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "e=other-error", ""):
        scram = login("SCRAM-SHA-1", "nonce")
        scram.answer(encoded("r=nonce+,s=QSXCR+Q6sek8bf92,i=4096"))
        with pytest.raises(SignallingError, match="prove that it knows the password"):
            scram.finish(encoded(proof) if proof else "")
    with pytest.raises(SignallingError, match="no proof"):
        login("SCRAM-SHA-1", "nonce").finish("")
    with pytest.raises(SignallingError, match="no challenge to PLAIN"):
        login("PLAIN", "nonce").answer("")


def test_names_are_escaped_and_domains_taken_off() -> None:
    account = Account(username="a,b=c@auth.meet.example", password="x")
    assert account.domain == "auth.meet.example"
    assert decoded(login("SCRAM-SHA-1", "n", account).begin()) == "n,,n=a=2Cb=3Dc,r=n"
    assert Account(username="ana", password="x").domain == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
    ],
)
def test_saslprep_as_in_rfc_4013(text: str, expected: str) -> None:
    assert prepare(text) == expected


@pytest.mark.parametrize("text", ["\u0007", "\u06271"])
def test_characters_no_login_may_have_are_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(LocalError, match="expected a user name and password") as refused:
        prepare(text)
    assert text not in str(refused.value)


def test_passwords_are_not_shown() -> None:
    assert "pencil" not in repr(ACCOUNT)


@given(st.text(max_size=80), st.booleans())
def test_any_challenge_is_answered_or_refused(challenge: str, raw: bool) -> None:
    scram = login("SCRAM-SHA-1", "nonce")
    with contextlib.suppress(SignallingError):
        scram.answer(challenge if raw else base64.b64encode(challenge.encode("utf-8", "replace")).decode())
    with contextlib.suppress(SignallingError):
        scram.finish(challenge)
