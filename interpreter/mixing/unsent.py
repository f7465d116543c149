"""What was mixed and may not have been sent yet, and how it sounds without the interpreter. Pure.

    tick          n-2     n-1     n
    mixed        |#######|#######|#######|
    sent          1 2 3 4 1 2                 now: packets 3 and 4 of n-1, and all of n, can still be changed

A STOP mixes these ticks again from the state before them, with the people's own voices alone. The limiter looks ahead,
so the last tick is always mixed again: what it has held back of it must not come out in the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from duplex_model.contract import FRAME_S, Pcm
from interpreter.mixing.mixdown import MixState, Sounds, mix_tick
from interpreter.mixing.mixing import Ducking
from interpreter.mixing.routing import Routes

KEPT_TICKS = 6
"""More than the longest cushion and a frame, 240 ms."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixed:
    """One tick's mix: everything it was made of."""

    tick: int
    at_s: float
    """When its first packet is sent."""

    before: MixState
    routes: Routes
    sounds: Sounds
    ducking: Ducking


class Unsent:
    """The last mixes of a meeting."""

    def __init__(self) -> None:
        self._mixed: deque[Mixed] = deque(maxlen=KEPT_TICKS)

    def add(self, mixed: Mixed) -> None:
        """A tick was mixed and handed over."""
        self._mixed.append(mixed)

    def without_interpreter(self, now_s: float) -> tuple[MixState | None, Mapping[int, Mapping[str, Pcm]]]:
        """What may not have been sent by `now_s`, with nothing of the interpreter's in it.

        Returns:
            The state from which the next tick is to be mixed, None where nothing was mixed yet; and tick -> listener ->
            pcm [1920].
        """
        if not self._mixed:
            return None, {}
        waiting = [one for one in self._mixed if one.at_s + FRAME_S > now_s] or [self._mixed[-1]]
        state = waiting[0].before
        mixes: dict[int, Mapping[str, Pcm]] = {}
        for one in waiting:
            alone = Sounds(originals=one.sounds.originals)
            self._mixed[self._mixed.index(one)] = replace(one, before=state, sounds=alone)
            state, mixes[one.tick] = mix_tick(state, one.routes, alone, one.ducking)
        return state, mixes
