"""When to leave a meeting elsewhere that nobody is in any more. Pure."""

from __future__ import annotations


class Vacancy:
    """Follows whether anybody is there.

    Args:
        leave_after_s: from the last person's leaving.
        wait_s: for the first person.
        now_s: monotonic time.
    """

    def __init__(self, *, leave_after_s: float, wait_s: float, now_s: float) -> None:
        self._leave_after_s = leave_after_s
        self._until_s = now_s + wait_s
        self._ever = 0

    @property
    def anybody_came(self) -> bool:
        """Whether there ever was a person."""
        return self._ever > 0

    def over(self, people: int, ever: int, now_s: float) -> bool:
        """Whether it is time to leave.

        Args:
            people: in the room now, interpreters not counted.
            ever: how many ever were, also between two calls.
            now_s: monotonic time.
        """
        if people or ever > self._ever:
            self._until_s = now_s + self._leave_after_s
        self._ever = ever
        return not people and now_s >= self._until_s
