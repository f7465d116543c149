"""Where a meeting's memory is kept between two runs of the interpreter: a small file, readable by its owner only."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from pathlib import Path

from interpreter.commands.memory import SALT_BYTES, Memory, memory_from_json

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 1_000_000


class MemoryFile:
    """The file of one meeting.

    A disk that fails does not fail the meeting: what was chosen is then not taken up after a restart.

    Args:
        path: where.
        max_age_s: an older file belongs to another meeting in the same room, and is not read.
    """

    def __init__(self, path: Path, *, max_age_s: float) -> None:
        self.path = path
        self._max_age_s = max_age_s

    def load(self, wall_s: float) -> Memory:
        """What the last process left, or a memory of nothing.

        Args:
            wall_s: wall clock, Unix seconds.
        """
        new = Memory(salt=secrets.token_bytes(SALT_BYTES))
        try:
            status = self.path.stat()
            if wall_s - status.st_mtime > self._max_age_s or status.st_size > MAX_FILE_BYTES:
                return new
            return memory_from_json(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return new
        except (OSError, ValueError) as error:
            logger.warning("what %s remembers cannot be used: %s", self.path, error)
            return new

    def save(self, text: str | None) -> None:
        """Replaces the file's text, or removes the file; waits for the disk, and may run on any thread."""
        try:
            if text is None:
                self.path.unlink(missing_ok=True)
                return
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self.path.with_suffix(".part")
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            partial.replace(self.path)
        except OSError as error:
            logger.error("the meeting's choices are not remembered: %s", error.strerror)


def memory_path(state_folder: Path, room: str) -> Path:
    """Where the memory of a room's meeting is kept; the name of the file does not tell the room's."""
    return (
        state_folder / "meetings" / f"{hashlib.sha256(room.encode(errors='replace')).hexdigest()[:16]}.json"
    )
