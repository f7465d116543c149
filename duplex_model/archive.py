"""Unpacks a compressed tar archive from elsewhere: only plain files of expected names and sizes ever reach the disk."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zlib import error as ZlibError

from duplex_model.errors import CheckpointError

_MAX_MEMBERS = 1000


def unpack_files(
    archive: Path, folder: Path, wanted: re.Pattern[str], *, max_file_bytes: int, max_bytes: int
) -> list[Path]:
    """Unpacks the files whose name, without its folders, matches `wanted`, side by side into `folder`.

    Args:
        archive: tar with gzip. It is read as a stream and never trusted about its size.
        folder: exists; files in it are replaced.
        wanted: what whole file names must match; files of other names are skipped.
        max_file_bytes: of one file.
        max_bytes: of all members together, the skipped ones included.

    Returns:
        The files, in the archive's order.

    Raises:
        CheckpointError: no such archive, or one with links, devices, absolute names, names with `..`, two files of
            one name, or more than the limits. Nothing outside `folder` was touched.
    """
    unpacked: list[Path] = []
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in _checked(members, archive, max_bytes):
                name = PurePosixPath(member.name).name
                if not wanted.fullmatch(name):
                    continue
                if member.size > max_file_bytes:
                    raise _bad(archive, f"files of at most {max_file_bytes} bytes", f"{member.size}", member)
                if folder / name in unpacked:
                    raise _bad(archive, "every file once", "another", member)
                content = members.extractfile(member)
                assert content is not None  # a plain file has content
                (folder / name).write_bytes(content.read(max_file_bytes))
                unpacked.append(folder / name)
    except (tarfile.TarError, EOFError, ZlibError, OSError) as error:
        raise CheckpointError(f"expected a .tgz archive at {archive}: {error}; download it again") from error
    return unpacked


def _checked(members: tarfile.TarFile, archive: Path, max_bytes: int) -> Iterator[tarfile.TarInfo]:
    """The plain files, each checked before the archive is read on."""
    total = 0
    for count, member in enumerate(members, start=1):
        total += member.size
        path = PurePosixPath(member.name)
        if count > _MAX_MEMBERS or total > max_bytes:
            raise _bad(archive, f"at most {_MAX_MEMBERS} members and {max_bytes} bytes", "more", member)
        if path.is_absolute() or ".." in path.parts:
            raise _bad(archive, "names inside the archive", "one that leads out of it", member)
        if not (member.isreg() or member.isdir()):
            raise _bad(archive, "files and folders only", "a link or device", member)
        if member.isreg():
            yield member


def _bad(archive: Path, expected: str, came: str, member: tarfile.TarInfo) -> CheckpointError:
    return CheckpointError(f"{archive}: expected {expected}, got {came} ({ascii(member.name)[:80]})")
