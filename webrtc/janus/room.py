"""A room of a Janus server where the interpreter takes part; fulfils `webrtc.room.Room`, everybody hears everything.

For each channel there is a publisher of ours, so that people can subscribe to the languages they need. Everybody who
publishes sound is heard by a connection of their own. A server that is lost is looked for again and again; people who
are still there then are the same participants.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Self

from webrtc.backoff import Backoff
from webrtc.errors import LocalError
from webrtc.errors import Refused as RefusedError
from webrtc.janus.people import People
from webrtc.janus.settings import JanusSettings
from webrtc.janus.stay import RoomEvent as StayEvent
from webrtc.janus.stay import Stay
from webrtc.janus.videoroom import Left, Moderated, Seen, Unpublished, UserId
from webrtc.janus.visit_events import End, Entered, FeedEncrypted, Remark, VoiceMuted
from webrtc.room import (
    Hindered,
    Hindrance,
    IncomingAudio,
    Listening,
    OutgoingAudio,
    RoomEvent,
    RoomMessage,
    TrackStarted,
    TrackStopped,
)
from webrtc.room_events import RoomEvents
from webrtc.voice import OutgoingVoice

logger = logging.getLogger(__name__)

FIRST_RETURN_S = 1.0
LONGEST_RETURN_S = 30.0
"""Between attempts to come back to a server that was lost."""

FORGET_S = 60.0
"""After so long without the server, the people who were there have left."""

LEAVE_S = 5.0
"""Longest time to leave in order."""


class JanusRoom:
    """One room; use as `async with room:`, after which its events tell how it goes.

    What its `events` raise when the interpreter is not let in, or is put out, is one sentence for the host.

    Args:
        settings: where, and as whom.
        news: takes lines for whoever started the interpreter: in, lost, back.
    """

    def __init__(self, settings: JanusSettings, news: Callable[[str], None] = logger.info) -> None:
        self._settings = settings
        self._news = news
        self._voices: dict[str, OutgoingVoice] = {}
        self._people = People(settings.seats.values(), settings.first_id)
        self._events = RoomEvents()
        self._hindrances: set[Hindrance] = set()
        self._encrypted: set[UserId] = set()
        self._muted: set[str] = set()
        self._stay: Stay | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()

    # What a meeting sees (`webrtc.room.Room`) -------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For people and logs."""
        return self._settings.address.title

    @property
    def listening(self) -> Listening:
        """Everybody hears everything."""
        return Listening.FLOOR

    def events(self) -> AsyncIterator[RoomEvent]:
        """Every event since the room was entered, to one reader; see `webrtc.room.Room`.

        Raises:
            Refused: the interpreter is not let in, or was put out; says what to do about it.
        """
        return self._events.read()

    def outgoing(self, key: str) -> OutgoingAudio | None:
        """Where to play a channel; None while nothing of it would reach the room."""
        reaches = self._stay is not None and self._stay.speaks(key)
        return self._voices.get(key) if reaches else None

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        """Nothing: a VideoRoom has no place for text."""

    async def remove(self, participant_id: str, reason: str) -> None:
        """We can put nobody out: they are no longer listened to, and that is all."""
        self._tell_all(self._people.forget(participant_id))

    async def __aenter__(self) -> Self:
        """Begins to join; how it goes, the events tell."""
        if self._task is not None:
            raise LocalError(f"expected a room to be entered once, got {self.name!a} again")
        self._voices = {channel: OutgoingVoice() for channel in self._settings.seats}
        self._task = asyncio.create_task(self._take_part(), name=f"janus {self.name}")
        self._task.add_done_callback(self._over_by_itself)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leaves with all seats, in order, and ends the events."""
        self._leaving.set()
        self._events.end()
        if self._stay is not None:
            self._stay.leave()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=LEAVE_S)
            if late:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # Staying ----------------------------------------------------------------------------------------------------------

    def _over_by_itself(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("taking part in %s failed", self.name, exc_info=error)
            self._events.end(RefusedError("the interpreter had a fault"))

    async def _take_part(self) -> None:
        backoff = Backoff(FIRST_RETURN_S, LONGEST_RETURN_S)
        lost_s = float("inf")
        been_in = False
        while not self._leaving.is_set():
            stay = self._stay = Stay(self._settings, self._voices, self, returning=been_in)
            over = await stay.run()
            now_s = asyncio.get_running_loop().time()
            if stay.entered:
                been_in, lost_s = True, now_s
                backoff.reset()
            if self._leaving.is_set():
                return
            if over.end is not End.LOST or not been_in:
                self._news(f"{over.words[:1].upper()}{over.words[1:]}.")
                self._events.end(None if over.end is End.CLOSED else RefusedError(over.words))
                return
            if stay.entered:
                self._news(f"{over.words[:1].upper()}{over.words[1:]}; the interpreter tries to come back.")
            if now_s - lost_s > FORGET_S:
                self._tell_all(self._people.lost("the Janus server is lost"))
            await self._pause(backoff.next_s())

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
        except TimeoutError:
            pass

    # What a stay tells of (`stay.Audience`) ---------------------------------------------------------------------------

    def room_event(self, event: StayEvent) -> None:
        """Something happened in the room."""
        match event:
            case Entered(occupants=occupants):
                self._news("The interpreter is in the room.")
                self._encrypted.clear()
                self._muted.clear()
                for voice in self._voices.values():
                    voice.set_muted(False)
                self._tell_all(self._people.entered(occupants))
            case Seen(occupants=occupants):
                self._tell_all(self._people.seen(occupants))
            case Unpublished(id=who):
                self._encrypted.discard(who)
                self._tell_all(self._people.unpublished(who))
            case Left(id=who):
                self._encrypted.discard(who)
                self._tell_all(self._people.left(who, "left"))
            case Moderated(id=who, mid=mid, muted=muted):
                self._tell_all(self._people.moderated(who, mid, muted))
            case VoiceMuted(channel=channel, muted=muted):
                self._mute(channel, muted)
            case FeedEncrypted(feed=feed):
                self._encrypted.add(feed)
                self._news("Somebody's sound is encrypted end to end, and cannot be interpreted.")
            case Remark(words=words):
                self._news(f"{words}.")
        self._refresh()

    def track_started(self, feed: UserId, audio: IncomingAudio) -> None:
        """A feed can be pulled."""
        participant_id = self._people.id_of(feed)
        if participant_id is not None:
            self._events.add(TrackStarted(participant_id=participant_id, audio=audio))

    def track_ended(self, feed: UserId) -> None:
        """A feed cannot be pulled any more."""
        participant_id = self._people.id_of(feed)
        if participant_id is not None:
            self._events.add(TrackStopped(participant_id=participant_id))

    # ------------------------------------------------------------------------------------------------------------------

    def _tell_all(self, events: Iterable[RoomEvent]) -> None:
        for event in events:
            self._events.add(event)
        self._refresh()

    def _mute(self, channel: str, muted: bool) -> None:
        (self._muted.add if muted else self._muted.discard)(channel)
        self._voices[channel].set_muted(muted)
        self._news(f"{self._settings.seats[channel]} {'was muted' if muted else 'may speak again'}.")

    def _refresh(self) -> None:
        """Hears whom there is to hear: while another interpreter is at work, nobody."""
        if self._stay is None or self._events.over:
            return
        another = self._people.another_first
        self._hinder(Hindrance.ANOTHER_INTERPRETER, another)
        tracks = self._people.tracks
        self._hinder(Hindrance.ENCRYPTED, bool(tracks) and self._encrypted >= tracks.keys())
        self._hinder(Hindrance.MUTED, bool(self._muted))
        self._stay.hear({} if another else tracks)

    def _hinder(self, hindrance: Hindrance, holds: bool) -> None:
        if holds != (hindrance in self._hindrances):
            (self._hindrances.add if holds else self._hindrances.discard)(hindrance)
            self._events.add(Hindered(by=hindrance, holds=holds))
