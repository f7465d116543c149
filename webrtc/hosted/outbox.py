"""What waits to be sent to one page: bounded, so that a slow page costs memory and others nothing.

What a newer message makes worthless is replaced where it waits: levels by later levels, a growing caption by its
next version, the meeting's state by the newest. Pure: the connection that owns it does the sending.
"""

from __future__ import annotations

from webrtc.hosted.protocol import Closed, ServerMessage
from webrtc.room import Caption, Levels, MeetingState

OUTBOX_MESSAGES = 256
"""More than any burst of a full room (64 joins and as many notices); a page this far behind is not being read."""


class Outbox:
    """Messages for one page, in order."""

    def __init__(self, capacity: int = OUTBOX_MESSAGES) -> None:
        self._capacity = capacity
        self._waiting: dict[object, ServerMessage] = {}  # insertion order is the order of sending
        self._next_key = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: ServerMessage) -> bool:
        """Queues `message`; False when the page is too far behind, and the connection must end.

        Levels, which the next ones replace anyway, are dropped rather than counted against a full outbox.
        """
        key = self._key(message)
        if key not in self._waiting and len(self._waiting) >= self._capacity:
            return isinstance(message, Levels)
        self._waiting[key] = message
        return True

    def put_last(self, message: Closed) -> None:
        """Queues the last message, which has a place in a full outbox too."""
        self._waiting[self._key(message)] = message

    def take(self) -> ServerMessage | None:
        """The next message to send, or None when there is none."""
        if not self._waiting:
            return None
        return self._waiting.pop(next(iter(self._waiting)))

    def _key(self, message: ServerMessage) -> object:
        match message:
            case Levels():
                return "levels"
            case Caption():
                return ("caption", message.id)
            case MeetingState():
                return "state"
            case _:
                self._next_key += 1
                return self._next_key
