"""Who takes part in a Jitsi meeting, from who is in its room: people apart from interpreters and the focus. Pure.

A participant's id is their nick, which is their endpoint's id; whoever comes back under a nick that was there before is
somebody new. Interpreters tell each other by a marker in their presence, a text that all seats of one instance share.
Of several instances the one whose marker comes first in order is at work: markers begin with the time of the start.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from webrtc.jitsi.presence import Occupant
from webrtc.room import (
    EMAIL,
    STANDING,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    TrackMuted,
)

HOST = "host"
"""Standing of moderators; what they may do because of it is not known here."""


@dataclass(frozen=True, kw_only=True)
class _Person:
    participant: Participant
    muted: bool


class People:
    """The people in one meeting. Single-threaded.

    Args:
        marker: of our own instance.
        moderators_are_hosts: whether moderators get a standing.
    """

    def __init__(self, *, marker: str, moderators_are_hosts: bool) -> None:
        self._marker = marker
        self._moderators_are_hosts = moderators_are_hosts
        self._people: dict[str, _Person] = {}  # by nick
        self._interpreters: dict[str, str] = {}  # nick -> marker
        self._came: dict[str, int] = {}  # nick -> how often
        self._ignored: set[str] = set()  # nicks

    @property
    def interpreters(self) -> frozenset[str]:
        """Nicks of all interpreters, ours and others', which are never heard."""
        return frozenset(self._interpreters)

    @property
    def another_first(self) -> bool:
        """Whether another instance is here that goes before ours."""
        return any(marker < self._marker for marker in self._interpreters.values())

    def participant(self, nick: str) -> Participant | None:
        """Who has that nick; None for who is none of the people."""
        person = self._people.get(nick)
        return None if person is None else person.participant

    def id_of(self, nick: str) -> str | None:
        """The participant's id; None for who is none of the people."""
        person = self._people.get(nick)
        return None if person is None else person.participant.id

    def name_of(self, participant_id: str) -> str:
        """What they call themselves; empty when they have left."""
        people = (one.participant for one in self._people.values())
        return next((one.name for one in people if one.id == participant_id), "")

    def nick_of(self, participant_id: str) -> str | None:
        """The participant's nick; None when they have left."""
        return next((n for n, one in self._people.items() if one.participant.id == participant_id), None)

    def there(self, occupant: Occupant) -> list[RoomEvent]:
        """Somebody is in the room, or something about them has changed."""
        if occupant.is_focus or occupant.nick in self._ignored:
            return []
        if occupant.marker:
            self._interpreters[occupant.nick] = occupant.marker
            return self._leave(occupant.nick, "is an interpreter")
        self._interpreters.pop(occupant.nick, None)
        before = self._people.get(occupant.nick)
        participant_id = self._new_id(occupant.nick) if before is None else before.participant.id
        now = self._person(participant_id, occupant)
        self._people[occupant.nick] = now
        events: list[RoomEvent] = []
        if before is None:
            events.append(ParticipantJoined(participant=now.participant))
        elif now.participant != before.participant:
            events.append(ParticipantChanged(participant=now.participant))
        if now.muted != (before is not None and before.muted):
            events.append(TrackMuted(participant_id=participant_id, muted=now.muted))
        return events

    def gone(self, nick: str, reason: str) -> list[RoomEvent]:
        """Somebody is in the room no more."""
        self._ignored.discard(nick)
        self._interpreters.pop(nick, None)
        return self._leave(nick, reason)

    def ignore(self, nick: str, reason: str) -> list[RoomEvent]:
        """Somebody takes part no more, although they are in the room, until they leave it."""
        events = self.gone(nick, reason)
        self._ignored.add(nick)
        return events

    def keep(self, nicks: Collection[str], reason: str) -> list[RoomEvent]:
        """Nobody else is in the room now."""
        left = [nick for nick in (*self._people, *self._interpreters, *self._ignored) if nick not in nicks]
        return [event for nick in left for event in self.gone(nick, reason)]

    def _leave(self, nick: str, reason: str) -> list[RoomEvent]:
        person = self._people.pop(nick, None)
        return (
            [] if person is None else [ParticipantLeft(participant_id=person.participant.id, reason=reason)]
        )

    def _new_id(self, nick: str) -> str:
        count = self._came[nick] = self._came.get(nick, 0) + 1
        return nick if count == 1 else f"{nick}~{count}"

    def _person(self, participant_id: str, occupant: Occupant) -> _Person:
        attributes = {EMAIL: occupant.email} if occupant.email else {}
        if occupant.moderator and self._moderators_are_hosts:
            attributes[STANDING] = HOST
        sources = occupant.audio_sources
        return _Person(
            participant=Participant(
                id=participant_id, name=occupant.name or occupant.nick, attributes=attributes
            ),
            muted=bool(sources) and all(sources.values()),
        )
