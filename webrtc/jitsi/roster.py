"""Who is in the room: from presences to joins, changes and leaves, also across a session that was lost."""

from __future__ import annotations

from collections.abc import Mapping

from webrtc.jitsi.conference_events import OccupantChanged, OccupantJoined, OccupantLeft
from webrtc.jitsi.presence import Occupant, Presence

MAX_OCCUPANTS = 2_000
"""Further ones are not noticed: no meeting is interpreted with so many."""

RosterEvent = OccupantJoined | OccupantChanged | OccupantLeft


class Roster:
    """The occupants but ourselves.

    While we join, the room lists who is there: they are collected, and reported when the list is complete. After a
    lost session the list is compared with the one before.
    """

    def __init__(self) -> None:
        self._occupants: dict[str, Occupant] = {}
        self._arriving: dict[str, Occupant] | None = None

    @property
    def occupants(self) -> Mapping[str, Occupant]:
        """By nick."""
        return self._occupants

    @property
    def focus(self) -> Occupant | None:
        """The focus, where it is there."""
        return next((each for each in self._occupants.values() if each.is_focus), None)

    @property
    def encrypted(self) -> tuple[str, ...]:
        """Names of those whose sound is encrypted end to end."""
        return tuple(each.name or each.nick for each in self._occupants.values() if each.e2ee)

    def begin(self) -> None:
        """We join: a list follows."""
        self._arriving = {}

    def complete(self) -> list[RosterEvent]:
        """The list is complete."""
        arrived, self._arriving = self._arriving or {}, None
        gone = [occupant for nick, occupant in self._occupants.items() if nick not in arrived]
        events: list[RosterEvent] = [self._leave(occupant.nick, "left meanwhile") for occupant in gone]
        for occupant in arrived.values():
            events += self._there(occupant)
        return events

    def told(self, presence: Presence) -> list[RosterEvent]:
        """What somebody else's presence changes."""
        there = self._arriving if self._arriving is not None else self._occupants
        if presence.kind == "available":
            if presence.nick not in there and len(there) >= MAX_OCCUPANTS:
                return []
            if self._arriving is None:
                return self._there(presence.occupant)
            self._arriving[presence.nick] = presence.occupant
        elif self._arriving is not None:
            self._arriving.pop(presence.nick, None)
        elif presence.nick in self._occupants:
            return [self._leave(presence.nick, _reason(presence))]
        return []

    def _there(self, occupant: Occupant) -> list[RosterEvent]:
        before = self._occupants.get(occupant.nick)
        self._occupants[occupant.nick] = occupant
        if before is None:
            return [OccupantJoined(occupant=occupant)]
        return [OccupantChanged(occupant=occupant, before=before)] if before != occupant else []

    def _leave(self, nick: str, reason: str) -> OccupantLeft:
        return OccupantLeft(occupant=self._occupants.pop(nick), reason=reason)


def _reason(presence: Presence) -> str:
    if "307" in presence.codes:
        return f"removed: {presence.reason}" if presence.reason else "removed"
    return "connection lost" if "333" in presence.codes else "left"
