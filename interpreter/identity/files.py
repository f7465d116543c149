"""A file of sealed lines as it grows. The only file of the package that writes them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import TracebackType

from interpreter.errors import IdentityError

logger = logging.getLogger(__name__)


class LineFile:
    """A new file, readable by its owner only, to which lines are added. Use it as a context manager.

    A disk that fails does not fail the meeting: the file then ends where it failed, which whoever verifies it sees,
    and `failure` says why.

    Raises:
        IdentityError: the file exists already, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: str | None = None
        """Why no more is written; None while all is well."""

        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise IdentityError(f"expected to write a new file {path}, got: {error.strerror}") from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, line: str) -> None:
        """Adds one line, given without its newline; a reader sees it at once."""
        if self.failure is not None:
            return
        data = line.encode() + b"\n"
        try:
            written = self._file.write(data)
            if written != len(data):
                raise OSError(0, "the disk took a part of a line only")
        except OSError as error:
            self.failure = error.strerror
            logger.error("no more is written to %s: %s", self.path, error.strerror)

    def __enter__(self) -> LineFile:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file, which is on the disk by then."""
        try:
            os.fsync(self._file.fileno())
        except OSError as failure:
            self.failure = self.failure or failure.strerror
            logger.error("%s may be incomplete: %s", self.path, failure.strerror)
        self._file.close()
