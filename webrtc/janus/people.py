"""Who takes part in a room of a Janus server: its occupants apart from interpreters, as participants. Pure.

An occupant keeps their participant while their id stays: across a publication that ends and begins anew, and across a
loss of our own connection. Whoever is called like one of our own seats is another instance of this interpreter: never
heard, and of two instances the one with the lowest ids, which is the one that was started first, is at work.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from webrtc.janus.settings import IDS
from webrtc.janus.videoroom import Occupant, UserId
from webrtc.room import (
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    TrackMuted,
)

logger = logging.getLogger(__name__)

MAX_OCCUPANTS = 1_000
"""More than any room has; whoever comes after them is not known."""


@dataclass(frozen=True, kw_only=True)
class _Person:
    occupant: Occupant
    participant: Participant


class People:
    """The people of one room. Single-threaded.

    Args:
        seat_names: display names of our own seats.
        first_id: of our own ids; see `JanusSettings`.
    """

    def __init__(self, seat_names: Collection[str], first_id: int) -> None:
        self._seat_names = frozenset(seat_names)
        self._first_id = first_id
        self._people: dict[UserId, _Person] = {}
        self._interpreters: dict[UserId, Occupant] = {}
        self._numbers = itertools.count(1)

    @property
    def tracks(self) -> Mapping[UserId, str]:
        """The tracks of people, by feed."""
        return {
            who: person.occupant.audio.mid
            for who, person in self._people.items()
            if person.occupant.audio is not None
        }

    @property
    def another_first(self) -> bool:
        """Whether another instance is here that goes before ours."""
        return any(_rank(who) < _rank(self._first_id) for who in self._interpreters)

    def id_of(self, who: UserId) -> str | None:
        """The participant's id; None for who is none of the people."""
        person = self._people.get(who)
        return None if person is None else person.participant.id

    def entered(self, occupants: Iterable[Occupant]) -> list[RoomEvent]:
        """These are in the room, and nobody else."""
        there = {one.id: one for one in occupants}
        gone = [who for who in (*self._people, *self._interpreters) if who not in there]
        events = [event for who in gone for event in self.left(who, "left meanwhile")]
        return events + self.seen(there.values())

    def seen(self, occupants: Iterable[Occupant]) -> list[RoomEvent]:
        """These are in the room, as they are now."""
        return [event for one in occupants for event in self._see(one)]

    def unpublished(self, who: UserId) -> list[RoomEvent]:
        """Somebody publishes nothing any more, and may still be there."""
        person = self._people.get(who)
        return [] if person is None else self._see(replace(person.occupant, audio=None))

    def moderated(self, who: UserId, mid: str, muted: bool) -> list[RoomEvent]:
        """A track was muted or unmuted."""
        person = self._people.get(who)
        audio = None if person is None else person.occupant.audio
        if person is None or audio is None or audio.mid != mid:
            return []
        return self._see(replace(person.occupant, audio=replace(audio, muted=muted)))

    def left(self, who: UserId, reason: str) -> list[RoomEvent]:
        """Somebody is in the room no more."""
        self._interpreters.pop(who, None)
        person = self._people.pop(who, None)
        if person is None:
            return []
        return [ParticipantLeft(participant_id=person.participant.id, reason=reason)]

    def lost(self, reason: str) -> list[RoomEvent]:
        """Nobody is known to be in the room."""
        self._interpreters.clear()
        return [event for who in list(self._people) for event in self.left(who, reason)]

    def forget(self, participant_id: str) -> list[RoomEvent]:
        """Somebody is not listened to any more, though they may still be there."""
        who = next((who for who, one in self._people.items() if one.participant.id == participant_id), None)
        return [] if who is None else self.left(who, "removed")

    def _see(self, occupant: Occupant) -> list[RoomEvent]:
        if self._is_own(occupant.id):
            return []
        if occupant.name in self._seat_names:
            self._interpreters[occupant.id] = occupant
            return []
        before = self._people.get(occupant.id)
        if before is None and len(self._people) >= MAX_OCCUPANTS:
            logger.warning("a room has more than %d people; further ones are not known", MAX_OCCUPANTS)
            return []
        now = _Person(occupant=occupant, participant=self._participant(occupant, before))
        self._people[occupant.id] = now
        events: list[RoomEvent] = []
        if before is None:
            events.append(ParticipantJoined(participant=now.participant))
        elif now.participant != before.participant:
            events.append(ParticipantChanged(participant=now.participant))
        if _muted(occupant) != (before is not None and _muted(before.occupant)):
            events.append(TrackMuted(participant_id=now.participant.id, muted=_muted(occupant)))
        return events

    def _is_own(self, who: UserId) -> bool:
        """Whether it is a seat of ours, or what is left of one after a loss, until Janus notices that."""
        text = str(who)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        return self._first_id <= number < self._first_id + IDS

    def _participant(self, occupant: Occupant, before: _Person | None) -> Participant:
        name = occupant.name or ("" if before is None else before.occupant.name) or str(occupant.id)
        return Participant(
            id=f"{next(self._numbers)}~{occupant.id}" if before is None else before.participant.id,
            name=name,
            attributes={},
            speaks=occupant.audio is not None,
        )


def _muted(occupant: Occupant) -> bool:
    return occupant.audio is not None and occupant.audio.muted


def _rank(who: UserId) -> tuple[int, str]:
    """Orders ids, numbers among numbers by their value."""
    return len(str(who)), str(who)
