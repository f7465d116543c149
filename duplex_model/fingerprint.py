"""Which files a checkpoint and its voices are: hashes that name exactly what speaks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

_BLOB_NAME = re.compile(r"[0-9a-f]{64}")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    A file in the hub's cache is a link to one that is named by its hash, which was checked when it was fetched: that of
    17 GB is not computed anew at every start.
    """
    target = path.resolve()
    if path.is_symlink() and _BLOB_NAME.fullmatch(target.name):
        return target.name
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and hashes of files, whatever their order and wherever they lie."""
    lines = sorted(f"{path.name} {file_hash(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
