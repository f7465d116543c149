"""A room without a network: people whose tracks are scripts, and what each was played and told, with its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from interpreter.commands.table import Standing
from scenarios.live_track import LiveTrack
from scenarios.players import Ear, ReadOut, Warp, Witness
from scenarios.run_time import RunTime
from webrtc.room import (
    STANDING,
    Caption,
    CaptionKind,
    Listening,
    MeetingState,
    Participant,
    ParticipantJoined,
    ParticipantLeft,
    Pcm,
    RoomEvent,
    RoomMessage,
    TrackStarted,
)


@dataclass(frozen=True, eq=False)
class _Playing:
    """Fulfils `webrtc.room.OutgoingAudio`."""

    who: str
    ear: Ear
    time: RunTime
    warp: Warp

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        """See `webrtc.room.OutgoingAudio`."""
        self.ear.frames.append((self.time.of(at_s), self.warp(self.who, tick, pcm)))

    def replace(self, tick: int, pcm: Pcm) -> None:
        """Lets be: what is played here was heard at once."""


class MemoryRoom:
    """Fulfils `webrtc.room.Room` and `players.Players`; whoever replays is everybody in it.

    Args:
        time: the run's.
        warp: for interpreters with a fault.
    """

    def __init__(self, time: RunTime, warp: Warp = lambda who, tick, pcm: pcm) -> None:
        self._time = time
        self._warp = warp
        self._events: asyncio.Queue[RoomEvent] = asyncio.Queue()
        self._present: set[str] = set()
        self._witness = Witness()

    @property
    def room(self) -> Self:
        """Itself."""
        return self

    @property
    def witness(self) -> Witness:
        """See `Players.witness`."""
        return self._witness

    @property
    def name(self) -> str:
        """See `Room.name`."""
        return "scenario"

    @property
    def listening(self) -> Listening:
        """Everybody has a mix of their own."""
        return Listening.PER_LISTENER

    def join(self, who: str, name: str, language: str, track: LiveTrack, *, host: bool = False) -> None:
        """See `Players.join`; they are in at once."""
        attributes = {"language": language}
        if host:
            attributes[STANDING] = Standing.HOST.words
        self._present.add(who)
        self._witness.ears[who] = Ear()
        participant = Participant(id=who, name=name, attributes=attributes)
        self._events.put_nowait(ParticipantJoined(participant=participant))
        self._events.put_nowait(TrackStarted(participant_id=who, audio=track))

    def leave(self, who: str, *, lost: bool = False) -> None:
        """See `Players.leave`."""
        self._present.discard(who)
        reason = "connection lost" if lost else "left"
        self._events.put_nowait(ParticipantLeft(participant_id=who, reason=reason))

    def who_is(self, participant_id: str) -> str:
        """See `Players.who_is`."""
        return participant_id

    def id_of(self, who: str) -> str | None:
        """See `Players.id_of`."""
        return who if who in self._present else None

    async def all_in(self) -> None:
        """They are."""

    def undelivered(self) -> str | None:
        """Nothing is lost in memory."""
        return None

    async def events(self) -> AsyncIterator[RoomEvent]:
        """See `Room.events`; never ends by itself."""
        while True:
            yield await self._events.get()

    def outgoing(self, key: str) -> _Playing | None:
        """See `Room.outgoing`."""
        return (
            _Playing(key, self._witness.ears[key], self._time, self._warp) if key in self._present else None
        )

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        """See `Room.tell`."""
        now_s = self._time.now_s()
        match message:
            case Caption(kind=CaptionKind.AS_SELF):
                self._witness.read.append(
                    ReadOut(at_s=now_s, who=participant_id, language=message.language, text=message.text)
                )
            case MeetingState(human_asked=True) if self._witness.human_asked_s is None:
                self._witness.human_asked_s = now_s

    async def remove(self, participant_id: str, reason: str) -> None:
        """See `Room.remove`."""
        self.leave(participant_id)

    async def __aenter__(self) -> Self:
        """Opens."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes."""
