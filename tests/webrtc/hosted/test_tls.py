from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from webrtc.errors import LocalError
from webrtc.hosted.tls import GivenCertificate, SelfSigned, self_signed, server_context

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def split(path: Path, folder: Path) -> GivenCertificate:
    """A self-signed file as a certificate and a key of their own."""
    pem = path.read_bytes()
    at = pem.index(b"-----BEGIN PRIVATE KEY-----")
    given = GivenCertificate(certificate=folder / "cert.pem", key=folder / "key.pem")
    given.certificate.write_bytes(pem[:at])
    given.key.write_bytes(pem[at:])
    return given


def test_the_certificate_names_its_hosts_and_lasts_a_year(tmp_path: Path) -> None:
    path = self_signed(tmp_path / "a" / "b", NAMES, NOW)
    names = certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(name.value) for name in names} == NAMES
    assert certificate(path).not_valid_after_utc == NOW + timedelta(days=365)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [kept.name for kept in path.parent.iterdir()] == ["self-signed.pem"]


def test_the_certificate_is_kept(tmp_path: Path) -> None:
    first = self_signed(tmp_path, NAMES, NOW).read_bytes()
    assert self_signed(tmp_path, frozenset({"localhost"}), NOW + timedelta(days=364)).read_bytes() == first


@pytest.mark.parametrize(
    ("names", "later"),
    [(NAMES, timedelta(days=365)), (NAMES | {"clinic.example"}, timedelta()), (NAMES, -timedelta(days=2))],
)
def test_a_certificate_that_no_longer_holds_is_renewed(
    tmp_path: Path, names: frozenset[str], later: timedelta
) -> None:
    first = self_signed(tmp_path, NAMES, NOW).read_bytes()
    assert self_signed(tmp_path, names, NOW + later).read_bytes() != first


def test_a_damaged_certificate_is_renewed(tmp_path: Path) -> None:
    path = self_signed(tmp_path, NAMES, NOW)
    path.write_bytes(path.read_bytes()[:300])
    server_context(SelfSigned(state_dir=tmp_path), NAMES, NOW)
    assert certificate(path)


def test_a_given_certificate_is_used(tmp_path: Path) -> None:
    assert server_context(split(self_signed(tmp_path, NAMES, NOW), tmp_path), NAMES, NOW)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    given = split(self_signed(tmp_path / "one", NAMES, NOW), tmp_path)
    missing = tmp_path / "missing.pem"
    with pytest.raises(LocalError, match="missing.pem: No such file"):
        server_context(GivenCertificate(certificate=missing, key=given.key), NAMES, NOW)
    other = self_signed(tmp_path / "two", NAMES, NOW)
    with pytest.raises(LocalError, match="that belong together, got .*key values mismatch"):
        server_context(GivenCertificate(certificate=given.certificate, key=other), NAMES, NOW)
    given.certificate.write_text("not a certificate")
    with pytest.raises(LocalError, match="expected a PEM certificate"):
        server_context(given, NAMES, NOW)


def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    given = split(self_signed(tmp_path, NAMES, NOW), tmp_path)
    key = serialization.load_pem_private_key(given.key.read_bytes(), password=None)
    given.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hush"),
        )
    )
    with pytest.raises(LocalError, match="without a passphrase"):
        server_context(given, NAMES, NOW)


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="expected to keep a certificate in"):
        self_signed(tmp_path / "file" / "state", NAMES, NOW)


def test_a_name_no_certificate_can_carry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="expected a host name in ASCII"):
        self_signed(tmp_path, frozenset({"clínica.example"}), NOW)
