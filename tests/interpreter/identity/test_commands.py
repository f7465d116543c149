"""`interpreter verify` as it is called."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from interpreter.__main__ import main
from interpreter.errors import IdentityError
from interpreter.identity.audit import AuditLog
from interpreter.identity.files import LineFile
from interpreter.identity.keys import key_set
from tests.interpreter.identity.sealed import ANA_EN, BEN_ES, KEY, OTHER_KEY, two_directions

MEETING = two_directions()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "attest.jsonl"
    path.write_bytes(b"".join(MEETING.file))
    return path


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(key_set([OTHER_KEY.public, KEY.public])))
    return path


def test_a_good_file_is_verified(file: Path, jwks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(file), "--jwks", str(jwks)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Attestation of meeting 'm7', room 'Room 4'"
    assert out[-3:] == [
        "'ana' 'es'>'en', role 5a5a5a5a: 4 records, 0:00:00.00 to 0:00:07.20, "
        "0 yields, 0 cuts, 0 resumes, 0 operator actions: verified",
        "'ben' 'en'>'es', role 5a5a5a5a: 4 records, 0:00:00.80 to 0:00:07.20, "
        "0 yields, 0 cuts, 0 resumes, 0 operator actions: verified",
        "Verdict: verified",
    ]
    assert f"Trust: key {KEY.thumbprint}, which is in {jwks}" in out
    assert any(line.endswith("role 'medical-consecutive' 5a5a5a5a, operator 'Eva'") for line in out)


def test_an_altered_file_is_not(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(file.read_bytes().replace(b'"cuts":0', b'"cuts":2', 1))
    assert main(["verify", str(file)]) == 1
    out = capsys.readouterr().out
    assert "Line 3: expected a line signed by the key" in out
    assert out.endswith("Verdict: failed\n")


def test_a_file_without_its_end_is_incomplete(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = file.read_bytes()
    file.write_bytes(b"".join(MEETING.file[:-1]))
    assert main(["verify", str(file)]) == 3
    assert "The last line, which would say that the file is whole, is missing" in capsys.readouterr().out
    file.write_bytes(whole[:-1])
    assert main(["verify", str(file)]) == 3
    assert f"Line {len(MEETING.file)}: it is there in part only" in capsys.readouterr().out


def test_a_key_that_is_not_trusted_is_said(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(key_set([OTHER_KEY.public])))
    assert main(["verify", str(file), "--jwks", str(other)]) == 1
    assert "expected a key that is trusted" in capsys.readouterr().out


def test_recordings_are_compared(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracks = [b"".join(MEETING.sound[direction]) for direction in (ANA_EN, BEN_ES)]
    channels = np.stack([np.frombuffer(track, dtype="<i2") for track in tracks], axis=1)
    wav = tmp_path / "all.wav"
    soundfile.write(wav, channels, 24_000, subtype="PCM_16")
    assert main(["verify", str(file), "--audio", str(wav)]) == 0
    assert "Sound of 'ana' 'es'>'en': verified: all.wav channel 1, 4 windows" in capsys.readouterr().out
    changed = channels.copy()
    changed[1920 * 30, 1] ^= 1
    soundfile.write(wav, changed, 24_000, subtype="PCM_16")
    assert main(["verify", str(file), "--audio", str(wav)]) == 1
    expected = "Sound of 'ben' 'en'>'es': failed: all.wav channel 2 differs at 0:00:00.80 to 0:00:02.80"
    assert expected in capsys.readouterr().out


def test_an_audit_log_is_verified_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.jsonl"
    with LineFile(path) as file:
        log = AuditLog(key=KEY, meeting_id="m7", now_s=1_000.0, emit=file.write)
        log.record("interpreting.started", 1_001.0)
        assert main(["verify", str(path)]) == 3  # every line is there at once
        log.end(1_002.0)
    assert main(["verify", str(path)]) == 0
    assert "Audit log of meeting 'm7', 1 events" in capsys.readouterr().out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    wav = tmp_path / "a.wav"
    soundfile.write(wav, np.zeros(1920, dtype="<i2"), 24_000, subtype="PCM_16")
    assert main(["verify", str(path), "--audio", str(wav)]) == 1
    assert "got an audit log" in capsys.readouterr().out


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        assert main(["verify", str(path)]) == 1
        assert capsys.readouterr().err.startswith(f"interpreter: expected a readable file, got {path}")


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "attest.jsonl"
    with LineFile(path) as file:
        file.write("one")
    with pytest.raises(IdentityError, match="expected to write a new file"):
        LineFile(path)
    assert path.read_bytes() == b"one\n"


def test_a_disk_that_is_full_ends_the_file_and_not_the_meeting(caplog: pytest.LogCaptureFixture) -> None:
    class Full(LineFile):
        """Writes to the device that is always full."""

        def __init__(self) -> None:
            self.path = Path("/dev/full")
            self.failure = None
            self._file = os.fdopen(os.open(self.path, os.O_WRONLY), "wb", buffering=0)

    with Full() as file:
        file.write("one")
        assert file.failure == "No space left on device"
        file.write("two")
    assert [record.levelname for record in caplog.records].count("ERROR") >= 1
