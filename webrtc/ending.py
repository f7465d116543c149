"""How a connection ends: given up when it does not stand in time, reported once, closed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Ending:
    """The end of one connection, which its owner asks for, or which comes by itself. Everything runs on one event loop.

    Args:
        close_all: closes sockets and threads; called once.
        on_ended: called once with the reason, when the connection ends by itself; never after `close`.
    """

    def __init__(
        self, close_all: Callable[[], Coroutine[Any, Any, None]], on_ended: Callable[[str], None]
    ) -> None:
        self._close_all = close_all
        self._on_ended = on_ended
        self._ended = False
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def came(self) -> bool:
        """Whether the connection has ended, or was closed."""
        return self._ended

    def unless_standing_within(self, seconds: float, words: str) -> None:
        """Ends the connection with `words` unless it is said to stand in that time."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self.come, words)

    def stands(self) -> None:
        """The connection stands: it is given up no more for want of time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def come(self, reason: str) -> None:
        """The connection ends by itself; reported unless the end was asked for or reported before."""
        if self._ended:
            return
        self._ended = True
        self._start_closing()
        self._on_ended(reason)

    async def close(self) -> None:
        """Ends the connection; returns when its sockets and threads are gone. Idempotent."""
        self._ended = True
        await asyncio.shield(self._start_closing())

    def _start_closing(self) -> asyncio.Task[None]:
        self.stands()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close_all())
        return self._closing
