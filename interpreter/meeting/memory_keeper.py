"""When a meeting's memory is read and written: at its beginning, after every choice, at its end."""

from __future__ import annotations

import asyncio

from interpreter.commands.memory import Memory
from interpreter.commands.memory_file import MemoryFile


class MemoryKeeper:
    """Keeps one meeting's memory.

    Args:
        file: where; None for nowhere, and then there is none.
    """

    def __init__(self, file: MemoryFile | None) -> None:
        self._file = file
        self._memory: Memory | None = None
        self._saving: asyncio.Future[None] | None = None
        self._chosen = asyncio.Event()

    async def load(self, wall_s: float) -> Memory | None:
        """What a former process left, for the meeting to go on with; None where nothing is kept.

        Args:
            wall_s: wall clock, Unix seconds.
        """
        if self._file is not None:
            self._memory = await asyncio.to_thread(self._file.load, wall_s)
        return self._memory

    def note(self) -> None:
        """There may be something new to remember."""
        self._chosen.set()

    def forget(self) -> None:
        """Leaves nothing for another process to take up, from the next writing on."""
        if self._memory is not None:
            self._memory.over = True

    async def run(self) -> None:
        """Has what was chosen written down, one state after the other; ends by being cancelled."""
        while True:
            await self._chosen.wait()
            self._chosen.clear()
            await self.save()

    async def save(self) -> None:
        """Writes the memory as it stands, after whatever is being written."""
        if self._file is not None and self._memory is not None:
            if self._saving is not None:  # whoever waited for it may be cancelled: it goes on in its thread
                await asyncio.wait({self._saving})
            text = None if self._memory.over else self._memory.to_json()
            loop = asyncio.get_running_loop()
            self._saving = loop.run_in_executor(None, self._file.save, text)
            await asyncio.shield(self._saving)
