"""The time of a run: seconds from its beginning, on the clock of its meeting."""

from __future__ import annotations

from interpreter.clock import Clock


class RunTime:
    """A run's own time. Everything a meeting is given and gives is on its clock; everything a log says is on this.

    Args:
        clock: of the meeting.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.origin_s = clock.now_s()
        """The run's beginning, on the clock; may be set until anything has happened."""

    def now_s(self) -> float:
        """Seconds from the beginning."""
        return self.clock.now_s() - self.origin_s

    def of(self, clock_s: float) -> float:
        """A time of the clock in the run."""
        return clock_s - self.origin_s
