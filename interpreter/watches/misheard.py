"""Who must be told that the interpreter did not understand, and for how long. Pure: time is counted in ticks."""

from __future__ import annotations

from collections.abc import Collection

from interpreter.directions import Direction

SHOWN_TICKS = 75
"""6 s: long enough to read a sentence."""

ASK_AGAIN_TICKS = 125
"""10 s: a speaker is not asked more often, whatever happens in all the directions they are rendered in."""


class Misheard:
    """What was not understood a moment ago: its speaker is asked to repeat it, its listeners are told why they wait."""

    def __init__(self) -> None:
        self._lost: dict[Direction, int] = {}  # direction -> last tick that was not understood
        self._asked: dict[str, int] = {}  # speaker -> tick at which they were asked
        self._now = 0

    @property
    def directions(self) -> frozenset[Direction]:
        """Those whose listeners are told."""
        return frozenset(self._lost)

    @property
    def speakers(self) -> frozenset[str]:
        """Those who are being asked."""
        return frozenset(speaker for speaker, asked in self._asked.items() if self._now - asked < SHOWN_TICKS)

    def note(self, direction: Direction, tick: int) -> None:
        """The frame of `tick` was not understood in `direction`."""
        self._now = max(self._now, tick)
        self._lost[direction] = max(tick, self._lost.get(direction, tick))
        asked = self._asked.get(direction.speaker_id)
        if asked is None or tick - asked >= ASK_AGAIN_TICKS:
            self._asked[direction.speaker_id] = tick

    def advance(self, tick: int) -> bool:
        """Forgets what is over at `tick`; whether anybody is told something else now than before."""
        before = self.directions, self.speakers
        self._now = max(self._now, tick)
        self._lost = {one: since for one, since in self._lost.items() if self._now - since < SHOWN_TICKS}
        self._asked = {who: at for who, at in self._asked.items() if self._now - at < ASK_AGAIN_TICKS}
        return before != (self.directions, self.speakers)

    def keep(self, directions: Collection[Direction]) -> None:
        """Forgets every direction but `directions`: the others have ended. Who was asked is not asked anew for it."""
        self._lost = {one: since for one, since in self._lost.items() if one in directions}
