"""The events of one room, from whoever tells of them to the one reader they have: `webrtc.room.Room.events`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from webrtc.errors import LocalError, RemoteError
from webrtc.room import RoomEvent


class RoomEvents:
    """A queue of events with one end and one reader."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[RoomEvent | RemoteError | None] = asyncio.Queue()
        self._has_reader = False
        self.over = False
        """The end has been told; what is added after it, nobody reads."""

    def add(self, event: RoomEvent) -> None:
        """The next event; never blocks."""
        self._waiting.put_nowait(event)

    def end(self, error: RemoteError | None = None) -> None:
        """The last of it, by `error` where there is one; only the first end counts."""
        if not self.over:
            self.over = True
            self._waiting.put_nowait(error)

    async def read(self) -> AsyncIterator[RoomEvent]:
        """Every event, from the first, to one reader, until the end.

        Raises:
            LocalError: there is a reader already.
            RemoteError: what the events ended by.
        """
        if self._has_reader:
            raise LocalError("expected one reader of a room's events, got a second")
        self._has_reader = True
        while (event := await self._waiting.get()) is not None:
            if isinstance(event, RemoteError):
                raise event
            yield event
