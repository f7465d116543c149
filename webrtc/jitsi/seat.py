"""One participant of ours in a Jitsi meeting: its signalling and its media, glued.

    JitsiConnection ──events──> Seat ──Jingle──> JingleSession ──> queue ──> BridgePeer, one after the other
          ^                      │ ^                  │
          └──answers, requests───┘ └────media came, media failed

Signalling is answered at once; what takes time, making a connection with a bridge and changing it, goes through one
queue, in order. A seat that the focus offers nothing any more leaves the meeting and comes back by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ssl import SSLContext
from typing import Protocol

from webrtc.backoff import Backoff
from webrtc.errors import SdpError
from webrtc.jitsi.bridge_peer import BridgePeer, BridgePeerStats
from webrtc.jitsi.conference_events import (
    ConferenceEvent,
    Ended,
    ForcedMute,
    JingleAnswered,
    JingleReceived,
    Joined,
    OccupantLeft,
    Refused,
    SeatSettings,
)
from webrtc.jitsi.connection import JitsiConnection
from webrtc.jitsi.jingle_events import (
    Barred,
    CandidatesCame,
    HeardChanged,
    Offered,
    SessionEnded,
    Stuck,
)
from webrtc.jitsi.jingle_session import JingleSession
from webrtc.jitsi.presence import Occupant
from webrtc.jitsi.refusals import Refusal
from webrtc.jitsi.sources import RemoteSource
from webrtc.peer import IceSettings
from webrtc.room import IncomingAudio
from webrtc.voice import OutgoingVoice

logger = logging.getLogger(__name__)

FIRST_RETURN_S = 1.0
LONGEST_RETURN_S = 60.0
"""Between leaving a meeting in which no media comes and joining it again."""

STEADY_S = 300.0
"""After so long a stay the waits begin anew."""

SOURCE = "a0"
"""Of the one thing a seat sends, after its nick."""

_GOODBYE = "The interpreter leaves."
_MediaEvent = Offered | HeardChanged | CandidatesCame | SessionEnded


class Audience(Protocol):
    """What a seat tells of; the methods return at once."""

    def seat_event(self, seat: Seat, event: ConferenceEvent) -> None:
        """Something happened in the room."""
        ...

    def seat_muted(self, seat: Seat, muted: bool) -> None:
        """The seat must be silent, or may speak again."""
        ...

    def track_started(self, source: RemoteSource, audio: IncomingAudio) -> None:
        """A source can be pulled."""
        ...

    def track_ended(self, source: RemoteSource) -> None:
        """A source cannot be pulled any more."""
        ...


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why a seat is not in the room any more."""

    kind: Refusal | None
    """None: no media comes, which joining again may change."""

    words: str
    """One sentence for the host."""

    was_in: bool = False


class Seat:
    """One participant of ours; `run` until it ends. Everything runs on one event loop.

    Args:
        settings: where and as whom.
        channel: which its voice speaks on.
        listens: whether it hears people.
        audience: is told what happens.
        ice: STUN, TURN and policy.
        tls: knows an authority of the server's own.
        insecure: allows connections in clear beyond this machine.
    """

    def __init__(
        self,
        settings: SeatSettings,
        *,
        channel: str,
        listens: bool,
        audience: Audience,
        ice: IceSettings,
        tls: SSLContext | None = None,
        insecure: bool = False,
    ) -> None:
        self.channel = channel
        self.name = settings.display_name
        self.voice = OutgoingVoice()
        self._settings = settings
        self._listens = listens
        self._excluded: frozenset[str] = frozenset()
        self._audience = audience
        self._ice = ice
        self._tls = tls
        self._insecure = insecure
        self._loop = asyncio.get_running_loop()
        self._connection: JitsiConnection | None = None
        self._session: JingleSession | None = None
        self._nick = ""
        self._asked: dict[str, int] = {}  # id of a request -> its number in the session
        self._queue: asyncio.Queue[_MediaEvent] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._verdict: asyncio.Future[Verdict] = self._loop.create_future()
        self._peer: BridgePeer | None = None
        self._sid = ""
        self._sources: dict[int, RemoteSource] = {}  # that are being pulled
        self._closing: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()
        self._muted = False

    @property
    def nick(self) -> str:
        """Its id in the room; empty while it is not in."""
        return self._nick

    @property
    def inside(self) -> bool:
        """Whether it is in the room."""
        return bool(self._nick)

    @property
    def muted(self) -> bool:
        """Whether a moderator, or the meeting, has it silent."""
        return self._muted

    @property
    def occupants(self) -> Mapping[str, Occupant]:
        """Everybody else in the room, by nick."""
        return {} if self._connection is None else self._connection.occupants

    def stats(self) -> BridgePeerStats | None:
        """Of the connection with the bridge; None where there is none."""
        return None if self._peer is None else self._peer.stats()

    async def run(self) -> Verdict:
        """Joins, and stays until it is put out, is told to leave, or is refused; then nothing of it stays behind."""
        backoff = Backoff(FIRST_RETURN_S, LONGEST_RETURN_S)
        while True:
            came_s = self._loop.time()
            verdict = await self._sit()
            if verdict.kind is not None or self._leaving.is_set():
                return verdict
            logger.warning("%s leaves and comes back: %s", self.name, verdict.words)
            if self._loop.time() - came_s >= STEADY_S:
                backoff.reset()
            try:
                async with asyncio.timeout(backoff.next_s()):
                    await self._leaving.wait()
                return Verdict(kind=Refusal.LEFT, words=verdict.words)
            except TimeoutError:
                continue

    def leave(self) -> None:
        """Ends `run`, in order."""
        self._leaving.set()
        self._end_session()
        if self._connection is not None:
            self._connection.leave()

    def say(self, text: str, to: str | None = None) -> None:
        """Writes into the chat; to one nick, or to everybody."""
        if self._connection is not None and self.inside:
            self._connection.say(text, to)

    def hear(self, *, listens: bool, excluded: frozenset[str]) -> None:
        """Starts or stops hearing people; never hears those nicks."""
        if (listens, excluded) == (self._listens, self._excluded):
            return
        self._listens, self._excluded = listens, excluded
        if self._session is not None:
            self._session.hear(listens=listens, excluded=excluded, now_s=self._loop.time())
            self._pump()

    def lift_mute(self) -> bool:
        """A host lets it speak again; False where the meeting itself still forbids it."""
        if self._connection is None or not self._connection.lift_forced_mute():
            return False
        self._set_muted(False)
        return True

    # One stay in the room

    async def _sit(self) -> Verdict:
        self._verdict = self._loop.create_future()
        connection = JitsiConnection(self._settings, tls=self._tls, insecure=self._insecure)
        async with asyncio.TaskGroup() as tasks, connection:
            self._connection = connection
            if self._leaving.is_set():
                connection.leave()
            works = (tasks.create_task(self._follow(connection)), tasks.create_task(self._work()))
            try:
                verdict = await asyncio.shield(self._verdict)
            finally:
                self._end_session()
                for work in works:
                    work.cancel()
                self._nick = ""
                self._connection = None
        await self._settle()
        return verdict

    async def _settle(self) -> None:
        """Waits until the connections with bridges are gone."""
        self._drop_peer()
        self._drop_waiting()
        await asyncio.gather(*self._closing)

    async def _follow(self, connection: JitsiConnection) -> None:
        was_in = False
        async for event in connection.events():
            was_in = was_in or isinstance(event, Joined)
            self._take(connection, event)
            if isinstance(event, Refused | Ended):
                self._decide(Verdict(kind=event.kind, words=event.words, was_in=was_in))
        self._decide(Verdict(kind=Refusal.LOST, words="the connection ended", was_in=was_in))

    def _decide(self, verdict: Verdict) -> None:
        if not self._verdict.done():
            self._verdict.set_result(verdict)

    def _take(self, connection: JitsiConnection, event: ConferenceEvent) -> None:
        """Does what is to be done of an event, then tells of it; Jingle is nobody else's business."""
        match event:
            case Joined():
                self._joined(event)
            case JingleReceived():
                self._jingle(connection, event)
                return
            case JingleAnswered(request_id=request_id, error=error):
                self._answered(request_id, None if error is None else error.condition)
                return
            case OccupantLeft(occupant=occupant) if self._session is not None:
                self._session.occupant_left(occupant.nick, self._loop.time())
                self._pump()
            case ForcedMute(muted=muted):
                self._set_muted(muted)
        self._audience.seat_event(self, event)

    def _joined(self, event: Joined) -> None:
        """In the room, for the first time or anew: media begins from nothing."""
        self._drop_peer()
        self._drop_waiting()
        self._asked.clear()
        self._nick = event.nick
        self._session = JingleSession(
            nick=event.nick, jid=event.jid, listens=self._listens, excluded=self._excluded
        )

    def _set_muted(self, muted: bool) -> None:
        if self._connection is not None:
            self._connection.set_muted(SOURCE, muted)
        self.voice.set_muted(muted)
        if muted != self._muted:
            self._muted = muted
            self._audience.seat_muted(self, muted)

    # Jingle

    def _jingle(self, connection: JitsiConnection, event: JingleReceived) -> None:
        if self._session is None:
            connection.reply_error(event.iq_id, "service-unavailable")
            return
        reply = self._session.receive(
            event.jingle, from_jid=event.from_jid, from_focus=event.from_focus, now_s=self._loop.time()
        )
        if reply.condition:
            connection.reply_error(event.iq_id, reply.condition, reply.app_condition)
        else:
            connection.reply_result(event.iq_id)
        self._pump()

    def _answered(self, request_id: str, condition: str | None) -> None:
        number = self._asked.pop(request_id, None)
        if number is not None and self._session is not None:
            self._session.answered(number, condition, self._loop.time())
            self._pump()

    def _pump(self) -> None:
        """Sends what the session wants sent, has done what it wants done, and wakes it in time."""
        session, connection = self._session, self._connection
        if session is None:
            return
        for request in session.requests():
            if connection is not None:
                self._asked[connection.send_jingle(request.jingle, request.to)] = request.number
        for event in session.events():
            match event:
                case Stuck(words=words):
                    self._decide(Verdict(kind=None, words=words))
                case Barred(words=words):
                    self._decide(Verdict(kind=Refusal.NOT_ALLOWED, words=words, was_in=True))
                case Offered() | HeardChanged() | CandidatesCame() | SessionEnded():
                    self._queue.put_nowait(event)
        self._set_timer(session.next_timeout())

    def _set_timer(self, at_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at_s is not None:
            self._timer = self._loop.call_at(at_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._session is not None:
            self._session.handle_timeout(self._loop.time())
            self._pump()

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.end(_GOODBYE)
            self._pump()
            self._session = None
        self._set_timer(None)

    # Media

    async def _work(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._do(event)
            except SdpError as error:
                self._failed(event.sid, f"The bridge's offer cannot be used: {error}")

    async def _do(self, event: _MediaEvent) -> None:
        match event:
            case Offered():
                await self._begin(event)
            case HeardChanged(sid=sid, heard=heard) if sid == self._sid and self._peer is not None:
                await self._peer.hear(heard)
            case CandidatesCame(sid=sid, candidates=candidates) if (
                sid == self._sid and self._peer is not None
            ):
                await self._peer.add_candidates(candidates)
            case SessionEnded(sid=sid, words=words):
                logger.info("%s: %s", self.name, words)
                if sid == self._sid:
                    self._drop_peer()

    async def _begin(self, event: Offered) -> None:
        self._drop_peer()
        if event.muted:
            self._set_muted(True)
        self._sid = event.sid
        self._peer = BridgePeer(
            ice=self._ice,
            voice=self.voice,
            nick=self._nick,
            on_track=partial(self._on_track, event.sid),
            on_track_ended=partial(self._on_track_ended, event.sid),
            on_connected=partial(logger.info, "%s is connected with the bridge", self.name),
            on_failed=partial(self._failed, event.sid),
            tls=self._tls,
            insecure=self._insecure,
        )
        local = await self._peer.answer(event.offer, event.heard)
        if self._session is not None:
            self._session.accept(event.sid, local)
            self._pump()

    def _drop_waiting(self) -> None:
        """What was to be done for a session that nobody knows any more."""
        while not self._queue.empty():
            self._queue.get_nowait()

    def _drop_peer(self) -> None:
        """Ends the connection with the bridge, in the background, and what came over it."""
        peer, self._peer, self._sid = self._peer, None, ""
        sources, self._sources = self._sources, {}
        for source in sources.values():
            self._audience.track_ended(source)
        if peer is not None:
            task = self._loop.create_task(peer.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _on_track(self, sid: str, source: RemoteSource, audio: IncomingAudio) -> None:
        if sid == self._sid:
            self._sources[source.ssrc] = source
            self._audience.track_started(source, audio)

    def _on_track_ended(self, sid: str, source: RemoteSource) -> None:
        if sid == self._sid and self._sources.pop(source.ssrc, None) is not None:
            self._audience.track_ended(source)

    def _failed(self, sid: str, words: str) -> None:
        if self._session is not None:
            self._session.media_failed(sid, words, self._loop.time())
            self._pump()
