"""A meeting that interprets nothing, and answers what pages ask of it as the real one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from webrtc.room import (
    STANDING,
    CommandArgument,
    CommandGiven,
    DirectionState,
    DirectionStatus,
    Lamp,
    MeetingState,
    OwnState,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    Replied,
    RoleChoice,
    Room,
    RoomEvent,
    Stored,
)

CHOICES = (
    RoleChoice(name="relay", titles={"en": "Plain-language relay"}),
    RoleChoice(
        name="medical-consecutive",
        titles={"en": "Medical visit, turn by turn", "es": "Consulta médica, por turnos"},
        voice="clara",
    ),
)
"""What hosts may choose."""


class MeetingDouble:
    """What a page sees of a meeting; `given` is everything that was asked, `(name, arguments)` in order."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.given: list[tuple[str, Mapping[str, CommandArgument]]] = []
        self.refuses: Mapping[str, str] = {}
        """Command -> why not."""
        self.silent = False
        """Answers nothing."""
        self.people: dict[str, Participant] = {}
        self.own: dict[str, OwnState] = {}
        self.lamp = Lamp.INTERPRETING
        self.stored: tuple[Stored, ...] = (Stored.TRANSCRIPT, Stored.IDENTITY)
        self.human_asked = False
        self.human_present = self.paused = self.closed = False
        self.mode, self.role = "consecutive", "medical-consecutive"
        self.events: list[RoomEvent] = []

    async def run(self) -> None:
        """Until the room closes."""
        async for event in self.room.events():
            self.events.append(event)
            match event:
                case ParticipantJoined(participant=person) | ParticipantChanged(participant=person):
                    self.people[person.id] = person
                    self.own.setdefault(person.id, OwnState())
                    self.tell()
                case ParticipantLeft(participant_id=identity):
                    del self.people[identity]
                    self.tell()
                case CommandGiven():
                    self.given.append((event.name, event.arguments))
                    if not self.silent:
                        self.obey(event)

    def obey(self, command: CommandGiven) -> None:
        """Does it, tells everybody the state, answers."""
        why_not = self.refuses.get(command.name)
        who = command.participant_id
        if why_not is None:
            self.own[who] = self.changed(self.own[who], command)
            self.lead(command)
            self.tell()
        text = f"Done: {command.name}." if why_not is None else why_not
        self.room.tell(
            who,
            Replied(request_id=command.request_id, accepted=why_not is None, text=text, language="en"),
        )

    @staticmethod
    def changed(own: OwnState, command: CommandGiven) -> OwnState:
        """What somebody has chosen after `command`."""
        arguments = command.arguments
        match command.name:
            case "optout" | "optin":
                return replace(own, opted_out=command.name == "optout")
            case "stop" | "start":
                return replace(own, stopped=command.name == "stop")
            case "balance":
                return replace(own, balance=float(arguments["level"]))
            case "original-only":
                return replace(own, original_only=arguments["state"] is True)
            case "captions":
                return replace(own, captions=arguments["state"] is True)
        return own

    def lead(self, command: CommandGiven) -> None:
        """What holds for everybody after `command`."""
        match command.name:
            case "human":
                self.human_asked = True
            case "handover" | "handback":
                self.human_asked = self.human_present = command.name == "handover"
            case "pause" | "resume":
                self.paused = command.name == "pause"
                self.lamp = Lamp.PAUSED if self.paused else Lamp.INTERPRETING
            case "mode":
                self.mode = str(command.arguments["mode"])
            case "role":
                self.role = str(command.arguments["name"])
            case "close":
                self.closed = True

    def tell(self) -> None:
        """Everybody's state to everybody."""
        for identity in self.people:
            self.room.tell(identity, self.state(identity))

    def state(self, identity: str) -> MeetingState:
        """What `identity` is told."""
        return MeetingState(
            lamp=Lamp.HUMAN if self.human_asked else self.lamp,
            mode=self.mode,
            role=self.role,
            role_checksum="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            stored=self.stored,
            own=self.own[identity],
            directions=tuple(self._directions(identity)),
            opted_out=frozenset(one for one in self.people if self.own[one].opted_out),
            human_asked=self.human_asked,
            human_present=self.human_present,
            paused=self.paused,
            closed=self.closed,
            choices=CHOICES if STANDING in self.people[identity].attributes else (),
        )

    def _directions(self, identity: str) -> list[DirectionState]:
        mine = self.people[identity].attributes["language"]
        found = []
        for other in self.people.values():
            theirs = other.attributes["language"]
            if theirs == mine or other.id == identity:
                continue
            for speaker, language in ((identity, theirs), (other.id, mine)):
                if not self.own[speaker].opted_out:
                    stopped = self.own[identity].stopped or self.own[other.id].stopped
                    status = DirectionStatus.STOPPED if stopped else DirectionStatus.LIVE
                    found.append(DirectionState(speaker_id=speaker, language=language, status=status))
        return found


@asynccontextmanager
async def meeting_double(room: Room) -> AsyncIterator[MeetingDouble]:
    """A double at work in `room`, which is entered already."""
    double = MeetingDouble(room)
    task = asyncio.create_task(double.run())
    try:
        yield double
    finally:
        task.cancel()
        await asyncio.wait({task})
