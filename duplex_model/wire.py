"""Framing on the socket between an engine and its process: a JSON header and raw bytes.

    0          4           8              8 + header        8 + header + payload
    ┌──────────┬───────────┬──────────────┬─────────────────┐
    │ header   │ payload   │ header:      │ payload: pcm or │   both lengths in bytes,
    │ length   │ length    │ JSON object  │ a state, as is  │   unsigned, big-endian
    └──────────┴───────────┴──────────────┴─────────────────┘

Nothing is ever unpickled: the child reads checkpoints that somebody else made, and what it sends must not be able to
run anything here. Sizes are checked before memory is taken for them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from duplex_model.errors import WireError

MAX_HEADER_BYTES = 1 << 20  # a role text fits many times over
MAX_PAYLOAD_BYTES = 4 << 20  # a frame is 7,680 bytes; a session's state goes in parts of a megabyte
SOCKET_BYTES = 1 << 20  # asked of the system for what was sent and not read; it may grant less
_LENGTHS = struct.Struct(">II")


@dataclass(frozen=True)
class Packed:
    """One message as it travels."""

    header: Mapping[str, object]
    """JSON object."""

    payload: bytes = field(default=b"", repr=False)


def pack(header: Mapping[str, object], payload: bytes = b"") -> bytes:
    """The bytes of one message.

    Raises:
        WireError: the message is larger than the other end would accept, or not JSON.
    """
    try:
        text = json.dumps(header, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        spelled = text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise WireError(f"expected a header that JSON can spell: {error}") from error
    _check_lengths(len(spelled), len(payload))
    return b"".join((_LENGTHS.pack(len(spelled), len(payload)), spelled, payload))


class Unpacker:
    """Takes bytes as they come and gives whole messages; sans-IO.

    After a `WireError` the stream is lost: lengths no longer say where a message begins.
    """

    def __init__(self) -> None:
        self._received = bytearray()
        self._lost = False

    def receive(self, received: bytes) -> list[Packed]:
        """The messages completed by `received`, in order.

        Raises:
            WireError: these bytes are no message of ours. Messages completed before it in the same call are lost
                with the stream.
        """
        if self._lost:
            raise WireError("expected no more bytes after one that was not understood")
        self._received += received
        messages = []
        try:
            while (message := self._next()) is not None:
                messages.append(message)
        except WireError:
            self._lost = True
            self._received.clear()
            raise
        return messages

    @property
    def incomplete_bytes(self) -> int:
        """Bytes of a message whose end has not come."""
        return len(self._received)

    def _next(self) -> Packed | None:
        if len(self._received) < _LENGTHS.size:
            return None
        header_bytes, payload_bytes = _LENGTHS.unpack_from(self._received)
        _check_lengths(header_bytes, payload_bytes)
        begin = _LENGTHS.size + header_bytes
        end = begin + payload_bytes
        if len(self._received) < end:
            return None
        header = _parse(bytes(self._received[_LENGTHS.size : begin]))
        payload = bytes(self._received[begin:end])
        del self._received[:end]
        return Packed(header, payload)


def _check_lengths(header_bytes: int, payload_bytes: int) -> None:
    if header_bytes > MAX_HEADER_BYTES:
        raise WireError(f"expected a header of at most {MAX_HEADER_BYTES} bytes, got {header_bytes}")
    if payload_bytes > MAX_PAYLOAD_BYTES:
        raise WireError(f"expected a payload of at most {MAX_PAYLOAD_BYTES} bytes, got {payload_bytes}")


def _parse(spelled: bytes) -> Mapping[str, object]:
    try:
        header = json.loads(spelled.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # deep nesting exhausts the parser's stack
        # What came may hold what somebody said: it goes into no message, for messages are logged.
        raise WireError(f"expected a JSON header, got {len(spelled)} bytes that are none: {error}") from error
    if not isinstance(header, dict):
        raise WireError(f"expected a JSON object as header, got {type(header).__name__}")
    return header


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")
