"""The data channel on which attestation lines go out, where the other side offers one.

A line that cannot go out at once is kept while it fits in a bounded buffer, and dropped when it does not: nobody waits
for a slow reader, who sees the gap in the lines' own sequence. Nothing is expected back.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import aiortc
from aiortc.rtcsctptransport import DataChunk

from webrtc.errors import MediaLibraryError

logger = logging.getLogger(__name__)

LABEL = "attestation"
MAX_WAITING_BYTES = 64 * 1024
"""Lines on their way out; at one of some 600 bytes every 2 s, minutes of a network that takes none."""

MAX_RECEIVED_BYTES = 4 * 1024
"""Opening the channel takes some 40. aiortc keeps what is received until a message is complete, and never says no."""

_CHUNK_BYTES = 16  # RFC 9260 section 3.3.1: header of a DATA chunk; kept even where no data follow
_SEAM = "_receive_data_chunk"


@dataclass(frozen=True, kw_only=True)
class AttestationStats:
    """What became of the lines."""

    sent: int
    """Handed to the channel."""

    dropped: int
    """Did not fit, or came when the channel was closed."""


class AttestationChannel:
    """One peer's channel: created with its transport, used from then on.

    Args:
        transport: of the connection, not started yet.
        on_abuse: called with the reason when the other side sends more than opening a channel takes; what it sends
            after that is thrown away.

    Raises:
        MediaLibraryError: this aiortc has another inside than the one this was written for.
    """

    def __init__(self, transport: aiortc.RTCSctpTransport, on_abuse: Callable[[str], None]) -> None:
        self._channel: aiortc.RTCDataChannel | None = None
        self._early: deque[str] = deque()
        self._early_bytes = 0
        self._sent = 0
        self._dropped = 0
        _limit_received(transport, on_abuse)

    def take(self, channel: aiortc.RTCDataChannel) -> None:
        """The other side has opened `channel`: uses the first that is right, closes every other."""
        reliable = channel.maxPacketLifeTime is None and channel.maxRetransmits is None
        if self._channel is not None or channel.label != LABEL or not channel.ordered or not reliable:
            logger.warning("closed a data channel that is not one for attestations: %a", channel.label[:32])
            channel.close()
            return
        self._channel = channel
        while self._early:
            self._put(channel, self._early.popleft())

    def send(self, line: str) -> None:
        """Sends `line`, keeps it until the channel is open, or drops it; never blocks."""
        if self._channel is not None:
            self._put(self._channel, line)
            return
        size = len(line.encode())
        if self._early_bytes + size > MAX_WAITING_BYTES:
            self._dropped += 1
            return
        self._early.append(line)
        self._early_bytes += size

    def stats(self) -> AttestationStats:
        """A snapshot."""
        return AttestationStats(sent=self._sent, dropped=self._dropped)

    def _put(self, channel: aiortc.RTCDataChannel, line: str) -> None:
        fits = channel.bufferedAmount + len(line.encode()) <= MAX_WAITING_BYTES
        if channel.readyState != "open" or not fits:
            self._dropped += 1
            return
        try:
            channel.send(line)
        except ValueError:  # longer than the other side said it takes
            self._dropped += 1
        else:
            self._sent += 1


def _limit_received(transport: aiortc.RTCSctpTransport, on_abuse: Callable[[str], None]) -> None:
    """Counts every chunk of data before aiortc keeps it."""
    receive = getattr(transport, _SEAM, None)
    if receive is None:
        raise MediaLibraryError(
            f"expected an aiortc 1.16 transport with {_SEAM}, got aiortc {aiortc.__version__} without it"
        )
    left = MAX_RECEIVED_BYTES

    async def receive_limited(chunk: DataChunk) -> None:
        nonlocal left
        within = left > 0
        left -= _CHUNK_BYTES + len(chunk.user_data)
        if left > 0:
            await receive(chunk)
        elif within:
            on_abuse("sent data where none is expected")

    setattr(transport, _SEAM, receive_limited)
