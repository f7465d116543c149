"""The hosted room: seats, who is told what of whom, and the events for whoever listens to the room.

A page takes a seat when it joins and is in the room once its offer was answered: only then is it a participant,
on the roster of the others, and can be played to. The room owns the seats and their peers; the connections that
carry the messages belong to the server.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from webrtc.errors import LocalError, RoomFull, SdpError, SignallingError, WrongHostKey
from webrtc.hosted.protocol import (
    Closed,
    Command,
    Join,
    RosterChanged,
    RosterEntry,
    RosterJoined,
    RosterLeft,
    RosterMuted,
    ServerMessage,
    Welcome,
)
from webrtc.room import (
    STANDING,
    Attestation,
    CommandGiven,
    IncomingAudio,
    Listening,
    OutgoingAudio,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    RoomMessage,
    Stored,
    TrackMuted,
    TrackStarted,
    TrackStopped,
)
from webrtc.room_events import RoomEvents

if TYPE_CHECKING:
    from webrtc.hosted.whip import Invitee
    from webrtc.peer import IceServer

logger = logging.getLogger(__name__)

MAX_EARLY_COMMANDS = 8

HOST = "host"
"""Standing of whoever came by the host's link; what they may do because of it is not known here."""


class SeatPeer(Protocol):
    """What a room needs of whatever carries a participant's sound."""

    @property
    def outgoing(self) -> OutgoingAudio | None:
        """What the participant hears; None while they do not listen."""
        ...

    def attest(self, line: str) -> None:
        """Sends an attestation where there is a channel for it; never blocks, never raises."""
        ...

    async def close(self) -> None:
        """Ends the connection; closing twice is harmless."""
        ...


class RoomPeer(SeatPeer, Protocol):
    """One connection: what a room needs of `webrtc.peer.Peer`."""

    async def answer(self, offer_sdp: str) -> str:
        """The answer to an offer; raises `SdpError`."""
        ...


class PeerFactory(Protocol):
    """Makes the peer of one participant."""

    def __call__(
        self, *, on_audio: Callable[[IncomingAudio], None], on_closed: Callable[[str], None]
    ) -> RoomPeer:
        """A peer that reports its audio once, and its end unless `close` was called."""
        ...


class PageConnection(Protocol):
    """What a room needs of the connection to one page."""

    def deliver(self, message: ServerMessage) -> None:
        """Queues `message`; never blocks, never raises."""
        ...

    def hang_up(self, closed: Closed) -> None:
        """Tells the page why, then disconnects it; never blocks, never raises."""
        ...


class PagelessGuest(PageConnection, SeatPeer, Protocol):
    """Somebody without a page: what is told and what is played goes to the same place."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language people may choose."""

    tag: str
    """BCP 47."""

    label: str
    """Its name in itself, such as `español`."""


@dataclass(eq=False, kw_only=True)
class Seat:
    """One participant, from `join` to the end of their connection."""

    id: str
    name: str
    language: str
    connection: PageConnection
    token: str = field(repr=False)
    """The secret of the link they came by."""

    standing: str = ""
    """`HOST`, or nothing."""

    muted: bool = False
    speaks: bool = True
    listens: bool = True

    peer: SeatPeer | None = None
    audio: IncomingAudio | None = None
    early: list[CommandGiven] = field(default_factory=list)
    """Commands given before they were in the room."""

    present: bool = False
    """The offer was answered: the others see them, `ParticipantJoined` was reported."""

    def entry(self) -> RosterEntry:
        """What the pages are told of this participant."""
        muted = self.muted or not self.speaks
        return RosterEntry(id=self.id, name=self.name, language=self.language, muted=muted)

    def participant(self) -> Participant:
        """What the reader of the events is told of this participant."""
        attributes = {"language": self.language}
        if self.standing:
            attributes[STANDING] = self.standing
        return Participant(
            id=self.id,
            name=self.name,
            attributes=attributes,
            token=self.token,
            speaks=self.speaks,
            listens=self.listens,
        )


@dataclass(eq=False, kw_only=True)
class HostedRoom:
    """A room on our own page; fulfils `webrtc.room.Room`, one outgoing mix per participant.

    Pages may come in while the room is entered (`async with room:`).
    """

    name: str
    """For people and logs."""

    token: str = field(repr=False)
    """The secret part of the room's link; whoever has it may join."""

    host_token: str = field(repr=False)
    """The further secret of the host's link, in ASCII; whoever joins with it is a host."""

    languages: tuple[Language, ...]
    max_participants: int
    make_peer: PeerFactory
    ice_servers: tuple[IceServer, ...] = ()
    """What pages use to find a way to us."""

    stored: tuple[Stored, ...] | None = None
    """What is kept of the meeting, for people to know before they join; None: the page does not say."""

    _seats: dict[str, Seat] = field(default_factory=dict, init=False)
    _events: RoomEvents = field(default_factory=RoomEvents, init=False, repr=False)
    _closing: set[asyncio.Task[None]] = field(default_factory=set, init=False, repr=False)
    _entered: bool = field(default=False, init=False)
    _open: bool = field(default=False, init=False)

    @property
    def listening(self) -> Listening:
        """Everyone hears a mix of their own."""
        return Listening.PER_LISTENER

    @property
    def is_open(self) -> bool:
        """Whether pages may come in."""
        return self._open

    async def __aenter__(self) -> Self:
        if self._entered:
            raise LocalError(f"expected a room to be entered once, got {self.name!r} again")
        self._entered = self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Sends everybody away and ends the events; closing twice is harmless."""
        if not self._open:
            return
        self._open = False
        for seat in list(self._seats.values()):
            self._vacate(seat, "room closed", Closed(code="server-closing", message="The room is closing."))
        self._events.end()
        await asyncio.gather(*self._closing)

    def events(self) -> AsyncIterator[RoomEvent]:
        """Every event since the room was entered, to one reader; see `webrtc.room.Room`."""
        return self._events.read()

    def outgoing(self, key: str) -> OutgoingAudio | None:
        """Where to play what participant `key` hears; None when they are not in the room."""
        seat = self._seats.get(key)
        return seat.peer.outgoing if seat is not None and seat.present and seat.peer is not None else None

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        """Shows `message` on one participant's page; an attestation takes their data channel, where there is one."""
        seat = self._seats.get(participant_id)
        if seat is None:
            return
        if not isinstance(message, Attestation):
            seat.connection.deliver(message)
        elif seat.peer is not None:
            seat.peer.attest(message.line)

    async def remove(self, participant_id: str, reason: str) -> None:
        """Puts somebody out; their page shows `reason`."""
        seat = self._seats.get(participant_id)
        if seat is not None:
            self._vacate(seat, f"removed: {reason}", Closed(code="removed", message=reason))

    def take_seat(self, join: Join, connection: PageConnection) -> Seat:
        """A seat for whoever is behind `connection`, who is welcomed.

        Raises:
            RoomFull: no seat is free.
            SignallingError: the language is not one the room offers.
            WrongHostKey: the page was not opened by this room's host link.
        """
        self._check_language(join.language)
        standing, token = "", self.token
        if join.host_key is not None:
            self._check_host_key(join.host_key)
            standing, token = HOST, self.host_token
        self._check_free()
        seat = Seat(
            id=secrets.token_hex(8),
            name=join.name,
            language=join.language,
            connection=connection,
            token=token,
            standing=standing,
        )
        connection.deliver(
            Welcome(
                id=seat.id,
                room=self.name,
                standing=seat.standing,
                ice_servers=self.ice_servers,
                participants=tuple(other.entry() for other in self._seats.values() if other.present),
            )
        )
        self._seats[seat.id] = seat
        return seat

    def seat_guest(self, invitee: Invitee, guest: PagelessGuest) -> Seat:
        """A seat for somebody without a page, who is in the room with `place_guest`.

        Raises:
            RoomFull: no seat is free.
            SignallingError: the room is closed.
        """
        if not self._open:
            raise SignallingError("expected an open room, got one that is closed")
        self._check_free()
        seat = Seat(
            id=secrets.token_hex(8),
            name=invitee.name,
            language=invitee.language,
            connection=guest,
            token=invitee.token,
            peer=guest,
        )
        self._seats[seat.id] = seat
        return seat

    def place_guest(self, seat: Seat, *, speaks: bool, listens: bool) -> None:
        """What somebody without a page does from now on; the first time, they come in."""
        before = seat.participant()
        seat.speaks, seat.listens = speaks, listens
        if not seat.present:
            self.enter(seat)
        elif seat.participant() != before:
            self._events.add(ParticipantChanged(participant=seat.participant()))
            self._broadcast(RosterChanged(participant=seat.entry()))

    async def connect(self, seat: Seat, offer_sdp: str) -> str:
        """The answer to a page's offer; with it, its person is in the room (see `enter`).

        Raises:
            SdpError: the offer cannot be used; the page may offer again.
            SignallingError: this page has offered before.
        """
        if seat.peer is not None:
            raise SignallingError("expected one offer for each join, got a second")
        peer = self.make_peer(
            on_audio=partial(self.set_audio, seat), on_closed=partial(self._connection_lost, seat)
        )
        seat.peer = peer
        try:
            return await peer.answer(offer_sdp)
        except SdpError:
            seat.peer = seat.audio = None
            await peer.close()
            raise

    def enter(self, seat: Seat) -> None:
        """The page has its answer: reports the participant, what they asked for, their audio, whether it is muted."""
        if self._seats.get(seat.id) is not seat or seat.present:
            return
        seat.present = True
        self._events.add(ParticipantJoined(participant=seat.participant()))
        self._broadcast(RosterJoined(participant=seat.entry()))
        for command in seat.early:
            self._events.add(command)
        if seat.audio is not None:
            self._events.add(TrackStarted(participant_id=seat.id, audio=seat.audio))
        if seat.muted:
            self._events.add(TrackMuted(participant_id=seat.id, muted=True))
        logger.info("room %s: %s joined", self.name, seat.id)

    def set_muted(self, seat: Seat, muted: bool) -> None:
        """The person switched their microphone off or on."""
        if muted == seat.muted:
            return
        seat.muted = muted
        if seat.present:
            self._events.add(TrackMuted(participant_id=seat.id, muted=muted))
            self._broadcast(RosterMuted(id=seat.id, muted=muted))

    def set_language(self, seat: Seat, language: str) -> None:
        """The person changed their language.

        Raises:
            SignallingError: the language is not one the room offers.
        """
        self._check_language(language)
        if language == seat.language:
            return
        seat.language = language
        if seat.present:
            self._events.add(ParticipantChanged(participant=seat.participant()))
            self._broadcast(RosterChanged(participant=seat.entry()))

    def give_command(self, seat: Seat, command: Command) -> None:
        """The person asks something of whoever reads the events, who learns of it once they are in the room.

        Raises:
            SignallingError: too many commands before that.
        """
        given = CommandGiven(
            participant_id=seat.id, request_id=command.id, name=command.name, arguments=command.arguments
        )
        if seat.present:
            self._events.add(given)
            return
        if len(seat.early) >= MAX_EARLY_COMMANDS:
            raise SignallingError(
                f"expected at most {MAX_EARLY_COMMANDS} commands before the offer, got another"
            )
        seat.early.append(given)

    def leave(self, seat: Seat, reason: str) -> None:
        """The page has left or was lost; harmless when the seat is free already."""
        self._vacate(seat, reason, None)

    def set_audio(self, seat: Seat, audio: IncomingAudio | None) -> None:
        """Their sound can be pulled from now on, or, where it is None, no longer."""
        seat.audio = audio
        if not seat.present:
            return
        if audio is None:
            self._events.add(TrackStopped(participant_id=seat.id))
        else:
            self._events.add(TrackStarted(participant_id=seat.id, audio=audio))

    def retire(self, peer: SeatPeer) -> None:
        """Ends a connection in the background; closing the room waits for that."""
        task = asyncio.get_running_loop().create_task(peer.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _check_free(self) -> None:
        if len(self._seats) >= self.max_participants:
            raise RoomFull(f"expected at most {self.max_participants} participants, got one more")

    def _check_language(self, language: str) -> None:
        tags = [offered.tag for offered in self.languages]
        if language not in tags:
            raise SignallingError(f"expected a language of {', '.join(tags)}, got {language!a}")

    def _check_host_key(self, key: str) -> None:
        """How long it takes tells nothing of how much was right, and no error says `key`: it may be another room's."""
        if not hmac.compare_digest(key.encode(), self.host_token.encode()):
            raise WrongHostKey("expected the key of this room's host link, got another")

    def _connection_lost(self, seat: Seat, reason: str) -> None:
        self._vacate(seat, "connection lost", Closed(code="connection-lost", message=reason))

    def _vacate(self, seat: Seat, reason: str, closed: Closed | None) -> None:
        """Frees the seat at once; the peer's farewell goes on in the background."""
        if self._seats.get(seat.id) is not seat:
            return
        del self._seats[seat.id]
        if closed is not None:
            seat.connection.hang_up(closed)
        if seat.present:
            self._events.add(ParticipantLeft(participant_id=seat.id, reason=reason))
            self._broadcast(RosterLeft(id=seat.id))
        logger.info("room %s: %s is gone: %s", self.name, seat.id, reason)
        if seat.peer is not None:
            self.retire(seat.peer)

    def _broadcast(self, message: ServerMessage) -> None:
        for seat in self._seats.values():
            seat.connection.deliver(message)
