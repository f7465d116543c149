"""How long to wait before the next attempt: doubling from the first to the longest."""

from __future__ import annotations


class Backoff:
    """Waits, each twice the one before.

    Args:
        first_s: of the first wait.
        longest_s: no wait is longer.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """The next wait."""
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._longest_s)
        return wait_s

    def reset(self) -> None:
        """It worked: the next wait is the first one again."""
        self._next_s = self._first_s
