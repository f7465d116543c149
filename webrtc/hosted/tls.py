"""Certificates of the hosted room: one that was given, or a self-signed one made on the first run.

Browsers give a page the microphone on https (or on localhost) only. The self-signed certificate lives with its key
in one file of the state directory, readable by its owner only, and is made anew when it expires or when the names
it must carry change.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webrtc.errors import LocalError

logger = logging.getLogger(__name__)

SELF_SIGNED_FILE = "self-signed.pem"
LIFETIME = timedelta(days=365)
_CLOCK_SKEW = timedelta(
    hours=1
)  # a phone whose clock is a little behind must not see a certificate of the future


@dataclass(frozen=True, kw_only=True)
class SelfSigned:
    """A certificate of our own making; browsers warn of it, and after a click give the microphone."""

    state_dir: Path
    """Where the certificate is kept; made when missing."""


@dataclass(frozen=True, kw_only=True)
class GivenCertificate:
    """A certificate somebody signed for us."""

    certificate: Path
    """PEM: the server's certificate, then the intermediate ones."""

    key: Path
    """PEM: its private key, without a passphrase."""


Tls = SelfSigned | GivenCertificate


def server_context(tls: Tls, names: frozenset[str], now: datetime) -> ssl.SSLContext:
    """The TLS context to serve with, TLS 1.2 at least.

    Args:
        tls: which certificate.
        names: host names and addresses a self-signed certificate must be valid for.
        now: wall clock, aware; decides whether a kept self-signed certificate still holds.

    Raises:
        LocalError: a file cannot be read or written, or key and certificate do not belong together.
    """
    match tls:
        case SelfSigned():
            path = self_signed(tls.state_dir, names, now)
            return _load(path, path)
        case GivenCertificate():
            return _load(tls.certificate, tls.key)


def self_signed(state_dir: Path, names: frozenset[str], now: datetime) -> Path:
    """The file with our self-signed certificate and its key, made or renewed when needed.

    Raises:
        LocalError: the state directory cannot be written.
    """
    path = state_dir / SELF_SIGNED_FILE
    try:
        if not _still_holds(path, names, now):
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_private(path, _make(names, now))
            logger.info("made a self-signed certificate for %s: %s", ", ".join(sorted(names)), path)
    except OSError as error:
        raise LocalError(f"expected to keep a certificate in {state_dir}, got: {error.strerror}") from error
    return path


def _still_holds(path: Path, names: frozenset[str], now: datetime) -> bool:
    """Whether the kept certificate is readable, carries all `names` and has not expired."""
    try:
        pem = path.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        serialization.load_pem_private_key(pem, password=None)
        carried = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, TypeError, x509.ExtensionNotFound):
        return False  # absent, or cut short: both are mended by making it anew
    known = {str(name.value) for name in carried}
    return names <= known and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _make(names: frozenset[str], now: datetime) -> bytes:
    """PEM of a fresh key and its self-signed certificate (RFC 5280), ECDSA on P-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "interpreter, self-signed")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in sorted(names)]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise LocalError(f"expected a host name in ASCII for the certificate, got {name!a}") from error


def _write_private(path: Path, pem: bytes) -> None:
    """Replaces `path` in one step; mkstemp makes files of mode 0600, so the key is never readable by others."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        _check_readable(path)
    try:
        # Without a password OpenSSL would ask for one on the terminal; an empty one makes it fail instead.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        expected = "a PEM certificate and its private key, without a passphrase, that belong together"
        raise LocalError(f"expected {expected}, got {certificate} and {key}: {_reason(error)}") from error
    return context


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise LocalError(f"expected a readable PEM file, got {path}: {error.strerror}") from error


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "not PEM").lower().replace("_", " ")


def utc_now() -> datetime:
    """The wall clock, for `server_context`."""
    return datetime.now(UTC)
