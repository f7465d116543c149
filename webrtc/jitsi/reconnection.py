"""When to connect next, and when to give up."""

from __future__ import annotations

from webrtc.backoff import Backoff

FIRST_ATTEMPTS = 3
"""Before anything has worked: a wrong address shows soon."""

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
GIVE_UP_AFTER_S = 600.0
"""Without a session: a server is restarted in less."""

STEADY_S = 10.0
"""A session that lasted for so long is made again at once; one that did not would be made again and again."""


class Reconnection:
    """The times of connection attempts."""

    def __init__(self) -> None:
        self.at_s: float | None = None
        """When to connect; None while connected or not to be."""

        self._backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)
        self._attempts = 0
        self._session_since_s: float | None = None
        self._lost_at_s: float | None = None
        self._worked = False
        self._waits = False

    def now(self, now_s: float) -> None:
        """Connect at once."""
        self.at_s = now_s

    def connecting(self) -> None:
        """An attempt is under way."""
        self.at_s = None
        self._attempts += 1

    def worked(self, now_s: float) -> None:
        """The attempt led to a session."""
        self._worked = True
        self._session_since_s = now_s
        self._lost_at_s = None

    def stop(self) -> None:
        """No more attempts."""
        self.at_s = None

    def lost(self, now_s: float) -> bool:
        """A connection, or an attempt, came to nothing; whether there will be another."""
        if not self._worked:
            if self._attempts >= FIRST_ATTEMPTS:
                return False
            self.at_s = now_s + self._backoff.next_s()
            return True
        if self._session_since_s is not None and now_s - self._session_since_s >= STEADY_S:
            self._backoff.reset()
            self._waits = False
        self._session_since_s = None
        self._lost_at_s = now_s if self._lost_at_s is None else self._lost_at_s
        if now_s - self._lost_at_s >= GIVE_UP_AFTER_S:
            return False
        self.at_s = now_s + self._backoff.next_s() if self._waits else now_s
        self._waits = True
        return True
