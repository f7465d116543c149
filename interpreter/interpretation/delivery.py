"""What listeners are given of the renderings, as the floors, notices and other languages leave room for them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.commands.orders import Orders
from interpreter.directions import Direction
from interpreter.floor.floor import Fader, Played, Talk
from interpreter.floor.floors import Floors
from interpreter.interpretation.arrangement import Arrangement
from interpreter.interpretation.audience import Audience
from interpreter.levels import level_dbfs
from interpreter.mixing.routing import priority_gains
from interpreter.sessions.hold import SOUND_DBFS, Said
from interpreter.sessions.sessions import Sessions

IN_FRONT_S = 0.5
"""A language that was silent for less is still in front of the others: a pause between two phrases."""

PRIORITY_FADE_S = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivered:
    """What came of one tick."""

    played: Mapping[Direction, Played]
    """What happened on every floor; sound as before the mix."""

    listeners: Mapping[Direction, frozenset[str]]
    """Whom each direction that is served is heard by."""

    renderings: Mapping[Direction, Pcm]
    """Pcm [1920]."""

    asides: Mapping[Direction, Pcm]
    """Pcm [1920] for the speaker of a direction alone."""


class Delivery:
    """The renderings of one meeting on their way to its listeners.

    Args:
        orders: of the meeting.
        audience: that listens.
        arrangement: of the meeting's directions.
        sessions: that are stopped where nobody is to hear the rest.
        floors: of the same directions.
    """

    def __init__(
        self,
        orders: Orders,
        audience: Audience,
        arrangement: Arrangement,
        *,
        sessions: Sessions,
        floors: Floors,
    ) -> None:
        self._orders = orders
        self._audience = audience
        self._arrangement = arrangement
        self._sessions = sessions
        self._floors = floors
        self._foreground = _Foreground()

    @property
    def listeners(self) -> Mapping[Direction, frozenset[str]]:
        """Whom each direction that is served is heard by."""
        return self._audience.listeners(self._arrangement.wanted)

    def advance(
        self,
        said: Mapping[Direction, Said],
        talks: Mapping[str, Talk],
        reading: Collection[str],
        at_s: float,
    ) -> Delivered:
        """What is heard in the mix of a tick.

        Args:
            said: what the sessions say in it.
            talks: what is known of everybody's voice.
            reading: who is being read something.
            at_s: when its first sample leaves.
        """
        listeners = self.listeners
        result = self._floors.advance(
            {} if self._orders.halted else said,
            talks,
            listeners,
            self._closed(listeners, frozenset(reading)),
            at_s,
            closing=self._orders.paused,
        )
        for direction, played in result.played.items():
            if played.interrupt:
                self._sessions.interrupt(direction)
        return Delivered(
            played=result.played,
            listeners=listeners,
            renderings=self._in_front(result.played, at_s),
            asides=result.asides,
        )

    def repeat(self, listener_id: str | None) -> bool:
        """Has what a listener, or everybody, heard last said again; False when there was nothing."""
        wanted = [
            direction
            for direction in self._arrangement.wanted
            if listener_id is None or self._audience.hears(listener_id, direction)
        ]
        return any([self._floors.repeat(direction) for direction in wanted])

    def silence(self) -> list[Direction]:
        """Drops everything that is being said or still to be said, at once; the directions in which it was cut."""
        cut = []
        for direction in self._arrangement.wanted:
            if self._floors.silence(direction):
                cut.append(direction)
            self._sessions.interrupt(direction)
        return cut

    def _closed(
        self, listeners: Mapping[Direction, frozenset[str]], reading: frozenset[str]
    ) -> frozenset[Direction]:
        """Directions in which nothing may be said: held, or all their listeners are being read something."""
        return frozenset(
            direction
            for direction, heard_by in listeners.items()
            if self._orders.holds(direction) or (heard_by and heard_by <= reading)
        )

    def _in_front(self, played: Mapping[Direction, Played], at_s: float) -> Mapping[Direction, Pcm]:
        """The renderings; where everybody hears all of them, those of a lower priority are lowered under the others."""
        if not self._audience.on_channels:
            return {direction: one.pcm for direction, one in played.items()}
        policies, chosen = self._orders.cast.role.policies, self._orders.priority
        priority = policies.priority if chosen is None else chosen
        curves = self._foreground.advance(played, priority, policies.yield_duck_db, at_s)
        return {direction: one.pcm * curves[direction.language_out] for direction, one in played.items()}


class _Foreground:
    """Which of the languages that sound together is in front of the others."""

    def __init__(self) -> None:
        self._faders: dict[str, Fader] = {}
        self._sounded_s: dict[str, float] = {}  # language -> when it was last heard

    def advance(
        self, played: Mapping[Direction, Played], priority: Sequence[str], lowered_db: float, at_s: float
    ) -> Mapping[str, Pcm]:
        """Language -> gains [1920] of what is heard in it."""
        for direction, one in played.items():
            if level_dbfs(one.pcm) >= SOUND_DBFS:
                self._sounded_s[direction.language_out] = at_s
        sounding = [one for one, sounded_s in self._sounded_s.items() if at_s - sounded_s < IN_FRONT_S]
        gains = priority_gains(sounding, priority, lowered_db)
        curves: dict[str, Pcm] = {}
        for language in {direction.language_out for direction in played}:
            fader = self._faders.setdefault(language, Fader(1.0))
            fader.aim(gains.get(language, 1.0), PRIORITY_FADE_S)
            curves[language] = fader.apply(np.ones(FRAME_SAMPLES, dtype=np.float32))
        return curves
