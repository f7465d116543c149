"""Stream management (XEP-0198): which stanzas the other side has, so that a cut connection loses none.

Only the counting: what has been sent and not yet acknowledged, and how many stanzas came in. Counters wrap at 2**32.
"""

from __future__ import annotations

from collections import deque
from xml.etree.ElementTree import Element

from webrtc.errors import SignallingError

MAX_UNACKNOWLEDGED = 1_000
"""Stanzas; a server that acknowledges none of so many does not mean to."""

ASK_EVERY = 5
"""Stanzas after which we ask what has arrived."""

_MODULUS = 2**32


class StreamManagement:
    """The counters of one session, which may outlive several connections."""

    def __init__(self, resume_id: str) -> None:
        self.resume_id = resume_id
        """What names the session when it is resumed; empty where the server does not resume."""

        self._received = 0
        self._acknowledged = 0
        self._unacknowledged: deque[Element] = deque()
        self._since_asked = 0

    @property
    def received(self) -> int:
        """Stanzas that came in, modulo 2**32: what `h` says."""
        return self._received

    @property
    def overdue(self) -> bool:
        """Whether more is unacknowledged than can be kept."""
        return len(self._unacknowledged) > MAX_UNACKNOWLEDGED

    def count_received(self) -> None:
        """A stanza has come in."""
        self._received = (self._received + 1) % _MODULUS

    def keep(self, stanza: Element) -> None:
        """A stanza is on its way, or will be when there is a connection."""
        self._unacknowledged.append(stanza)
        self._since_asked += 1

    def ask_now(self) -> bool:
        """Whether it is time to ask for an acknowledgement; says so once."""
        if self._since_asked < ASK_EVERY:
            return False
        self._since_asked = 0
        return True

    def acknowledge(self, h: str | None) -> None:
        """The other side has so many.

        Raises:
            SignallingError: it says it has more than were sent, or no number.
        """
        if h is None or not h.isascii() or not h.isdigit() or len(h) > 10:
            raise SignallingError("expected a number of stanzas to be acknowledged, got none")
        count = (int(h) - self._acknowledged) % _MODULUS
        if count > len(self._unacknowledged):
            sent = len(self._unacknowledged)
            raise SignallingError(f"expected at most {sent} stanzas to be acknowledged, got {count}")
        for _ in range(count):
            self._unacknowledged.popleft()
        self._acknowledged = (self._acknowledged + count) % _MODULUS

    def unacknowledged(self) -> list[Element]:
        """What has to be sent again after a resumption, oldest first."""
        return list(self._unacknowledged)
