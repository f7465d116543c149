"""The parent's end of the socket to an engine's process: never blocks, and holds a bounded amount.

Every message has an owner, and those of one owner arrive in the order sent. A message in parts takes its time: those
of other owners overtake it.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator

from duplex_model.wire import SOCKET_BYTES, Packed, Unpacker

BACKLOG_BYTES = 4 << 20
"""Some 500 frames. A process that has left so much unread is not keeping up by any measure."""

_READ_BYTES = 1 << 18
_READS = 256  # at a time: even a flood lets its reader do something else now and then


class Link:
    """Sends and receives messages without ever waiting for the other end.

    Not thread-safe: its owner holds a lock around `send` and `flush`; `receive` is for one thread.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._socket = sock
        self._unpacker = Unpacker()
        self._backlog: deque[memoryview] = deque()
        self._backlog_bytes = 0
        self._overtaken: dict[int, deque[Iterator[bytes]]] = {}
        """By owner: messages in parts, and whatever must not arrive before their end."""

        self._broken = False
        self.received_bytes = 0
        self.ended = False
        """The other end is gone, and all it had sent was received."""

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    @property
    def backlog_bytes(self) -> int:
        """What the other end has not taken yet, beyond what the socket holds and parts that are overtaken."""
        return self._backlog_bytes

    @property
    def waiting(self) -> bool:
        """Whether there is something left for `flush`."""
        return bool(self._backlog or self._overtaken)

    def send(self, owner: int, message: bytes) -> None:
        """Sends at once what the socket takes, and keeps the rest for `flush`.

        A broken connection is not reported here: `receive` tells.
        """
        if owner in self._overtaken:
            self._overtaken[owner].append(iter((message,)))
        elif not self._broken:
            self._queue(message)
            self._drain()

    def send_in_parts(self, owner: int, parts: Iterator[bytes]) -> None:
        """Leaves it all to `flush`, which makes and sends a part when there is nothing else to send."""
        if not self._broken:
            self._overtaken.setdefault(owner, deque()).append(parts)

    def flush(self) -> None:
        """Sends what the socket takes of what was kept, and of one part at most."""
        self._drain()
        if not self._backlog and self._next_part():
            self._drain()

    def _drain(self) -> None:
        try:
            while self._backlog:
                sent = self._socket.send(self._backlog[0])
                self._backlog_bytes -= sent
                self._backlog[0] = self._backlog[0][sent:]
                if not self._backlog[0]:
                    self._backlog.popleft()
        except BlockingIOError:
            return
        except OSError:  # the process is gone
            self._broken = True
            self._backlog.clear()
            self._backlog_bytes = 0
            self._overtaken.clear()

    def _queue(self, message: bytes) -> None:
        self._backlog.append(memoryview(message))
        self._backlog_bytes += len(message)

    def _next_part(self) -> bool:
        """Queues one more part; False when there is none."""
        for owner, messages in list(self._overtaken.items()):
            while messages:
                part = next(messages[0], None)
                if part is not None:
                    self._queue(part)
                    return True
                messages.popleft()
            del self._overtaken[owner]
        return False

    def receive(self) -> list[Packed]:
        """The messages completed by all that has come; see `ended` for whether more will.

        Raises:
            WireError: the other end sent what is no message.
        """
        messages: list[Packed] = []
        for _ in range(_READS):
            try:
                received = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:  # reset: it died with bytes of ours unread
                received = b""
            if not received:
                self.ended = True
                break
            self.received_bytes += len(received)
            messages += self._unpacker.receive(received)
        return messages

    def end(self) -> None:
        """Tells the other end that nothing follows; it may still answer."""
        self._broken = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone already
            return

    def close(self) -> None:
        """Gives the socket back."""
        self._broken = True
        self._socket.close()
