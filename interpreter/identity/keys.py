"""The Ed25519 key an interpreter signs with, and how others know it: JWK, thumbprint, key set (RFC 7517, 7638, 8037).

The private key is made on first use and kept in the state folder, readable by its owner only, or comes as PEM from
wherever the configuration says.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from interpreter.errors import IdentityError
from interpreter.identity.encoding import Json, canonical, from_base64url, shown, to_base64url

logger = logging.getLogger(__name__)

KEY_FILE = "identity-key.pem"
MAX_KEY_SET_BYTES = 100_000
SIGNATURE_BYTES = 64
_PUBLIC_BYTES = 32


@dataclass(frozen=True)
class PublicKey:
    """What checks signatures."""

    x: bytes
    """[32], the encoded point (RFC 8032)."""

    @property
    def thumbprint(self) -> str:
        """Names the key: SHA-256 of its required members (RFC 7638), base64url."""
        required: Json = {"crv": "Ed25519", "kty": "OKP", "x": to_base64url(self.x)}
        return to_base64url(hashlib.sha256(canonical(required)).digest())

    @property
    def jwk(self) -> dict[str, Json]:
        """As a member of a key set, named by its thumbprint."""
        return {
            "alg": "EdDSA",
            "crv": "Ed25519",
            "kid": self.thumbprint,
            "kty": "OKP",
            "use": "sig",
            "x": to_base64url(self.x),
        }

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the key's owner signed exactly `data`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.x).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class IdentityKey:
    """A private key; it is never shown, and leaves the process only as the PEM that `kept_key` writes."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        self.public = PublicKey(private.public_key().public_bytes(*raw))
        self.thumbprint = self.public.thumbprint

    @classmethod
    def generate(cls) -> IdentityKey:
        """A new one."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, data: bytes) -> bytes:
        """The signature [64] of `data` (RFC 8032); the same for the same bytes."""
        return self._private.sign(data)

    def pem(self) -> bytes:
        """The private key as PKCS #8 in PEM, without a passphrase."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def key_from_pem(pem: str, where: str) -> IdentityKey:
    """The key that `pem` holds.

    Args:
        pem: PKCS #8 without a passphrase, as `openssl genpkey -algorithm ed25519` writes it.
        where: it came from, for the message, which never says what it holds.

    Raises:
        IdentityError: it is no such key.
    """
    try:
        private = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError(
            f"expected an Ed25519 private key in PEM in {where}, got something else"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise IdentityError(f"expected an Ed25519 key in {where}, got another kind of key")
    return IdentityKey(private)


def kept_key(state_dir: Path) -> IdentityKey:
    """The key of the state folder, made on first use.

    Raises:
        IdentityError: the folder cannot be written, or its key is damaged or readable by others.
    """
    path = state_dir / KEY_FILE
    try:
        if not path.exists():
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_new(path, IdentityKey.generate().pem())
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise IdentityError(f"expected {path} to be readable by its owner only, got mode {mode:04o}")
        return key_from_pem(path.read_text(encoding="ascii"), str(path))
    except UnicodeDecodeError as error:
        raise IdentityError(f"expected a private key in PEM in {path}, got something else") from error
    except OSError as error:
        raise IdentityError(f"expected to keep a key in {state_dir}, got: {error.strerror}") from error


def key_set(keys: Iterable[PublicKey]) -> dict[str, Json]:
    """The key set (RFC 7517 section 5) to publish, `application/jwk-set+json`."""
    return {"keys": [key.jwk for key in keys]}


def read_key_set(value: Json) -> Mapping[str, PublicKey]:
    """The Ed25519 keys of a key set by thumbprint; keys of other kinds are passed over, as RFC 7517 asks.

    Raises:
        IdentityError: it is no key set, or publishes a private key.
    """
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list):
        raise IdentityError("expected a JWK set, an object with the list `keys`, got something else")
    ours = (_public(jwk) for jwk in keys if isinstance(jwk, dict) and _is_ed25519(jwk))
    return {key.thumbprint: key for key in ours}


def load_key_set(path: Path) -> Mapping[str, PublicKey]:
    """The keys of a key set's file.

    Raises:
        IdentityError: it cannot be read, or holds no Ed25519 key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_SET_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"expected a readable key set, got {path}: {error.strerror}") from error
    if len(data) > MAX_KEY_SET_BYTES:
        raise IdentityError(f"expected at most {MAX_KEY_SET_BYTES} bytes of key set in {path}, got more")
    try:
        keys = read_key_set(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise IdentityError(f"expected a key set in JSON in {path}, got something else") from error
    if not keys:
        raise IdentityError(f"expected an Ed25519 key in {path}, got none")
    return keys


def _is_ed25519(jwk: Mapping[str, Json]) -> bool:
    return jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519"


def _public(jwk: Mapping[str, Json]) -> PublicKey:
    if "d" in jwk:
        raise IdentityError("expected public keys only, got a private one: it is no secret any more")
    x = jwk.get("x")
    point = from_base64url(x) if isinstance(x, str) else b""
    if len(point) != _PUBLIC_BYTES:
        raise IdentityError(f"expected {_PUBLIC_BYTES} bytes as `x` of a key, got {len(point)}")
    key = PublicKey(point)
    if jwk.get("kid", key.thumbprint) != key.thumbprint:
        raise IdentityError(
            f"expected the thumbprint {key.thumbprint} as `kid`, got {shown(str(jwk['kid']))}"
        )
    return key


def _write_new(path: Path, pem: bytes) -> None:
    """Writes `path` in one step unless somebody else just did; mkstemp makes files of mode 0600."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        os.link(temporary, path)
        logger.info("made an identity key: %s", path)
    except FileExistsError:
        logger.debug("another process made %s first", path)
    finally:
        Path(temporary).unlink()
