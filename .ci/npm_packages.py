"""Fetches the few npm packages that tests use unchanged, into .cache/npm; nothing of them is run outside a browser.

Each is pinned by its version and by the hash that the registry publishes for it. Exit code 1: one is missing still, and
the tests that need it will be skipped visibly.
"""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".cache" / "npm"
REGISTRY = "https://registry.npmjs.org"
PACKAGES = {
    # Clients of WHIP and WHEP, by an author of both; MIT licence.
    "whip-whep-1.2.0": "CP+Tht3O/N6QLebW5LxsNKgzFN5KX6WinLr1SLs74feagYu+Gqy+0dw48p5RQuE+FlrM4xyOlOdW2UOQwljImA==",
}
"""Name and version -> SHA-512 of the tarball, in base64."""

TRIES = 3


def main() -> int:
    """Fetches what is not there yet."""
    missing = [package for package in PACKAGES if not (FOLDER / package).is_dir()]
    for package in missing:
        try:
            unpack(package, fetch(package))
        except (OSError, ValueError, tarfile.TarError) as error:
            sys.stdout.write(f"Missing: {package} of npm ({error}). Tests that need it will be skipped.\n")
            return 1
        sys.stdout.write(f"Fetched for the tests: {package} of npm\n")
    return 0


def fetch(package: str) -> bytes:
    """The package's tarball, if it is the one that was pinned."""
    url = f"{REGISTRY}/{package.rsplit('-', 1)[0]}/-/{package}.tgz"
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                tarball: bytes = response.read()
            break
        except urllib.error.URLError:
            if attempt == TRIES - 1:
                raise
            time.sleep(2**attempt)
    if base64.b64encode(hashlib.sha512(tarball).digest()).decode() != PACKAGES[package]:
        raise ValueError("expected the pinned tarball, got another")
    return tarball


def unpack(package: str, tarball: bytes) -> None:
    """Keeps the modules of a package, and its licence; in one step, so that half a package is never found."""
    half = FOLDER / f".{package}"
    half.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for member in archive:
            name = Path(member.name)
            if member.isfile() and len(name.parts) == 2 and (name.suffix == ".js" or name.name == "LICENSE"):
                content = archive.extractfile(member)
                assert content is not None, "regular files have content"
                (half / name.name).write_bytes(content.read())
    half.rename(FOLDER / package)


if __name__ == "__main__":
    sys.exit(main())
