"""One Jitsi meeting as its bridges see it: people by their audio sources, and the renderings that are asked for.

Several connections may belong to one meeting: a bridge opens one for each person and every few languages, or one for
all, and a meeting may be on several bridges. What each says it sends and wants is the whole of it, so the room adds
up what all of them say now, and tells its reader what is different from before.

    connection 1   exports a-a0, wants a-a0.en a-a0.fr  ──┐
    connection 2   exports a-a0, wants a-a0.de            ├──> a-a0, asked for in de, en, fr    one participant
    connection 3   exports b-a0, wants b-a0.es          ──┘    b-a0, asked for in es            another one

A connection that is lost counts on for a few seconds: the bridge comes back, and finds everything as it was.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from types import TracebackType
from typing import Protocol, Self

from webrtc.errors import LocalError
from webrtc.jitsi import mediajson
from webrtc.jitsi.mediajson import (
    BridgeEvent,
    Info,
    Media,
    Request,
    Result,
    Sources,
    SourceStarted,
    Writer,
)
from webrtc.jitter import JitterBuffer
from webrtc.opus import OpusDecoder
from webrtc.packets import AudioPacket
from webrtc.room import (
    Caption,
    CaptionKind,
    IncomingFrame,
    Listening,
    Notice,
    OutgoingAudio,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    RoomMessage,
    TrackStarted,
)
from webrtc.room_events import RoomEvents
from webrtc.talk import Talk, TalkEvent, TalkPacket, TalkStarted, TalkStopped
from webrtc.tracks import Clock

logger = logging.getLogger(__name__)

GRACE_S = 5.0
"""A bridge tries again at once, then after 1 and 2 seconds; its people are there for so long after it was lost."""

INTERIM_S = 0.5
"""A growing caption is sent no more often: every client in the meeting gets it."""

_EARLY_S = 0.001  # a timer may come by so much too early
_SOURCE_NAME = re.compile(r"(.+)-a\d+")


class BridgeConnection(Protocol):
    """What a room needs of the connection to a bridge."""

    def send(self, text: str) -> None:
        """Queues a message; never blocks, never raises."""
        ...

    def hang_up(self, reason: str) -> None:
        """Disconnects the bridge, which may come back; never blocks, never raises."""
        ...


class SourceAudio:
    """One source's audio; implements `webrtc.room.IncomingAudio`."""

    def __init__(self) -> None:
        self._buffer = JitterBuffer(OpusDecoder())

    def add(self, media: Media, connection_number: int, arrival_s: float) -> None:
        """Takes a packet in.

        Args:
            media: the packet.
            connection_number: by which connection it came; each has a clock of its own.
            arrival_s: monotonic.
        """
        packet = AudioPacket(
            ssrc=connection_number,
            sequence_number=media.sequence_number % 2**16,
            timestamp=media.timestamp % 2**32,
            payload=media.payload,
        )
        self._buffer.add(packet, arrival_s)

    def pull(self, now_s: float) -> IncomingFrame:
        """The frame due at `now_s`; see `IncomingAudio.pull`."""
        return self._buffer.pull(now_s)


@dataclass(eq=False, kw_only=True)
class Link:
    """One bridge connection's part in a meeting, from `attach` until it is no longer waited for."""

    number: int
    connection: BridgeConnection | None
    """None for one that was lost and may come back."""

    writer: Writer = field(default_factory=Writer)
    exports: tuple[str, ...] = ()
    requests: Mapping[tuple[str, str], Request] = field(default_factory=dict)
    """Source and language in lower case -> what was asked for."""

    told: set[tuple[str, str]] = field(default_factory=set)
    """Renderings of which it was told that a talk has begun."""


@dataclass(eq=False, kw_only=True)
class _Source:
    """Somebody who may be heard, while a connection says so."""

    name: str
    participant: Participant
    audio: SourceAudio = field(default_factory=SourceAudio)
    feeder: Link | None = None
    """Whose packets are taken, of all connections that send this source."""

    told_s: dict[str, float] = field(default_factory=dict)
    """Language -> when a caption in it was sent last."""


class TranslateRoom:
    """A meeting whose renderings are asked for one by one; fulfils `webrtc.room.Room`.

    Connections come and go while the room is entered (`async with room:`), and before.

    Args:
        name: for people and logs.
        max_sources: people who can be listened to; any further ones are not.
        grace_s: for how long a lost connection counts.
        clock: monotonic.
        wall_s: Unix seconds, for captions.
    """

    def __init__(
        self,
        name: str,
        *,
        max_sources: int = mediajson.MAX_SOURCES,
        grace_s: float = GRACE_S,
        clock: Clock = time.monotonic,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._max_sources = max_sources
        self._grace_s = grace_s
        self._clock = clock
        self._wall_s = wall_s
        self._origin_s = clock()
        self._links: dict[int, Link] = {}
        self._numbers = itertools.count(1)
        self._sources: dict[str, _Source] = {}
        self._by_participant: dict[str, _Source] = {}
        self._generations: dict[str, int] = {}  # source -> how often it has come
        self._removed: set[str] = set()
        self._talks: dict[
            tuple[str, str], Talk
        ] = {}  # kept: timestamps and sequence numbers never start over
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0
        self._graces: dict[int, asyncio.TimerHandle] = {}
        self._events = RoomEvents()
        self._open = True
        self._deaf = False

    # What a meeting sees (`webrtc.room.Room`) -----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For people and logs."""
        return self._name

    @property
    def listening(self) -> Listening:
        """Every rendering is asked for, and heard by whoever asked."""
        return Listening.REQUESTED

    @property
    def is_open(self) -> bool:
        """Whether connections may attach."""
        return self._open

    def events(self) -> AsyncIterator[RoomEvent]:
        """Every event since the room was made, to one reader; see `webrtc.room.Room`."""
        return self._events.read()

    def outgoing(self, key: str) -> OutgoingAudio | None:
        """Where to play a rendering, by its `requested_key`; None when nobody wants it any more."""
        participant_id, _, language = key.rpartition(".")
        source = self._by_participant.get(participant_id)
        wanted = None if source is None else (source.name, language)
        if wanted is None or not any(wanted in link.requests for link in self._links.values()):
            return None
        if wanted not in self._talks:
            self._talks[wanted] = Talk(self._origin_s, self._wake)
        return self._talks[wanted]

    def tell(self, participant_id: str, message: RoomMessage) -> None:
        """Passes a rendering's caption, or what must be said of it, on to the clients; the rest is for our own pages.

        Everybody's client gets it; whom it is shown to is theirs to know.
        """
        source = self._by_participant.get(participant_id)
        if source is None:
            return
        match message:
            case Caption(kind=CaptionKind.RENDERING):
                if message.final or self._clock() - source.told_s.get(message.language, -inf) >= INTERIM_S:
                    source.told_s[message.language] = self._clock()
                    self._pass_on(source, message.id, message.language, message.text, final=message.final)
            case Notice() if message.text:
                self._pass_on(source, message.id, message.language, message.text, final=True)

    async def remove(self, participant_id: str, reason: str) -> None:
        """Listens to somebody no more; from the meeting itself nobody can be put out here."""
        source = self._by_participant.get(participant_id)
        if source is not None:
            self._removed.add(source.name)
            self._drop(source, f"removed: {reason}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close("the meeting has ended")

    # What a server sees ---------------------------------------------------------------------------------------------

    @property
    def connected(self) -> int:
        """Connections that stand."""
        return sum(link.connection is not None for link in self._links.values())

    @property
    def waits(self) -> bool:
        """Whether a lost connection still counts."""
        return bool(self._graces)

    @property
    def silent(self) -> bool:
        """Whether nothing is being said."""
        return all(talk.idle for talk in self._talks.values())

    def attach(self, connection: BridgeConnection) -> Link:
        """A connection comes in."""
        if not self._open:
            raise LocalError(f"expected an open room, got {self._name!a}, which has ended")
        number = next(self._numbers)
        link = self._links[number] = Link(number=number, connection=connection)
        return link

    def receive(self, link: Link, event: BridgeEvent) -> None:
        """A bridge says something; pings and the end of a session are the server's."""
        match event:
            case Media():
                self._hear(link, event)
            case Sources():
                self._follow(link, event)
            case SourceStarted():
                self._name_source(event)
            case Info():
                logger.info("meeting %a: connection %d is %s", self._name, link.number, event.words)

    def detach(self, link: Link, *, over: bool) -> None:
        """A connection is gone.

        Args:
            link: which.
            over: it said that it ends; otherwise it may come back.
        """
        link.connection = None
        link.told.clear()
        if over or not link.exports or not self._open:
            self._forget(link)
        else:
            loop = asyncio.get_running_loop()
            self._graces[link.number] = loop.call_later(self._grace_s, self._forget, link)

    def stop_listening(self) -> None:
        """Hears nobody any more, so that what is being said comes to an end."""
        self._deaf = True

    def close(self, reason: str) -> None:
        """Ends every talk, disconnects every bridge and ends the events; closing twice is harmless."""
        if not self._open:
            return
        self._open = False
        for key, talk in self._talks.items():
            self._send(key, talk.stop())
        for grace in self._graces.values():
            grace.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for link in self._links.values():
            if link.connection is not None:
                link.connection.hang_up(reason)
        self._events.end()

    # Who is there, and what is asked for ----------------------------------------------------------------------------

    def _follow(self, link: Link, said: Sources) -> None:
        if said.unusable:
            logger.warning("meeting %a: %d requests name no language", self._name, said.unusable)
        requests = {(one.source, one.language.lower()): one for one in said.requests}
        for key in [key for key in link.told if key not in requests]:
            stopped = self._talks[key].so_far()
            if stopped is not None:
                self._send_to(link, key, stopped)
            link.told.discard(key)
        link.exports, link.requests = said.exports, requests
        for lost in [one for one in self._links.values() if one.number in self._graces]:
            if not lost.requests or lost.requests.keys() & requests.keys():
                self._forget(lost)  # it has come back as this one
        self._settle()

    def _forget(self, link: Link) -> None:
        self._links.pop(link.number, None)
        grace = self._graces.pop(link.number, None)
        if grace is not None:
            grace.cancel()
        self._settle()

    def _settle(self) -> None:
        """Tells the reader what has changed in what all connections say together."""
        if not self._open:
            return
        exported = list(dict.fromkeys(name for link in self._links.values() for name in link.exports))
        wanted = {key for link in self._links.values() for key in link.requests}
        for key in self._talks.keys() - wanted:
            self._talks[key].stop()  # nobody needs the rest of it, nor a number for it
        self._removed &= set(exported)
        for name in [name for name in self._sources if name not in exported]:
            self._drop(self._sources[name], "left")
        for name in exported:
            requests = self._requests(name)
            source = self._sources.get(name)
            if source is None and name not in self._removed:
                self._take_in(name, requests)
            elif source is not None and source.participant.requests != requests:
                self._change(source, source.participant.name, requests)

    def _requests(self, name: str) -> tuple[str, ...]:
        keys = {key for link in self._links.values() for key in link.requests if key[0] == name}
        return tuple(sorted(language for _, language in keys))

    def _take_in(self, name: str, requests: tuple[str, ...]) -> None:
        if len(self._sources) >= self._max_sources:
            logger.warning(
                "meeting %a: expected at most %d people, got another", self._name, self._max_sources
            )
            return
        generation = self._generations[name] = self._generations.get(name, 0) + 1
        match = _SOURCE_NAME.fullmatch(name)
        participant = Participant(
            id=name if generation == 1 else f"{name}~{generation}",
            name=name if match is None else match[1],
            attributes={},
            requests=requests,
        )
        source = self._sources[name] = _Source(name=name, participant=participant)
        self._by_participant[participant.id] = source
        self._events.add(ParticipantJoined(participant=participant))
        self._events.add(TrackStarted(participant_id=participant.id, audio=source.audio))

    def _name_source(self, started: SourceStarted) -> None:
        if started.encoding != "opus":
            logger.warning("meeting %a: expected Opus, got %a", self._name, started.encoding[:20])
        source = self._sources.get(started.source)
        if source is not None and started.endpoint_id not in ("", source.participant.name):
            self._change(source, started.endpoint_id, source.participant.requests)

    def _change(self, source: _Source, name: str, requests: tuple[str, ...]) -> None:
        source.participant = Participant(
            id=source.participant.id, name=name, attributes={}, requests=requests
        )
        self._events.add(ParticipantChanged(participant=source.participant))

    def _drop(self, source: _Source, reason: str) -> None:
        del self._sources[source.name]
        del self._by_participant[source.participant.id]
        self._events.add(ParticipantLeft(participant_id=source.participant.id, reason=reason))

    # Sound ----------------------------------------------------------------------------------------------------------

    def _hear(self, link: Link, media: Media) -> None:
        source = self._sources.get(media.source)
        if source is None or self._deaf or media.source not in link.exports:
            return
        feeder = source.feeder
        if feeder is None or feeder.connection is None or source.name not in feeder.exports:
            source.feeder = feeder = link
        if feeder is link:  # the same from elsewhere is heard once
            source.audio.add(media, link.number, self._clock())

    def _wake(self, due_s: float) -> None:
        """Sees to it that what is due then is sent then."""
        if not self._open:
            return
        if self._timer is not None:
            if self._timer_at_s <= due_s:
                return
            self._timer.cancel()
        self._timer_at_s = due_s
        wait_s = max(0.0, due_s - self._clock())
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._send_due)

    def _send_due(self) -> None:
        self._timer = None
        now_s = self._clock() + _EARLY_S
        for key, talk in self._talks.items():
            self._send(key, talk.take(now_s))
        due = [due_s for talk in self._talks.values() if (due_s := talk.next_due_s()) is not None]
        if due:
            self._wake(min(due))

    def _send(self, key: tuple[str, str], events: list[TalkEvent]) -> None:
        for event in events:
            for link in self._links.values():
                if key in link.requests:
                    self._send_to(link, key, event)

    def _send_to(self, link: Link, key: tuple[str, str], event: TalkEvent) -> None:
        """Sends an event of a talk to a connection, which hears of its beginning also where it came in the middle."""
        name = link.requests[key].name
        if link.connection is None or (isinstance(event, TalkStopped) and key not in link.told):
            return
        if isinstance(event, TalkPacket) and key not in link.told:
            link.connection.send(link.writer.talk(name, TalkStarted(timestamp=event.timestamp)))
        link.connection.send(link.writer.talk(name, event))
        if isinstance(event, TalkStopped):
            link.told.discard(key)
        else:
            link.told.add(key)

    def _pass_on(self, source: _Source, message_id: str, language: str, text: str, *, final: bool) -> None:
        """Sends a text by one connection: the bridge gives it to everybody."""
        for link in self._links.values():
            if link.connection is not None and any(name == source.name for name, _ in link.requests):
                told = Result(
                    source=source.name,
                    language=language,
                    text=text,
                    final=final,
                    id=f"{source.participant.id}-{message_id}",
                    at_ms=round(1000 * self._wall_s()),
                )
                link.connection.send(mediajson.result(told))
                return
