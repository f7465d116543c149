"""The floors of all directions of a meeting, advanced together once per tick. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import inf

from duplex_model.contract import Pcm
from interpreter.directions import Direction
from interpreter.floor.floor import (
    DirectionFloor,
    FloorEvent,
    FloorMode,
    FloorSettings,
    Played,
    Situation,
    Talk,
)
from interpreter.floor.own_backchannels import BackchannelSettings, OwnBackchannels
from interpreter.sessions.hold import NOTHING, Said


@dataclass(frozen=True, kw_only=True)
class FloorPolicy:
    """How one direction is rendered."""

    mode: FloorMode
    settings: FloorSettings = field(default_factory=FloorSettings)
    backchannels: BackchannelSettings = field(default_factory=BackchannelSettings)


@dataclass(frozen=True, kw_only=True, eq=False)
class FloorTick:
    """What came of one tick."""

    played: Mapping[Direction, Played]
    asides: Mapping[Direction, Pcm]
    """Pcm [1920] for the speaker of a direction alone."""


class _Place:
    """One direction's floor with its policy."""

    def __init__(self, policy: FloorPolicy) -> None:
        self.policy = policy
        self.floor = DirectionFloor(policy.settings, policy.mode)
        self.own = OwnBackchannels(policy.backchannels)
        self.sounded_s = -inf  # when the session last said something

    def follow(self, policy: FloorPolicy) -> None:
        if policy.backchannels != self.policy.backchannels:
            self.own = OwnBackchannels(policy.backchannels)
        self.floor.set(policy.settings)
        self.policy = policy


class Floors:
    """Who may be heard when, for every direction of a meeting."""

    def __init__(self) -> None:
        self._places: dict[Direction, _Place] = {}
        self._ending: dict[Direction, _Place] = {}

    def keep(self, policies: Mapping[Direction, FloorPolicy]) -> None:
        """Has a floor for each of these directions and for no other; a changed policy is followed from now on."""
        for direction in [d for d in self._places if d not in policies]:
            self._ending[direction] = self._places.pop(direction)
        for direction, policy in policies.items():
            if direction in self._places:
                self._places[direction].follow(policy)
            else:
                self._places[direction] = _Place(policy)

    def mode(self, direction: Direction) -> FloorMode:
        """The mode in effect, which follows the one wanted between utterances."""
        return self._places[direction].floor.mode

    def idle(self, direction: Direction) -> bool:
        """Whether nothing is said or kept in a direction; true for one without a floor."""
        place = self._places.get(direction)
        return place is None or place.floor.idle

    def quiet_s(self, direction: Direction, now_s: float) -> float:
        """For how long the session has said nothing; infinite for one that never did, or that is not there."""
        place = self._places.get(direction)
        return inf if place is None else max(0.0, now_s - place.sounded_s)

    def waiting_s(self, direction: Direction) -> float:
        """Sound that waits."""
        return self._places[direction].floor.waiting_s

    def repeat(self, direction: Direction) -> bool:
        """Has the last utterance said again; False when there was none."""
        return self._places[direction].floor.repeat()

    def silence(self, direction: Direction) -> bool:
        """Drops what is said and waits, with no fade; whether there was anything."""
        place = self._places.get(direction)
        return place is not None and place.floor.silence()

    def forget(self, direction: Direction, now_s: float) -> tuple[FloorEvent, ...]:
        """The direction's session is gone."""
        place = self._places.get(direction)
        return () if place is None else place.floor.forget(now_s)

    def advance(
        self,
        said: Mapping[Direction, Said],
        talks: Mapping[str, Talk],
        listeners: Mapping[Direction, Collection[str]],
        closed: Collection[Direction],
        now_s: float,
        *,
        closing: bool = False,
    ) -> FloorTick:
        """One tick of all floors.

        Args:
            said: what the sessions say; who is missing says nothing.
            talks: everybody who is listened to.
            listeners: whom each direction is for.
            closed: directions in which nothing may be said now.
            now_s: when the tick's first sample leaves.
            closing: everything may be said to the end of its unit, and nothing more.

        Returns:
            What is played in every direction that has a floor, and in those that just lost it, which fade out.
        """
        played: dict[Direction, Played] = {
            direction: place.floor.end(said.get(direction, NOTHING))
            for direction, place in self._ending.items()
        }
        self._ending.clear()
        asides: dict[Direction, Pcm] = {}
        for direction, place in self._places.items():
            speaker = talks.get(direction.speaker_id)
            new = said.get(direction, NOTHING)
            if new.sounds:
                place.sounded_s = now_s
            parted = place.own.part(new, speaker, now_s)
            if parted.aside is not None:
                asides[direction] = parted.aside
            situation = Situation(
                mode=place.policy.mode,
                speaker=speaker,
                listeners={who: talks.get(who) for who in listeners.get(direction, ())},
                closed=direction in closed,
                closing=closing,
            )
            played[direction] = place.floor.advance(parted.said, situation, now_s)
        return FloorTick(played=played, asides=asides)
