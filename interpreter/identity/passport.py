"""The passport of a session: a short-lived signed statement of who interprets, as what, for whom (RFC 7519, 8037).

An EdDSA JWT whose header and claims are canonical JSON. `cnf.jkt` (RFC 7800, 9449) names the key that signs the
session's attestations, which here is the one that signs the passport. Pure: time is an argument, in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from interpreter.errors import IdentityError
from interpreter.identity.encoding import (
    Json,
    canonical,
    from_base64url,
    integer_in,
    members,
    parse_canonical,
    text_in,
    to_base64url,
)
from interpreter.identity.keys import IdentityKey, PublicKey

LIFETIME_S = 900
"""15 min: how long one that got into wrong hands may be shown around."""

RENEW_S = 600
"""10 min: a new one is issued well before the old one ends, whatever the clocks of those who check it."""

TOKEN_TYPE = "interpreter-passport+jwt"
"""Explicit, so that no other JWT of the same key passes for one (RFC 8725 section 3.11)."""

MAX_TOKEN_CHARACTERS = 200_000
CHECKSUM = r"[0-9a-f]{64}"
_FINGERPRINT = r"[a-z0-9-]{1,20} [0-9A-F]{2}(:[0-9A-F]{2}){15,63}"


@dataclass(frozen=True, kw_only=True)
class RoleClaim:
    """Which role speaks."""

    name: str
    """Such as `medical-consecutive`."""

    checksum: str
    """SHA-256 in hexadecimal over everything that makes the role what it is."""


@dataclass(frozen=True, kw_only=True)
class DirectionClaim:
    """What the interpreter may be heard interpreting, by which model, and as what."""

    language_in: str
    language_out: str
    checkpoint: str
    licence: str
    role: RoleClaim | None = None
    """Where it is another than the passport's: a speaker's own role, or the same one with another voice or model."""


@dataclass(frozen=True, kw_only=True)
class Passport:
    """What a passport says."""

    issuer: str
    """Who runs the interpreter, such as its public address."""

    subject: str
    """The interpreter's own id in the meeting."""

    room: str
    operator: str | None
    """Who answers for it now; None where nobody was named."""

    role: RoleClaim
    directions: tuple[DirectionClaim, ...]
    """Each once, in the order of their canonical JSON: `in_order`."""

    scope: tuple[str, ...]
    """What it may do, such as `interpret`, `speak`, `transcribe`."""

    issued_at_s: int
    expires_at_s: int
    """At most `LIFETIME_S` after `issued_at_s`."""

    token_id: str
    """`jti`, unique for the issuer; records name the passport by it."""

    key: str
    """Thumbprint of the key that signs what the session attests, and this."""

    dtls_fingerprint: str | None = None
    """Of the certificate on the first hop, as in SDP: `sha-256 AB:CD:...` (RFC 8122). Behind an SFU a listener sees
    another, the bridge's."""

    def holds_at(self, now_s: float) -> bool:
        """Whether it is valid at `now_s`."""
        return self.issued_at_s <= now_s < self.expires_at_s


def in_order(claims: Iterable[DirectionClaim]) -> tuple[DirectionClaim, ...]:
    """`claims` as a passport lists them."""
    return tuple(sorted(set(claims), key=lambda claim: canonical(_direction_claim(claim))))


def issue(passport: Passport, key: IdentityKey) -> str:
    """The signed token of `passport`.

    Raises:
        IdentityError: it says what none may say, such as a longer life, or names another key.
    """
    header = {"alg": "EdDSA", "kid": key.thumbprint, "typ": TOKEN_TYPE}
    signed = f"{to_base64url(canonical(header))}.{to_base64url(canonical(_claims(passport)))}"
    token = f"{signed}.{to_base64url(key.sign(signed.encode()))}"
    read(token, {key.thumbprint: key.public})
    return token


def read(token: str, keys: Mapping[str, PublicKey]) -> Passport:
    """What a token says that one of `keys`, by thumbprint, signed. Whether it still holds is not looked at.

    Raises:
        IdentityError: it is no such token, in any way.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise IdentityError(
            f"expected a passport of {MAX_TOKEN_CHARACTERS} characters at most, got {len(token)}"
        )
    parts = token.split(".")
    if len(parts) != 3:
        raise IdentityError(f"expected a passport of three parts, got {len(parts)}")
    header, claims, signature = (from_base64url(part) for part in parts)
    kid = _key_of(header)
    if kid not in keys:
        raise IdentityError(f"expected a passport signed by a key that is known, got one by {kid}")
    if not keys[kid].verifies(signature, f"{parts[0]}.{parts[1]}".encode()):
        raise IdentityError(f"expected a passport signed by the key {kid}, got another signature")
    passport = _passport(parse_canonical(claims))
    if passport.key != kid:
        raise IdentityError(f"expected the key {kid} as `jkt`, got {passport.key}")
    return passport


def _key_of(header: bytes) -> str:
    record = members(parse_canonical(header), "alg kid typ")
    for name, expected in (("alg", "EdDSA"), ("typ", TOKEN_TYPE)):
        if record[name] != expected:
            raise IdentityError(f"expected {expected} as a passport's `{name}`, got another")
    return text_in(record, "kid", longest=100)


def _claims(passport: Passport) -> dict[str, Json]:
    claims: dict[str, Json] = {
        "iss": passport.issuer,
        "sub": passport.subject,
        "room": passport.room,
        "role": _role_claim(passport.role),
        "directions": [_direction_claim(claim) for claim in passport.directions],
        "scope": " ".join(passport.scope),  # RFC 8693 section 4.2
        "iat": passport.issued_at_s,
        "exp": passport.expires_at_s,
        "jti": passport.token_id,
        "cnf": {"jkt": passport.key},
    }
    optional = {"operator": passport.operator, "dtls_fp": passport.dtls_fingerprint}
    return claims | {name: value for name, value in optional.items() if value is not None}


def _role_claim(role: RoleClaim) -> dict[str, Json]:
    return {"name": role.name, "checksum": role.checksum}


def _direction_claim(claim: DirectionClaim) -> dict[str, Json]:
    members_of_all: dict[str, Json] = {
        "language_in": claim.language_in,
        "language_out": claim.language_out,
        "checkpoint": claim.checkpoint,
        "licence": claim.licence,
    }
    return members_of_all | ({"role": _role_claim(claim.role)} if claim.role is not None else {})


def _passport(value: Json) -> Passport:
    claims = members(value, "iss sub room role directions scope iat exp jti cnf", "operator dtls_fp")
    issued_at_s = integer_in(claims, "iat")
    return Passport(
        issuer=text_in(claims, "iss"),
        subject=text_in(claims, "sub"),
        room=text_in(claims, "room"),
        operator=text_in(claims, "operator") if "operator" in claims else None,
        role=_role(claims["role"]),
        directions=_directions(claims["directions"]),
        scope=tuple(text_in(claims, "scope", pattern=r"([a-z_]+( [a-z_]+)*)?").split()),
        issued_at_s=issued_at_s,
        expires_at_s=integer_in(claims, "exp", issued_at_s + 1, issued_at_s + LIFETIME_S),
        token_id=text_in(claims, "jti", longest=100),
        key=text_in(members(claims["cnf"], "jkt"), "jkt", longest=100),
        dtls_fingerprint=text_in(claims, "dtls_fp", pattern=_FINGERPRINT) if "dtls_fp" in claims else None,
    )


def _role(value: Json) -> RoleClaim:
    role = members(value, "name checksum")
    return RoleClaim(name=text_in(role, "name"), checksum=text_in(role, "checksum", pattern=CHECKSUM))


def _directions(value: Json) -> tuple[DirectionClaim, ...]:
    if not isinstance(value, list):
        raise IdentityError("expected a list as `directions`, got something else")
    directions = tuple(_direction(one) for one in value)
    if directions != in_order(directions):
        raise IdentityError("expected `directions` in order and each once, got others")
    return directions


def _direction(value: Json) -> DirectionClaim:
    names = "language_in language_out checkpoint licence"
    direction = members(value, names, "role")
    role = _role(direction["role"]) if "role" in direction else None
    return DirectionClaim(role=role, **{name: text_in(direction, name) for name in names.split()})
