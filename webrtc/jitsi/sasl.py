"""Logging in to an XMPP server: SASL ANONYMOUS, PLAIN and SCRAM, without any input or output.

Guests, and guests with a token, log in as ANONYMOUS: Jitsi takes the token from the connection's URL. SCRAM (RFC 5802,
RFC 7677) goes before PLAIN, and proves that the server knows the password too. Channel binding is not offered: a
browser's WebSocket has none, so no Jitsi server asks for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from webrtc.errors import LocalError, SignallingError

MIN_ITERATIONS = 4_096  # RFC 7677 section 4
MAX_ITERATIONS = 1_000_000
"""About a second: a server that wants more wants to keep us busy."""

_HASHES = {"SCRAM-SHA-512": "sha512", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
"""Best first."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Somebody the server knows."""

    username: str
    """A name on the server's own domain, or `name@domain`."""

    password: str = field(repr=False)

    @property
    def name(self) -> str:
        """What goes into the login."""
        return self.username.partition("@")[0]

    @property
    def domain(self) -> str:
        """Where to log in; empty for the server's own domain."""
        return self.username.partition("@")[2]


class Login(Protocol):
    """One attempt, from the first message to the server's last."""

    @property
    def mechanism(self) -> str:
        """Name as SASL registers it."""
        ...

    def begin(self) -> str | None:
        """What goes with the mechanism's name: base64, `=` for nothing to say, None for nothing at all."""
        ...

    def answer(self, challenge: str) -> str:
        """The answer to a challenge, both base64.

        Raises:
            SignallingError: the server must not ask that, or not so.
        """
        ...

    def finish(self, success: str) -> None:
        """Checks what came with the server's yes, base64 or empty.

        Raises:
            SignallingError: the server has not proved what it must.
        """
        ...


def choose(offered: Iterable[str], account: Account | None, nonce: str) -> Login | None:
    """The best way to log in that the server offers; None where it offers none.

    Args:
        offered: mechanisms, as the server names them.
        account: None logs in as a guest.
        nonce: unpredictable, printable, without commas; used once.

    Raises:
        LocalError: user name or password hold characters that no login may have.
    """
    names = set(offered)
    if account is None:
        return _Anonymous() if "ANONYMOUS" in names else None
    prepared = Account(username=prepare(account.name), password=prepare(account.password))
    for name in _HASHES:
        if name in names:
            return _Scram(name, prepared, nonce)
    return _Plain(prepared) if "PLAIN" in names else None


class _Anonymous:
    """Nothing to prove (RFC 4505)."""

    mechanism = "ANONYMOUS"

    def begin(self) -> str | None:
        return None

    def answer(self, challenge: str) -> str:
        return ""

    def finish(self, success: str) -> None:
        pass


class _Plain:
    """The password itself, under TLS (RFC 4616)."""

    mechanism = "PLAIN"

    def __init__(self, account: Account) -> None:
        self._account = account

    def begin(self) -> str | None:
        return _base64(f"\0{self._account.username}\0{self._account.password}".encode())

    def answer(self, challenge: str) -> str:
        raise SignallingError("expected no challenge to PLAIN, got one")

    def finish(self, success: str) -> None:
        pass


class _Scram:
    """A proof of the password that does not give it away, and the server's in return (RFC 5802 section 3)."""

    def __init__(self, mechanism: str, account: Account, nonce: str) -> None:
        self.mechanism = mechanism
        self._hash = _HASHES[mechanism]
        self._password = account.password.encode()
        self._nonce = nonce
        username = account.username.replace("=", "=3D").replace(",", "=2C")
        self._first = f"n={username},r={nonce}"
        self._server_signature = b""
        self._proved = False

    def begin(self) -> str | None:
        return _base64(f"n,,{self._first}".encode())

    def answer(self, challenge: str) -> str:
        text = _text(challenge)
        if self._server_signature:
            self._check_signature(text)
            return ""
        fields = _fields(text)
        nonce, salt, iterations = fields.get("r", ""), fields.get("s", ""), fields.get("i", "")
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce) or "m" in fields:
            raise SignallingError("expected a SCRAM challenge that continues our nonce, got another")
        if not iterations.isascii() or not iterations.isdigit() or len(iterations) > 7:
            raise SignallingError("expected a number of SCRAM iterations, got none")
        count = int(iterations)
        if not MIN_ITERATIONS <= count <= MAX_ITERATIONS:
            raise SignallingError(
                f"expected {MIN_ITERATIONS} to {MAX_ITERATIONS} SCRAM iterations, got {count}"
            )
        return self._proof(nonce, _bytes(salt), count, text)

    def _proof(self, nonce: str, salt: bytes, iterations: int, challenge: str) -> str:
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, salt, iterations)
        final = f"c=biws,r={nonce}"  # biws is "n,,": no channel binding
        signed = f"{self._first},{challenge},{final}".encode()
        client_key = self._hmac(salted, b"Client Key")
        signature = self._hmac(hashlib.new(self._hash, client_key).digest(), signed)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = self._hmac(self._hmac(salted, b"Server Key"), signed)
        return _base64(f"{final},p={_base64(proof)}".encode())

    def finish(self, success: str) -> None:
        if success and success != "=":
            self._check_signature(_text(success))
        if not self._proved:
            raise SignallingError("expected the server to prove that it knows the password, got no proof")

    def _check_signature(self, text: str) -> None:
        shown = _bytes(_fields(text).get("v", ""))
        if not self._server_signature or not hmac.compare_digest(shown, self._server_signature):
            raise SignallingError(
                "expected the server to prove that it knows the password, got a wrong proof"
            )
        self._proved = True

    def _hmac(self, key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, self._hash)


def prepare(text: str) -> str:
    """A user name or password in the one form in which both sides compare it (SASLprep, RFC 4013).

    Raises:
        LocalError: it holds characters that are not allowed; they are not quoted.
    """
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c))
    prepared = unicodedata.normalize("NFKC", mapped)
    for c in prepared:
        if stringprep.in_table_c21_c22(c) or any(table(c) for table in _PROHIBITED):
            raise LocalError("expected a user name and password without control or special characters")
    if any(stringprep.in_table_d1(c) for c in prepared) and (
        any(stringprep.in_table_d2(c) for c in prepared)
        or not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1]))
    ):
        raise LocalError("expected a user name and password written in one direction")
    return prepared


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise SignallingError("expected base64 from the login, got something else") from None


def _text(text: str) -> str:
    try:
        return _bytes(text.strip()).decode()
    except UnicodeDecodeError:
        raise SignallingError("expected text from the login, got bytes that are none") from None


def _fields(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)
