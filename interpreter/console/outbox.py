"""What waits to be sent to one console: bounded, so that a slow page costs memory and others nothing. Pure.

Levels and heartbeats that wait are replaced by newer ones; everything else keeps its order.
"""

from __future__ import annotations

from interpreter.console.protocol import Closed, Heartbeat, Levels, ServerMessage

OUTBOX_MESSAGES = 512
"""A page that is this far behind, well over a minute, is not being read."""


class Outbox:
    """Messages for one console, in order."""

    def __init__(self, capacity: int = OUTBOX_MESSAGES) -> None:
        self._capacity = capacity
        self._waiting: dict[object, ServerMessage] = {}  # insertion order is the order of sending
        self._next_key = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: ServerMessage) -> bool:
        """Queues a message; False when the page is too far behind, and the connection must end."""
        if isinstance(message, Levels | Heartbeat):
            self._waiting[type(message)] = message
            return True
        if len(self._waiting) >= self._capacity:
            return False
        self._waiting[self._new_key()] = message
        return True

    def put_last(self, message: Closed) -> None:
        """Queues the last message, which has a place in a full outbox too."""
        self._waiting[self._new_key()] = message

    def take(self) -> ServerMessage | None:
        """The next message to send, or None when there is none."""
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    def _new_key(self) -> int:
        self._next_key += 1
        return self._next_key
