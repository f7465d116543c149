"""The hold buffer of one direction: the only queue anywhere in the floor. Pure.

What a session says passes through it frame by frame. While the floor is open and nothing waits, a frame leaves in the
tick it came; while the floor is closed, frames wait. What waits is played with its pauses trimmed, so that a rendering
that had to wait catches up. Frames make *units*: stretches of speech between pauses, which are what can be said again.

    said      |#####..##|......|####..
    waits     |#####..##|..|####          pauses trimmed to `KEPT_PAUSE_FRAMES`
               unit 1       unit 2

The unit being played stays until the next begins, so that one that was cut can be said again from its start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.levels import level_dbfs

KEPT_PAUSE_FRAMES = 2
"""160 ms: what is left of a pause that waited, and the pause that ends a unit."""

SOUND_DBFS = -50.0
"""A frame at least this loud is speech; a codec's idle noise lies below."""

MAX_UNIT_FRAMES = 100
"""8 s: a longer unit is cut into two, so that what is kept of the unit being played is bounded."""

_SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
_SILENCE.setflags(write=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """80 ms of what a session says."""

    pcm: Pcm
    """[1920], 24 kHz."""

    text: str = ""
    """Piece of text begun in this frame; a leading space starts a word."""

    as_self: bool = False
    """The interpreter speaks as itself."""

    due_s: float | None = None
    """When it would have left had nothing held it back; None where nobody needs to know."""

    @property
    def sounds(self) -> bool:
        """Whether there is anything in it to hear or to read."""
        return bool(self.text) or level_dbfs(self.pcm) >= SOUND_DBFS


NOTHING = Said(pcm=_SILENCE)
"""A frame in which nothing is said."""


class HoldBuffer:
    """What one direction has still to say.

    Args:
        limit_s: most seconds of trimmed sound that wait.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_frames = round(limit_s / FRAME_S)
        self._waiting: deque[tuple[Said, bool]] = deque()  # with whether a unit begins here
        self._played: list[tuple[Said, bool]] = []  # the unit being played, as far as it was
        self._pause_in = KEPT_PAUSE_FRAMES  # frames of the pause at the end of what waits
        self._pause_out = KEPT_PAUSE_FRAMES  # frames of the pause at the end of what was played
        self._unit_frames = 0  # of the unit at the end of what waits
        self._leaving_out = False  # the rest of a unit that was dropped while it was still being said

    @property
    def waiting_s(self) -> float:
        """How much waits."""
        return len(self._waiting) * FRAME_S

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def mid_unit(self) -> bool:
        """Whether the end of what came in is speech: the session has not finished its unit."""
        return self._pause_in < KEPT_PAUSE_FRAMES

    @property
    def unit_open(self) -> bool:
        """Whether a unit was begun for the listeners and is not over for them."""
        return bool(self._played)

    def put(self, said: Said) -> bool:
        """Adds the next frame; False when it was speech and the buffer is full, so that it can only be read.

        A pause that need not be kept is left out.
        """
        if not said.sounds:
            self._pause_in += 1
            if self._leaving_out:
                return True
            # The pause behind an empty buffer belongs to what was played: it passes, to end its unit.
            if self._pause_in <= KEPT_PAUSE_FRAMES and len(self._waiting) < self._limit_frames:
                self._waiting.append((said, False))
            return True
        if len(self._waiting) >= self._limit_frames:
            return False
        begins = self._pause_in >= KEPT_PAUSE_FRAMES or self._unit_frames >= MAX_UNIT_FRAMES
        if self._leaving_out and not begins:
            self._pause_in = 0
            return True
        self._leaving_out = False
        self._unit_frames = 1 if begins else self._unit_frames + 1
        self._pause_in = 0
        self._waiting.append((said, begins))
        return True

    def take(self) -> Said:
        """The next frame to play; `NOTHING` when none waits."""
        if not self._waiting:
            self._note_played(NOTHING, begins=False)
            return NOTHING
        said, begins = self._waiting.popleft()
        self._note_played(said, begins=begins)
        return said

    def rewind(self, frames: int | None = None) -> None:
        """Puts the unit being played back, to be said again from its start, or only its last `frames`.

        The buffer may hold a unit more than its limit for it.
        """
        kept = 0 if frames is None else max(0, len(self._played) - frames)
        again = [said for said, _ in self._played[kept:]]
        self._played.clear()
        self._pause_out = KEPT_PAUSE_FRAMES
        self.put_first(again)

    def put_first(self, frames: Iterable[Said]) -> None:
        """Puts `frames` before everything that waits, as a unit; the buffer may hold that more than its limit."""
        unit = [(said, n == 0) for n, said in enumerate(frames)]
        self._waiting.extendleft(reversed(unit))

    def drop_unit(self) -> str:
        """Forgets the unit being played, or else the first that waits, with what is still to come of it.

        Returns:
            Its text that was not played.
        """
        dropped: list[Said] = []
        if not self._played and self._waiting:
            dropped.append(self._waiting.popleft()[0])
        while self._waiting and not self._waiting[0][1]:
            dropped.append(self._waiting.popleft()[0])
        self._played.clear()
        self._pause_out = KEPT_PAUSE_FRAMES
        self._leaving_out = not self._waiting and self.mid_unit
        return text_of(dropped)

    def drop_all(self) -> str:
        """Forgets everything; the text that was not played."""
        dropped = [said for said, _ in self._waiting]
        self._waiting.clear()
        self._played.clear()
        self._pause_in = self._pause_out = KEPT_PAUSE_FRAMES
        self._leaving_out = False
        return text_of(dropped)

    def _note_played(self, said: Said, *, begins: bool) -> None:
        if begins:
            self._played.clear()
        if said.sounds:
            self._pause_out = 0
        else:
            self._pause_out += 1
            if self._pause_out >= KEPT_PAUSE_FRAMES:
                self._played.clear()
                return
        if begins or self._played:
            self._played.append((said, begins))


def text_of(frames: Iterable[Said]) -> str:
    """The text of `frames`, as the session wrote it."""
    return "".join(said.text for said in frames)
