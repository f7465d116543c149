"""Somebody in a hosted room without a page: one connection that publishes, one that listens, or either alone.

They are one participant with one seat: what they publish is theirs, and the mix they listen to is without it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from webrtc.errors import SdpError, SignallingError
from webrtc.hosted.whip import Door, Invitee, ReadOffer

if TYPE_CHECKING:
    from webrtc.hosted.protocol import Closed, ServerMessage
    from webrtc.hosted.room import HostedRoom, PeerFactory, Seat
    from webrtc.room import IncomingAudio, OutgoingAudio


class _Session:
    """One connection by WHIP or WHEP."""

    def __init__(
        self,
        door: Door,
        make_peer: PeerFactory,
        on_audio: Callable[[_Session, IncomingAudio], None],
        on_closed: Callable[[_Session, str], None],
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        """Unguessable; the last part of its path."""
        self.door = door
        self.audio: IncomingAudio | None = None
        self.peer = make_peer(on_audio=partial(on_audio, self), on_closed=partial(on_closed, self))

    def named(self, session_id: str) -> bool:
        """Whether it has that id; how long it takes tells nothing of how much was right."""
        return secrets.compare_digest(self.id.encode(), session_id.encode(errors="replace"))


class Guest:
    """One invitee in a room; is the `PagelessGuest` of their seat.

    They have a seat from their first connection to the end of their last one. A connection at a door where they have
    one already takes its place once it is answered: whoever restarts a client is not locked out until the connection
    that it lost has timed out.
    """

    def __init__(self, room: HostedRoom, invitee: Invitee) -> None:
        self._room = room
        self._invitee = invitee
        self._seat: Seat | None = None
        self._sessions: dict[Door, _Session] = {}
        self._over: list[_Session] = []
        self._calling = asyncio.Lock()

    async def call(self, door: Door, offer: ReadOffer) -> tuple[str, str]:
        """Answers an offer: the session's id, and the answer.

        Raises:
            RoomFull: no seat is free.
            SdpError: the offer cannot be used; what they had goes on.
            SignallingError: the room was closed, or they were put out, meanwhile.
        """
        async with self._calling:
            seat = self._seat = self._seat or self._room.seat_guest(self._invitee, self)
            session = _Session(door, self._room.make_peer, self._audio_started, self._lost)
            try:
                answer = await session.peer.answer(offer.sdp)
                if self._seat is not seat:
                    raise SignallingError(
                        "expected a room that is open to you, got one that is closed meanwhile"
                    )
            except (SdpError, SignallingError):
                self._room.retire(session.peer)
                self._leave_unless_connected("never connected")
                raise
            self._connect(seat, session)
            return session.id, offer.answer(answer)

    def end(self, door: Door, session_id: str) -> bool:
        """Ends a session by its own wish; False when there is no such session."""
        session = self._sessions.get(door)
        if session is None or not session.named(session_id):
            return False
        self._end(session, "left")
        return True

    def has(self, door: Door, session_id: str) -> bool:
        """Whether there is such a session."""
        session = self._sessions.get(door)
        return session is not None and session.named(session_id)

    # What the room asks -------------------------------------------------------------------------------------------

    @property
    def outgoing(self) -> OutgoingAudio | None:
        """Where their mix is played; None while they do not listen."""
        session = self._sessions.get(Door.WHEP)
        return None if session is None else session.peer.outgoing

    def attest(self, line: str) -> None:
        """Sends an attestation where one of their connections has a channel for it, the one they listen by first."""
        for door in (Door.WHEP, Door.WHIP):
            session = self._sessions.get(door)
            if session is not None:
                session.peer.attest(line)
                return

    async def close(self) -> None:
        """Ends the connections that were theirs when they lost their seat."""
        over, self._over = self._over, []
        await asyncio.gather(*(session.peer.close() for session in over))

    def deliver(self, message: ServerMessage) -> None:
        """Nothing: there is no page to show it on."""

    def hang_up(self, closed: Closed) -> None:
        """They have no seat any more; `close` follows."""
        self._over += self._sessions.values()
        self._sessions.clear()
        self._seat = None

    # ---------------------------------------------------------------------------------------------------------------

    def _connect(self, seat: Seat, session: _Session) -> None:
        before = self._sessions.get(session.door)
        self._sessions[session.door] = session
        if before is not None:
            self._stop(before)
        self._show(seat)
        if session.audio is not None:
            self._room.set_audio(seat, session.audio)

    def _audio_started(self, session: _Session, audio: IncomingAudio) -> None:
        session.audio = audio
        if self._seat is not None and self._sessions.get(session.door) is session:
            self._room.set_audio(self._seat, audio)

    def _lost(self, session: _Session, reason: str) -> None:
        if self._sessions.get(session.door) is session:
            self._end(session, f"connection lost: {reason}")

    def _end(self, session: _Session, reason: str) -> None:
        del self._sessions[session.door]
        self._stop(session)
        self._leave_unless_connected(reason)
        if self._seat is not None:
            self._show(self._seat)

    def _stop(self, session: _Session) -> None:
        if session.audio is not None and self._seat is not None:
            self._room.set_audio(self._seat, None)
        self._room.retire(session.peer)

    def _leave_unless_connected(self, reason: str) -> None:
        if self._seat is not None and not self._sessions:
            seat, self._seat = self._seat, None
            self._room.leave(seat, reason)

    def _show(self, seat: Seat) -> None:
        """Tells the room what they do now: at first, that they are there."""
        self._room.place_guest(seat, speaks=Door.WHIP in self._sessions, listens=Door.WHEP in self._sessions)
