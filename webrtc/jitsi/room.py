"""A Jitsi meeting where the interpreter takes part as a guest; fulfils `webrtc.room.Room`, everybody hears everything.

For each channel there is a participant of ours, a `Seat`, so that people can lower or mute the languages they do not
need. The first seat hears the people, for all; the others subscribe to nothing, and none is ever heard by another.

    first seat ──in──> the others join        first seat ──out──> all leave, the events end
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Self

from webrtc.errors import LocalError
from webrtc.errors import Refused as RefusedError
from webrtc.jitsi.chat_board import ChatBoard, Line
from webrtc.jitsi.conference_events import (
    ChatReceived,
    ConferenceEvent,
    E2eeChanged,
    Interrupted,
    Joined,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    Resumed,
    SeatSettings,
    Waiting,
)
from webrtc.jitsi.guest_settings import GuestSettings
from webrtc.jitsi.people import People
from webrtc.jitsi.presence import Occupant
from webrtc.jitsi.refusals import Refusal
from webrtc.jitsi.seat import Seat, Verdict
from webrtc.jitsi.sources import RemoteSource
from webrtc.jitsi.sources_audio import SourcesAudio
from webrtc.room import (
    STANDING,
    ChatWritten,
    Hindered,
    Hindrance,
    IncomingAudio,
    Listening,
    OutgoingAudio,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    RoomMessage,
    TrackStarted,
    TrackStopped,
)
from webrtc.room_events import RoomEvents

logger = logging.getLogger(__name__)

LEAVE_S = 12.0
"""Longest time for all seats to leave in order."""

MAX_LINE_CHARACTERS = 2_000
MAX_LINES = 8
LINES_WITHIN_S = 10.0
"""Of each person's chat so many lines are read in that time."""

_PEACEFUL = frozenset({Refusal.LEFT, Refusal.MEETING_ENDED})


class JitsiRoom:
    """One meeting; use as `async with room:`, after which its events tell how it goes.

    What its `events` raise when the interpreter is not let in, or is put out, is one sentence for the host.

    Args:
        settings: where, and as whom.
        news: takes lines for whoever started the interpreter: waiting, in, lost, back.
    """

    def __init__(self, settings: GuestSettings, news: Callable[[str], None] = logger.info) -> None:
        self._settings = settings
        self._news = news
        self._people = People(marker=settings.marker, moderators_are_hosts=settings.moderators_are_hosts)
        self._audio: dict[str, SourcesAudio] = {}  # nick -> what they send, also of who is not known yet
        self._board = ChatBoard(captions=settings.captions, name_of=self._people.name_of)
        self._read_s: dict[str, deque[float]] = {}  # participant id -> when lines of theirs were read
        self._events = RoomEvents()
        self._seats: dict[str, Seat] = {}
        self._tasks: dict[str, asyncio.Task[Verdict]] = {}
        self._hindrances: set[Hindrance] = set()
        self._chat_timer: asyncio.TimerHandle | None = None
        self._entered = False

    # What a meeting sees (`webrtc.room.Room`) -----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For people and logs."""
        return self._settings.title

    @property
    def listening(self) -> Listening:
        """Everybody hears everything."""
        return Listening.FLOOR

    @property
    def seats(self) -> Iterable[Seat]:
        """Those that were taken, the listening one first."""
        return self._seats.values()

    def events(self) -> AsyncIterator[RoomEvent]:
        """Every event since the room was entered, to one reader; see `webrtc.room.Room`.

        Raises:
            Refused: the interpreter is not let in, or was put out; says what to do about it.
        """
        return self._events.read()

    def outgoing(self, key: str) -> OutgoingAudio | None:
        """Where to play a channel; None while its seat is not in the room."""
        seat = self._seats.get(key)
        return seat.voice if seat is not None and seat.inside else None

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        """Writes what a chat can show; see `ChatBoard`."""
        self._board.tell(participant_id, message, self._now_s())
        self._write_due()

    async def remove(self, participant_id: str, reason: str) -> None:
        """A guest can put nobody out: they are no longer listened to, and that is all."""
        nick = self._people.nick_of(participant_id)
        if nick is not None:
            self._tell_all(self._people.ignore(nick, f"removed: {reason}"))

    async def __aenter__(self) -> Self:
        """Begins to join; how it goes, the events tell."""
        if self._entered:
            raise LocalError(f"expected a room to be entered once, got {self.name!a} again")
        self._entered = True
        self._take_seat(next(iter(self._settings.seats)))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leaves with all seats, in order, and ends the events."""
        self._write(self._board.take(float("inf")))
        self._events.end()
        for seat in self._seats.values():
            seat.leave()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=LEAVE_S)
            for task in late:
                task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._chat_timer is not None:
            self._chat_timer.cancel()

    # Seats ----------------------------------------------------------------------------------------------------------

    def _take_seat(self, channel: str) -> None:
        settings = self._settings
        seat = self._seats[channel] = Seat(
            SeatSettings(
                server=settings.server,
                room=settings.room,
                display_name=settings.seats[channel],
                password=settings.password,
                token=settings.token,
                account=settings.account,
                marker=settings.marker,
                max_wait_s=settings.max_wait_s,
            ),
            channel=channel,
            listens=not self._seats,
            audience=self,
            ice=settings.ice,
            tls=settings.tls,
            insecure=settings.insecure,
        )
        task = self._tasks[channel] = asyncio.create_task(seat.run(), name=f"seat {channel}")
        task.add_done_callback(lambda done: self._seat_over(seat, done))

    @property
    def _ear(self) -> Seat:
        return next(iter(self._seats.values()))

    def _seat_over(self, seat: Seat, task: asyncio.Task[Verdict]) -> None:
        """A seat is out for good; with the one that listens, all of them are."""
        if self._events.over or task.cancelled():
            return
        verdict = self._verdict_of(seat, task)
        words = verdict.words
        self._refresh_mute()
        if seat is not self._ear:
            self._news(f"{seat.name} is out, its language is not heard any more: {words}.")
            return
        peaceful = verdict.was_in and verdict.kind in _PEACEFUL
        self._news(f"{words[:1].upper()}{words[1:]}.")
        self._events.end(None if peaceful else RefusedError(words))

    def _verdict_of(self, seat: Seat, task: asyncio.Task[Verdict]) -> Verdict:
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, RefusedError):
            return Verdict(kind=Refusal.NOT_ALLOWED, words=str(error))
        logger.error("the seat of channel %s failed", seat.channel, exc_info=error)
        return Verdict(
            kind=Refusal.LOST, words="the interpreter had a fault of its own, which its log tells of"
        )

    # What seats tell of (`seat.Audience`) ---------------------------------------------------------------------------

    def seat_event(self, seat: Seat, event: ConferenceEvent) -> None:
        """Something happened in the room, as one of the seats sees it; people are followed by the one that listens."""
        match event:
            case ChatReceived():
                self._read(seat, event)
            case Waiting(words=words) | Interrupted(words=words):
                self._news(f"{seat.name}: {words}.")
            case Resumed():
                self._news(f"{seat.name} is back.")
            case Joined():
                self._joined(seat)
            case E2eeChanged(on=on) if seat is self._ear:
                self._hinder(Hindrance.ENCRYPTED, on)
                self._follow_interpreters()
            case OccupantJoined(occupant=occupant) | OccupantChanged(occupant=occupant) if seat is self._ear:
                self._follow(occupant)
            case OccupantLeft(occupant=occupant, reason=reason) if seat is self._ear:
                self._tell_all(self._people.gone(occupant.nick, reason))
                self._follow_interpreters()

    def seat_muted(self, seat: Seat, muted: bool) -> None:
        """A seat must be silent, or may speak again."""
        self._news(f"{seat.name} {'was muted' if muted else 'may speak again'}.")
        self._refresh_mute()

    def track_started(self, source: RemoteSource, audio: IncomingAudio) -> None:
        """A source can be pulled."""
        whole = self._audio.setdefault(source.owner, SourcesAudio())
        new = whole.empty
        whole.put(source.ssrc, audio)
        participant_id = self._people.id_of(source.owner)
        if new and participant_id is not None:
            self._events.add(TrackStarted(participant_id=participant_id, audio=whole))

    def track_ended(self, source: RemoteSource) -> None:
        """A source cannot be pulled any more."""
        whole = self._audio.get(source.owner)
        if whole is None:
            return
        whole.drop(source.ssrc)
        participant_id = self._people.id_of(source.owner)
        if whole.empty:
            del self._audio[source.owner]
            if participant_id is not None:
                self._events.add(TrackStopped(participant_id=participant_id))

    # People ---------------------------------------------------------------------------------------------------------

    def _joined(self, seat: Seat) -> None:
        """In: everybody who was there before and is not now has left meanwhile."""
        self._news(f"{seat.name} is in the meeting.")
        if seat is not self._ear:
            return
        self._tell_all(self._people.keep(seat.occupants.keys(), "left meanwhile"))
        self._hinder(Hindrance.ENCRYPTED, any(one.e2ee for one in seat.occupants.values()))
        self._follow_interpreters()
        for channel in self._settings.seats:
            if channel not in self._seats:
                self._take_seat(channel)

    def _follow(self, occupant: Occupant) -> None:
        self._tell_all(self._people.there(occupant))
        self._follow_interpreters()

    def _tell_all(self, events: Iterable[RoomEvent]) -> None:
        for event in events:
            self._events.add(event)
            if isinstance(event, ParticipantLeft):
                self._read_s.pop(event.participant_id, None)
                self._board.forget(event.participant_id)
            elif isinstance(event, ParticipantJoined):
                self._start_track(event.participant.id)

    def _start_track(self, participant_id: str) -> None:
        """Sound may have come before its owner did."""
        audio = self._audio.get(self._people.nick_of(participant_id) or "")
        if audio is not None:
            self._events.add(TrackStarted(participant_id=participant_id, audio=audio))

    def _follow_interpreters(self) -> None:
        """Never hears an interpreter; and where another one is at work, nobody."""
        self._hinder(Hindrance.ANOTHER_INTERPRETER, self._people.another_first)
        deaf = self._hindrances & {Hindrance.ANOTHER_INTERPRETER, Hindrance.ENCRYPTED}
        self._ear.hear(listens=not deaf, excluded=self._people.interpreters)

    def _hinder(self, hindrance: Hindrance, holds: bool) -> None:
        if holds != (hindrance in self._hindrances):
            (self._hindrances.add if holds else self._hindrances.discard)(hindrance)
            self._events.add(Hindered(by=hindrance, holds=holds))

    def _refresh_mute(self) -> None:
        present = [seat for channel, seat in self._seats.items() if not self._tasks[channel].done()]
        self._hinder(Hindrance.MUTED, any(seat.muted for seat in present))

    # Chat -----------------------------------------------------------------------------------------------------------

    def _read(self, seat: Seat, written: ChatReceived) -> None:
        """A person's line: in everybody's chat, where each seat sees it, or to one seat alone."""
        person = self._people.participant(written.nick)
        if (
            person is None
            or (seat is not self._ear and not written.private)
            or not self._may_write(person.id)
        ):
            return
        line = written.text[:MAX_LINE_CHARACTERS]
        if STANDING in person.attributes and self._settings.speaks_again(line):
            for muted in [one for one in self._seats.values() if one.muted]:
                muted.lift_mute()
        self._events.add(ChatWritten(participant_id=person.id, text=line))

    def _may_write(self, participant_id: str) -> bool:
        """Whether they have not written too much of late."""
        now_s, read_s = self._now_s(), self._read_s.setdefault(participant_id, deque(maxlen=MAX_LINES))
        if len(read_s) == MAX_LINES and now_s - read_s[0] < LINES_WITHIN_S:
            return False
        read_s.append(now_s)
        return True

    def _write_due(self) -> None:
        """Writes what is due, and sees to it that the rest is written then."""
        now_s = self._now_s()
        self._write(self._board.take(now_s))
        due_s = self._board.next_due_s()
        if due_s is not None and self._chat_timer is None:
            self._chat_timer = asyncio.get_running_loop().call_later(
                max(0.0, due_s - now_s), self._on_chat_timer
            )

    def _on_chat_timer(self) -> None:
        self._chat_timer = None
        self._write_due()

    def _write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            nick = None if line.to is None else self._people.nick_of(line.to)
            if line.to is not None and nick is None:
                continue  # has left
            speaker = self._seats.get(line.channel)
            seat = speaker if speaker is not None and speaker.inside and nick is None else self._ear
            seat.say(line.text, nick)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
