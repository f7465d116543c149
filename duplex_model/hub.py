"""Files from a model hub, kept in the hub library's own cache: pinned, resumed, checked, and found again offline.

`huggingface_hub` says what a file is and where (address, size, hash, token) and finds it again in the cache, which
other programs share. The bytes are fetched here, since an interrupted download of that library begins again from
nothing: ours goes on where it stopped, also in another process, and a file enters the cache once its hash is right.

The token is the one of the environment (`HF_TOKEN`); so are `HF_ENDPOINT`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import httpx2
import huggingface_hub
from huggingface_hub import constants, errors

from duplex_model.errors import CheckpointError
from duplex_model.spec import Report

logger = logging.getLogger(__name__)

_READ_BYTES = 1 << 20
_REPORT_STEP = 0.005
_SPARE_BYTES = 256 << 20
"""Left free on a disk that is filled by a download."""

_ATTEMPTS = 6
"""Connections in a row that may break without a byte."""

_TIMEOUT_S = 30.0
"""Without a byte, a connection counts as broken."""

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Answers of servers that can do better a moment later."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,199}")
_ETAG = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


def check_file_name(name: str) -> str:
    """`name`, where it is a file in the folder it is looked for in, and no way out of that folder.

    Raises:
        CheckpointError: it has a path separator, begins with a dot, or is of another form no checkpoint needs.
    """
    if not _FILE_NAME.fullmatch(name):
        raise CheckpointError(f"expected a plain file name in a checkpoint, got {ascii(name)[:80]}")
    return name


@dataclass(frozen=True)
class _Remote:
    """A file as the hub describes it."""

    name: str
    commit: str
    etag: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A model hub and the local cache of its files."""

    endpoint: str | None = None
    """Its address; None for that of the environment, by default the public hub."""

    cache: Path | None = None
    """The cache's folder; None for that of the environment."""

    pause: Callable[[float], None] = time.sleep
    """Waits so many seconds between two attempts."""

    def fetch(
        self, repository: str, names: Sequence[str], *, revision: str, report: Report
    ) -> Mapping[str, Path]:
        """Files of one commit of a repository, downloaded unless they are in the cache.

        Args:
            repository: `owner/name`.
            names: of the files.
            revision: a commit, branch or tag. A whole commit that is in the cache is taken without asking the hub.
            report: called in this thread.

        Returns:
            Each name and its local path.

        Raises:
            CheckpointError: one sentence that says what is wrong and what to do.
        """
        for name in names:
            check_file_name(name)
        if not _REVISION.fullmatch(revision) or ".." in revision:
            raise CheckpointError(f"expected a commit, branch or tag, got {ascii(revision)[:80]}")
        cached = self._cached(repository, names, revision)
        if _COMMIT.fullmatch(revision) and len(cached) == len(names):
            return cached
        try:
            with _explained(repository, revision, self._address):
                remotes = self._look_up(repository, names, revision)
        except _Unreachable as error:
            if len(cached) < len(names):
                raise
            report(1.0, f"{repository}: no connection, using the copy in the cache")
            logger.warning("%s; using the files in the cache", error)
            return cached
        with _explained(repository, revision, self._address):
            self._download(repository, remotes, report)
            return self._file(repository, remotes, revision)

    def has_file(self, repository: str, name: str, *, revision: str) -> bool:
        """Whether a repository has a file; without a connection, whether the cache has it.

        Raises:
            CheckpointError: the hub answers, but not to this question; see `fetch`.
        """
        try:
            with _explained(repository, revision, self._address):
                self._head(repository, check_file_name(name), revision)
        except _Unreachable:
            return bool(self._cached(repository, [name], revision))
        except _NoSuchFile:
            return False
        return True

    @property
    def _address(self) -> str:
        return self.endpoint or constants.ENDPOINT

    @property
    def _folder(self) -> Path:
        return self.cache or Path(constants.HF_HUB_CACHE)

    def _repository_folder(self, repository: str) -> Path:
        """Where the cache keeps a repository; documented in the hub library's guide to its cache."""
        return self._folder / f"models--{repository.replace('/', '--')}"

    def _blob(self, repository: str, etag: str) -> Path:
        return self._repository_folder(repository) / "blobs" / etag

    def _cached(self, repository: str, names: Sequence[str], revision: str) -> dict[str, Path]:
        found = {}
        with _explained(repository, revision, self._address):
            for name in names:
                path = huggingface_hub.try_to_load_from_cache(
                    repository, name, cache_dir=self._folder, revision=revision
                )
                if isinstance(path, str):
                    found[name] = Path(path)
        return found

    def _look_up(self, repository: str, names: Sequence[str], revision: str) -> list[_Remote]:
        """Every file at the commit that `revision` means now, so that a push meanwhile mixes nothing."""
        remotes: list[_Remote] = []
        for name in names:
            commit = remotes[0].commit if remotes else revision
            remotes.append(self._head(repository, name, commit))
        return remotes

    def _head(self, repository: str, name: str, revision: str) -> _Remote:
        url = huggingface_hub.hf_hub_url(repository, name, revision=revision, endpoint=self.endpoint)
        found = huggingface_hub.get_hf_file_metadata(url, endpoint=self.endpoint, timeout=_TIMEOUT_S)
        etag, commit = found.etag or "", found.commit_hash or ""
        if not _ETAG.fullmatch(etag) or not _COMMIT.fullmatch(commit) or found.size is None:
            raise CheckpointError(
                f"expected {self._address} to be a model hub, but it names no hash and size of {name}: "
                "check HF_ENDPOINT"
            )
        return _Remote(name, commit, etag, found.size)

    def _download(self, repository: str, remotes: Sequence[_Remote], report: Report) -> None:
        missing = [remote for remote in remotes if not self._blob(repository, remote.etag).exists()]
        partials = {remote.etag: _partial(self._blob(repository, remote.etag)) for remote in missing}
        present = sum(path.stat().st_size for path in partials.values() if path.exists())
        total = sum(remote.size for remote in missing)
        _check_space(self._folder, total - present, repository)
        progress = _Progress(report, total)
        for remote in missing:
            blob = self._blob(repository, remote.etag)
            blob.parent.mkdir(parents=True, exist_ok=True)
            with _locked(
                _partial(blob), lambda: progress.say("waiting for another download of the same")
            ) as file:
                if not blob.exists():  # another process may have finished it while we waited for the lock
                    self._complete(repository, remote, file, progress)
                    file.flush()
                    os.replace(file.name, blob)
            progress.finish(remote.size)

    def _complete(self, repository: str, remote: _Remote, file: BinaryIO, progress: _Progress) -> None:
        """Brings the partial `file` to its full size, over as many connections as it takes, and checks it."""
        failures = 0
        while file.seek(0, os.SEEK_END) < remote.size:
            before = file.tell()
            try:
                self._append(repository, remote, file, progress)
            except (httpx2.TransportError, EOFError) as error:
                failures = 0 if file.tell() > before else failures + 1
                if failures == _ATTEMPTS:
                    raise
                logger.warning("download of %s interrupted at %d bytes: %s", remote.name, file.tell(), error)
                self.pause(2.0**failures)
        progress.say(f"checking {remote.name}")
        _check_content(file, remote)

    def _append(self, repository: str, remote: _Remote, file: BinaryIO, progress: _Progress) -> None:
        """Adds what one connection gives."""
        url = huggingface_hub.hf_hub_url(
            repository, remote.name, revision=remote.commit, endpoint=self.endpoint
        )
        have = file.tell()
        headers = {**_authorization(), "Accept-Encoding": "identity", "Range": f"bytes={have}-"}
        with huggingface_hub.get_session().stream(
            "GET", url, headers=headers, timeout=_TIMEOUT_S
        ) as response:
            if response.status_code in _TRANSIENT:
                raise EOFError(f"the hub answered {response.status_code}")
            if response.is_error:
                response.read()
            huggingface_hub.hf_raise_for_status(response)
            if response.status_code != httpx2.codes.PARTIAL_CONTENT:
                file.truncate(0)  # the server begins again from the start
                file.seek(0)
            for block in response.iter_raw():  # as it comes: a larger block would be lost with the connection
                if file.write(block) and file.tell() > remote.size:
                    file.truncate(0)
                    raise CheckpointError(
                        f"expected {remote.name} to have {remote.size} bytes, the hub sends more: try again later"
                    )
                progress.at(file.tell(), f"downloading {remote.name}")
        if file.tell() < remote.size:
            raise EOFError("the connection was closed early")

    def _file(self, repository: str, remotes: Sequence[_Remote], revision: str) -> dict[str, Path]:
        """Enters what was downloaded under its names, commit and revision; the paths.

        blobs/<hash>    snapshots/<commit>/<name> -> ../../blobs/<hash>    refs/<revision>: the commit
        """
        folder = self._repository_folder(repository)
        commit = remotes[0].commit
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        for remote in remotes:
            with suppress(FileExistsError):
                (snapshot / remote.name).symlink_to(Path("..", "..", "blobs", remote.etag))
        if revision != commit:
            reference = folder / "refs" / revision
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(commit)
        return {remote.name: snapshot / remote.name for remote in remotes}


class _Unreachable(CheckpointError):
    """The hub cannot be reached, or cannot answer at the moment."""


class _NoSuchFile(CheckpointError):
    """The repository has no such file."""


class _Progress:
    """Turns bytes into reports, not more often than a person could see a difference."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = max(total, 1)
        self._finished = 0
        self._fraction = 0.0
        self._reported = -1.0

    def at(self, size: int, words: str) -> None:
        """So many bytes of the present file are here."""
        self._fraction = min((self._finished + size) / self._total, 1.0)
        if self._fraction - self._reported >= _REPORT_STEP:
            self.say(f"{words}: {_gigabytes(self._finished + size)} of {_gigabytes(self._total)}")

    def say(self, words: str) -> None:
        """Something else than bytes is going on."""
        self._reported = self._fraction
        self._report(self._fraction, words)

    def finish(self, size: int) -> None:
        """The present file, of so many bytes, is complete."""
        self._finished += size


def _authorization() -> dict[str, str]:
    """For the hub alone: the HTTP client drops it where a redirect leads to another host."""
    token = huggingface_hub.get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextmanager
def _explained(repository: str, revision: str, address: str) -> Iterator[None]:
    """Turns what the hub library and the disk raise into sentences that say what to do."""
    page = f"{address}/{repository}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{repository} is only given to who accepts its licence: accept it at {page} and set HF_TOKEN to a "
            "token of that account"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise CheckpointError(
            f"expected a repository of {address}, got {ascii(repository)}: check its spelling, or set HF_TOKEN if "
            "it is private"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(
            f"{repository} has no revision {ascii(revision)}: see {page}/commits/main"
        ) from error
    except errors.EntryNotFoundError as error:
        raise _NoSuchFile(
            f"{repository} at {revision} misses a file that its checkpoint needs ({_last_part(error)}): choose "
            f"another revision, see {page}/tree/{revision}"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in _TRANSIENT:
            raise _Unreachable(f"{address} answers {status} for {repository}: try again later") from error
        raise CheckpointError(
            f"{address} refuses {repository} with {status}: set HF_TOKEN to a token that may read it"
        ) from error
    except (httpx2.TransportError, errors.OfflineModeIsEnabled, EOFError) as error:
        raise _Unreachable(_no_connection(repository, address)) from error
    except OSError as error:
        raise CheckpointError(_disk_trouble(error, repository)) from error


def _no_connection(repository: str, address: str) -> str:
    return (
        f"no connection to {address} for {repository}: connect this machine (what was downloaded is kept), or give a "
        "folder with the files instead"
    )


def _last_part(error: errors.EntryNotFoundError) -> str:
    response = getattr(error, "response", None)
    return unquote(str(response.url).rpartition("/")[2]) if response is not None else str(error)


def _disk_trouble(error: OSError, repository: str) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk for {repository}: free some, or set HF_HOME to a folder on a larger disk"
    return f"expected a cache that can be written for {repository}: {error}"


def _check_space(folder: Path, needed: int, repository: str) -> None:
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed > 0 and needed + _SPARE_BYTES > free:
        raise CheckpointError(
            f"expected {_gigabytes(needed + _SPARE_BYTES)} free in {folder} for {repository}, got "
            f"{_gigabytes(free)}: free some, or set HF_HOME to a folder on a larger disk"
        )


def _partial(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.partial")


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[BinaryIO]:
    """The file at `path`, made if need be, for this process alone; the lock ends with the process."""
    with open(path, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _check_content(file: BinaryIO, remote: _Remote) -> None:
    """Empties a file that is not what the hub promised; hubs name large files by SHA-256, small ones as git does."""
    if len(remote.etag) == 64:
        digest = hashlib.sha256()
    elif len(remote.etag) == 40:
        digest = hashlib.sha1(b"blob %d\0" % remote.size, usedforsecurity=False)
    else:
        return
    file.seek(0)
    while block := file.read(_READ_BYTES):
        digest.update(block)
    if digest.hexdigest() != remote.etag:
        file.truncate(0)
        raise CheckpointError(f"{remote.name} was damaged on its way: run it again to download it anew")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
