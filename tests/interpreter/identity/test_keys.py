"""The key: made once, kept privately, named as RFC 7638 and RFC 8037 say."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from interpreter.errors import IdentityError
from interpreter.identity.encoding import from_base64url
from interpreter.identity.keys import (
    KEY_FILE,
    MAX_KEY_SET_BYTES,
    IdentityKey,
    PublicKey,
    kept_key,
    key_from_pem,
    key_set,
    load_key_set,
    read_key_set,
)

RFC_8037_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def test_the_thumbprint_is_that_of_rfc_8037_appendix_a_3() -> None:
    key = PublicKey(from_base64url(RFC_8037_X))
    assert key.thumbprint == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert key.jwk["kid"] == key.thumbprint
    assert (key.jwk["kty"], key.jwk["crv"], key.jwk["x"]) == ("OKP", "Ed25519", RFC_8037_X)


def test_a_signature_is_of_exactly_these_bytes_by_exactly_this_key() -> None:
    key = IdentityKey.generate()
    signature = key.sign(b"abc")
    assert key.public.verifies(signature, b"abc")
    assert not key.public.verifies(signature, b"abd")
    assert not IdentityKey.generate().public.verifies(signature, b"abc")


def test_the_kept_key_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    state = tmp_path / "state"
    key = kept_key(state)
    assert kept_key(state).thumbprint == key.thumbprint
    assert stat.S_IMODE((state / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert os.listdir(state) == [KEY_FILE]


def test_two_that_start_at_once_keep_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: kept_key(tmp_path).thumbprint, range(16)))
    assert len(keys) == 1
    assert os.listdir(tmp_path) == [KEY_FILE]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    kept_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(IdentityError, match="readable by its owner only, got mode 0640"):
        kept_key(tmp_path)


def test_a_damaged_key_is_said_and_never_replaced(tmp_path: Path) -> None:
    kept_key(tmp_path)
    pem = (tmp_path / KEY_FILE).read_bytes()
    for damaged in (pem[: len(pem) // 2], b"", b"\xff\xfe"):
        (tmp_path / KEY_FILE).write_bytes(damaged)
        with pytest.raises(IdentityError, match="expected an? (Ed25519 )?private key in PEM"):
            kept_key(tmp_path)
        assert (tmp_path / KEY_FILE).read_bytes() == damaged


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(IdentityError, match="expected to keep a key in .*file"):
        kept_key(tmp_path / "file" / "state")


def test_a_key_of_another_kind_is_refused_without_showing_it() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(IdentityError, match="expected an Ed25519 key in KEY, got another kind") as caught:
        key_from_pem(other.decode(), "KEY")
    assert other.decode()[40:60] not in str(caught.value)


def test_a_key_with_a_passphrase_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    locked = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(IdentityError, match="expected an Ed25519 private key"):
        key_from_pem(locked.decode(), "KEY")


def test_a_key_set_is_read_as_it_was_published(tmp_path: Path) -> None:
    keys = [IdentityKey.generate().public for _ in range(3)]
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(key_set(keys), indent=2))
    assert load_key_set(path) == {key.thumbprint: key for key in keys}


def test_keys_of_other_kinds_are_passed_over() -> None:
    key = IdentityKey.generate().public
    others = [{"kty": "EC", "crv": "P-256", "d": "x"}, {"kty": "OKP", "crv": "X25519"}, {}, "text", None]
    assert read_key_set({"keys": [*others, key.jwk], "more": 1}) == {key.thumbprint: key}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"d": "AAAA"}, "got a private one"),
        ({"x": "AAAA"}, "expected 32 bytes as `x`"),
        ({"x": 5}, "expected 32 bytes as `x`"),
        ({"x": "="}, "base64url"),
        ({"kid": "mine"}, "as `kid`, got 'mine'"),
    ],
)
def test_a_wrong_key_in_a_set_is_said(change: dict[str, object], words: str) -> None:
    with pytest.raises(IdentityError, match=words):
        read_key_set({"keys": [{**IdentityKey.generate().public.jwk, **change}]})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "key set in JSON"),
        (b"\xff", "key set in JSON"),
        (b"[" * 90_000, "key set in JSON"),
        (b"[]", "a JWK set"),
        (b'{"keys":[]}', "an Ed25519 key in"),
        (b" " * (MAX_KEY_SET_BYTES + 1), "bytes of key set"),
    ],
)
def test_a_file_without_keys_is_said(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(content)
    with pytest.raises(IdentityError, match=words):
        load_key_set(path)


def test_a_missing_key_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="readable key set, got .*nowhere"):
        load_key_set(tmp_path / "nowhere")
