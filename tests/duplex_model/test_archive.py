from __future__ import annotations

import gzip
import io
import re
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.archive import unpack_files
from duplex_model.errors import CheckpointError

VOICE = re.compile(r"[A-Z0-9]+\.pt")


def member(
    name: str, content: bytes = b"voice", kind: bytes = tarfile.REGTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = "/etc/passwd"
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def unpack(archive: Path) -> dict[str, bytes]:
    folder = archive.parent / "out"
    folder.mkdir(exist_ok=True)
    paths = unpack_files(archive, folder, VOICE, max_file_bytes=100, max_bytes=1000)
    assert sorted(paths) == sorted(folder.iterdir())
    return {path.name: path.read_bytes() for path in paths}


def test_files_land_side_by_side(tmp_path: Path) -> None:
    archive = packed(
        tmp_path / "voices.tgz",
        member("voices", kind=tarfile.DIRTYPE),
        member("voices/NATF0.pt", b"a"),
        member("./voices/NATM1.pt", b"b"),
        member("voices/._NATF0.pt", b"what a file manager left"),
        member("voices/README.md", b"x"),
    )
    assert unpack(archive) == {"NATF0.pt": b"a", "NATM1.pt": b"b"}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (member("/A.pt"), "leads out of it"),
        (member("../A.pt"), "leads out of it"),
        (member("voices/../../A.pt"), "leads out of it"),
        (member("A.pt", kind=tarfile.SYMTYPE), "link or device"),
        (member("A.pt", kind=tarfile.LNKTYPE), "link or device"),
        (member("A.pt", kind=tarfile.CHRTYPE), "link or device"),
        (member("A.pt", kind=tarfile.FIFOTYPE), "link or device"),
        (member("A.pt", bytes(101)), "files of at most 100 bytes, got 101"),
        (member("other.bin", bytes(1001)), "1000 bytes, got more"),
        (member("elsewhere/GOOD.pt"), "every file once"),
    ],
)
def test_what_no_voice_archive_needs(
    tmp_path: Path, bad: tuple[tarfile.TarInfo, bytes], message: str
) -> None:
    archive = packed(tmp_path / "voices.tgz", member("voices/GOOD.pt"), bad)
    with pytest.raises(CheckpointError, match=message):
        unpack(archive)
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(written) == ["out/GOOD.pt", "voices.tgz"]


def test_too_many_members(tmp_path: Path) -> None:
    archive = packed(tmp_path / "voices.tgz", *(member(f"{n}.txt", b"") for n in range(1001)))
    with pytest.raises(CheckpointError, match="at most 1000 members"):
        unpack(archive)


def test_an_archive_cut_short(tmp_path: Path) -> None:
    archive = packed(tmp_path / "voices.tgz", member("A.pt", bytes(range(100))))
    archive.write_bytes(archive.read_bytes()[:-60])
    with pytest.raises(CheckpointError, match="expected a .tgz archive"):
        unpack(archive)


def test_no_archive_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a .tgz archive"):
        unpack(tmp_path / "missing.tgz")


@given(st.binary(max_size=2000))
@settings(deadline=None, max_examples=50)
def test_garbage_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    archive = tmp_path_factory.mktemp("garbage") / "voices.tgz"
    archive.write_bytes(content)
    with pytest.raises(CheckpointError, match="expected a .tgz archive"):
        unpack(archive)


@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=200)
def test_damaged_headers_never_lead_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    archive = packed(folder / "voices.tgz", member("voices/A.pt"), member("voices/B.pt"))
    content = bytearray(gzip.decompress(archive.read_bytes()))
    for place, value in changes:
        content[place] = value
    for header in (0, 1024):  # with right checksums, so that the damage is read
        block = content[header : header + 512]
        block[148:156] = b" " * 8
        content[header + 148 : header + 156] = b"%06o\0 " % sum(block)
    archive.write_bytes(gzip.compress(bytes(content)))
    with suppress(CheckpointError):
        assert all(VOICE.fullmatch(name) for name in unpack(archive))
    assert {path.name for path in folder.iterdir()} == {"voices.tgz", "out"}
