"""When a meeting's memory is read and written."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from interpreter.commands.memory_file import MemoryFile
from interpreter.meeting.memory_keeper import MemoryKeeper

WALL_S = 1_760_000_000.0


class NotingFile(MemoryFile):
    """Notes when something was written."""

    def __init__(self, path: Path, *, max_age_s: float) -> None:
        super().__init__(path, max_age_s=max_age_s)
        self.saved = threading.Event()

    def save(self, text: str | None) -> None:
        super().save(text)
        self.saved.set()


async def test_without_a_file_there_is_no_memory() -> None:
    keeper = MemoryKeeper(None)
    assert await keeper.load(WALL_S) is None
    keeper.note()
    keeper.forget()
    await keeper.save()


async def test_what_is_noted_is_written_and_read_by_the_next(tmp_path: Path) -> None:
    file = NotingFile(tmp_path / "memory.json", max_age_s=1e12)
    keeper = MemoryKeeper(file)
    memory = await keeper.load(WALL_S)
    assert memory is not None
    keeping = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    assert not file.path.exists(), "nothing was chosen yet"
    keeper.note()
    assert await asyncio.to_thread(file.saved.wait, 10.0)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    later = await MemoryKeeper(file).load(WALL_S)
    assert later is not None
    assert later.salt == memory.salt


async def test_what_is_forgotten_is_not_taken_up(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "memory.json", max_age_s=1e12)
    keeper = MemoryKeeper(file)
    await keeper.load(WALL_S)
    await keeper.save()
    assert file.path.exists()
    keeper.forget()
    await keeper.save()
    assert not file.path.exists()
