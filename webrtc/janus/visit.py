"""One stay in a room of a Janus server, from a fresh connection to its end: our seats, and the feeds we hear. Sans-IO.

    session ─> seat, seat, ... join one after the other; the last one is told of everybody, and knows ours by then
    seat  ─> OfferWanted ─> `publish` ─> AnswerCame          feed ─> FeedOffered ─> `subscribed`

Each feed has a handle and a connection of its own: what happens to one is nothing to another, and aiortc never meets a
section that is used a second time. What fails is tried again, later each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from webrtc.backoff import Backoff
from webrtc.janus import videoroom
from webrtc.janus.address import JanusAddress, RoomId
from webrtc.janus.messages import Jsep
from webrtc.janus.refusals import DESTROYED, KICKED, janus_refused, join_refused, publish_refused
from webrtc.janus.session import Answered, Attached, Gone, JanusSession, Lost, Opened, Told, Unanswered
from webrtc.janus.settings import IDS_OF_SEAT
from webrtc.janus.videoroom import (
    ID_EXISTS,
    INVALID_ELEMENT,
    NO_SUCH_ROOM,
    Destroyed,
    Joined,
    Left,
    Moderated,
    Occupant,
    OwnLeft,
    OwnUnpublished,
    Refused,
    Seen,
    Unpublished,
    UserId,
)
from webrtc.janus.visit_events import (
    AnswerCame,
    End,
    Entered,
    FeedEncrypted,
    FeedOffered,
    FeedOver,
    OfferWanted,
    Over,
    Remark,
    VisitEvent,
    VoiceLost,
    VoiceMuted,
)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0


@dataclass(eq=False)
class _Seat:
    channel: str
    name: str
    wanted_id: int
    handle: int | None = None
    id: UserId | None = None
    publishing: bool = False
    retry_s: float = inf
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_RETRY_S, LONGEST_RETRY_S))


@dataclass(eq=False)
class _Feed:
    id: UserId
    mid: str
    handle: int | None = None
    subscription: int = 0
    wanted: bool = True
    retry_s: float = inf
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_RETRY_S, LONGEST_RETRY_S))


@dataclass(frozen=True)
class _Join:
    seat: _Seat


@dataclass(frozen=True)
class _Publish:
    seat: _Seat


@dataclass(frozen=True)
class _Subscribe:
    feed: _Feed


@dataclass(frozen=True)
class _Start:
    feed: _Feed


class Visit:
    """One stay. Single-threaded.

    Args:
        address: of the room.
        seats: channel -> display name of the participant that speaks on it.
        first_id: of the first seat; see `JanusSettings`.
        token: for the server, where it wants one.
        new_transaction: gives a text that no request before had.
        returning: we have been in this room before, so that it may well come back.
    """

    def __init__(
        self,
        address: JanusAddress,
        seats: Mapping[str, str],
        *,
        first_id: int,
        token: str,
        new_transaction: Callable[[], str],
        returning: bool,
    ) -> None:
        self._address = address
        self._seats = [
            _Seat(channel, name, first_id + place * IDS_OF_SEAT)
            for place, (channel, name) in enumerate(seats.items())
        ]
        self._with_texts = False  # room and people are named by texts, not numbers
        self._session = JanusSession(new_transaction=new_transaction, token=token)
        self._returning = returning
        self._private_id: int | None = None
        self._entered = False
        self._feeds: dict[UserId, _Feed] = {}
        self._subscriptions = 0
        self._events: list[VisitEvent] = []
        self._over = False

    # What the driver does ---------------------------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """The connection stands."""
        self._session.start(now_s)

    def receive(self, text: str, now_s: float) -> None:
        """A message came."""
        self._session.receive(text, now_s)
        self._follow(now_s)

    def outgoing(self) -> list[str]:
        """What is to be sent now; it may hold secrets."""
        return self._session.outgoing()

    def events(self) -> list[VisitEvent]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called at the latest."""
        times_s = [seat.retry_s for seat in self._seats] + [feed.retry_s for feed in self._feeds.values()]
        own_s = self._session.next_timeout()
        earliest_s = min(times_s + ([] if own_s is None else [own_s]))
        return None if self._over or earliest_s == inf else earliest_s

    def handle_timeout(self, now_s: float) -> None:
        """Time has passed."""
        self._session.handle_timeout(now_s)
        self._follow(now_s)
        for seat in self._seats:
            if seat.retry_s <= now_s:
                self._want_offer(seat)
        for feed in list(self._feeds.values()):
            if feed.retry_s <= now_s:
                self._subscribe(feed, now_s)

    def publish(self, channel: str, offer_sdp: str, now_s: float) -> None:
        """The offer that was wanted of a seat."""
        seat = self._seat_of(channel)
        if seat is not None and seat.handle is not None and seat.publishing:
            jsep = Jsep(kind="offer", sdp=offer_sdp)
            self._session.ask(seat.handle, videoroom.publish(), _Publish(seat), now_s, jsep)

    def voice_failed(self, channel: str, now_s: float) -> None:
        """The connection of a seat is lost, or did not come about."""
        seat = self._seat_of(channel)
        if seat is not None and seat.publishing:
            self._lose_voice(seat, now_s)

    def subscribed(self, feed_id: UserId, subscription: int, answer_sdp: str, now_s: float) -> None:
        """Our answer to a feed's offer."""
        feed = self._feeds.get(feed_id)
        if feed is not None and feed.handle is not None and feed.subscription == subscription:
            jsep = Jsep(kind="answer", sdp=answer_sdp)
            self._session.ask(feed.handle, videoroom.start(), _Start(feed), now_s, jsep)

    def feed_failed(self, feed_id: UserId, subscription: int, now_s: float) -> None:
        """The connection of a feed is lost, or did not come about."""
        feed = self._feeds.get(feed_id)
        if feed is not None and feed.subscription == subscription:
            self._retry(feed, now_s)

    def feed_heard(self, feed_id: UserId, subscription: int) -> None:
        """The connection of a feed stands."""
        feed = self._feeds.get(feed_id)
        if feed is not None and feed.subscription == subscription:
            feed.backoff.reset()

    def voice_heard(self, channel: str) -> None:
        """The connection of a seat stands."""
        seat = self._seat_of(channel)
        if seat is not None:
            seat.backoff.reset()

    def hear(self, wanted: Mapping[UserId, str], now_s: float) -> None:
        """Hears these tracks, by feed, and no others."""
        for feed in list(self._feeds.values()):
            if wanted.get(feed.id) != feed.mid:
                self._drop(feed, now_s)
        for feed_id, mid in wanted.items():
            if feed_id not in self._feeds and self._entered and not self._over:
                feed = self._feeds[feed_id] = _Feed(feed_id, mid)
                self._subscribe(feed, now_s)

    def leave(self, now_s: float) -> None:
        """Leaves in order: with the session Janus takes all seats out of the room, and everybody sees us go."""
        self._session.destroy(now_s)
        self._over = True

    # What the session tells -------------------------------------------------------------------------------------------

    def _follow(self, now_s: float) -> None:
        for event in self._session.events():
            if self._over:
                return
            match event:
                case Opened():
                    self._session.attach(self._seats[0], now_s)
                case Attached(purpose=_Seat() as seat, handle=handle):
                    seat.handle = handle
                    self._join(seat, now_s)
                case Attached(purpose=_Feed() as feed, handle=handle):
                    self._attached(feed, handle, now_s)
                case Answered():
                    self._answered(event, now_s)
                case Unanswered():
                    self._unanswered(event, now_s)
                case Told():
                    self._told(event, now_s)
                case Gone():
                    self._gone(event, now_s)
                case Lost(words=words):
                    self._end(End.LOST, words)

    def _answered(self, event: Answered, now_s: float) -> None:
        said = videoroom.read(event.data)
        match event.purpose:
            case _Join(seat=seat):
                self._join_answered(seat, said, now_s)
            case _Publish(seat=seat):
                if event.jsep is not None and event.jsep.kind == "answer":
                    self._events.append(AnswerCame(channel=seat.channel, sdp=event.jsep.sdp))
                else:
                    if isinstance(said, Refused):
                        self._events.append(Remark(words=publish_refused(said, seat.name)))
                    self._lose_voice(seat, now_s)
            case _Subscribe(feed=feed):
                self._subscribe_answered(feed, event.jsep, now_s)
            case _Start(feed=feed) if isinstance(said, Refused):
                self._retry(feed, now_s)

    def _join(self, seat: _Seat, now_s: float) -> None:
        own: UserId = str(seat.wanted_id) if self._with_texts else seat.wanted_id
        if seat.handle is not None:
            body = videoroom.join_to_speak(self._room, self._address.pin, seat.name, own)
            self._session.ask(seat.handle, body, _Join(seat), now_s)

    def _can_join_otherwise(self, seat: _Seat, code: int) -> bool:
        """Where an id is taken, by a ghost of ours, the next one; where numbers are refused, texts."""
        if code == ID_EXISTS and seat.wanted_id % IDS_OF_SEAT < IDS_OF_SEAT - 1:
            seat.wanted_id += 1
            return True
        if code == INVALID_ELEMENT and not self._with_texts:
            self._with_texts = True
            return True
        return False

    @property
    def _room(self) -> RoomId:
        return str(self._address.room) if self._with_texts else self._address.room

    def _join_answered(self, seat: _Seat, said: videoroom.RoomMessage, now_s: float) -> None:
        if isinstance(said, Refused) and self._can_join_otherwise(seat, said.code):
            self._join(seat, now_s)
        elif isinstance(said, Refused):
            away = said.code == NO_SUCH_ROOM and self._returning
            self._end(End.LOST if away else End.REFUSED, join_refused(said, self._address))
        elif not isinstance(said, Joined):
            self._end(End.LOST, "the Janus server answers something else than asked")
        else:
            seat.id = said.id
            place = self._seats.index(seat) + 1
            if place < len(self._seats):
                self._session.attach(self._seats[place], now_s)
                return
            self._entered = True
            self._private_id = said.private_id
            self._events.append(Entered(occupants=self._others(said.occupants)))
            for one in self._seats:
                self._want_offer(one)

    def _unanswered(self, event: Unanswered, now_s: float) -> None:
        match event.purpose:
            case _Feed() | _Subscribe() | _Start() as purpose:
                self._retry(purpose if isinstance(purpose, _Feed) else purpose.feed, now_s)
            case _Publish(seat=seat):
                self._lose_voice(seat, now_s)
            case _ if event.failed.code == 0:
                self._end(End.LOST, "the Janus server does not answer")
            case _ if not self._entered:
                self._end(End.REFUSED, janus_refused(event.failed))

    def _told(self, event: Told, now_s: float) -> None:
        seat = next((one for one in self._seats if one.handle == event.handle), None)
        if seat is None:
            return  # of a feed: what ends it, the listening seat is told too
        match videoroom.read(event.data):
            case OwnLeft(kicked=kicked):
                self._end(End.REFUSED if kicked else End.LOST, KICKED if kicked else "the room let us go")
            case Destroyed():
                self._end(End.CLOSED, DESTROYED)
            case OwnUnpublished():
                self._lose_voice(seat, now_s)
            case Seen(occupants=occupants) if self._hears_of_people(seat):
                if others := self._others(occupants):
                    self._events.append(Seen(occupants=others))
            case Unpublished(id=who) | Left(id=who) as event_ if self._hears_of_people(seat):
                if who in self._feeds:
                    self._drop(self._feeds[who], now_s)
                if self._own(who) is None:
                    self._events.append(event_)
            case Moderated(id=who, muted=muted) as moderated if self._hears_of_people(seat):
                own = self._own(who)
                self._events.append(
                    moderated if own is None else VoiceMuted(channel=own.channel, muted=muted)
                )

    def _gone(self, event: Gone, now_s: float) -> None:
        for seat in self._seats:
            if seat.handle == event.handle:
                if event.detached:
                    self._end(End.LOST, "the Janus server has closed one of our handles")
                elif seat.publishing:
                    self._lose_voice(seat, now_s)
                return
        feed = next((one for one in self._feeds.values() if one.handle == event.handle), None)
        if feed is not None:
            if event.detached:
                feed.handle = None
            self._retry(feed, now_s)

    # Seats and feeds --------------------------------------------------------------------------------------------------

    def _want_offer(self, seat: _Seat) -> None:
        seat.retry_s, seat.publishing = inf, True
        self._events.append(OfferWanted(channel=seat.channel))

    def _lose_voice(self, seat: _Seat, now_s: float) -> None:
        if not self._over:
            seat.publishing = False
            seat.retry_s = now_s + seat.backoff.next_s()
            self._events.append(VoiceLost(channel=seat.channel))

    def _subscribe(self, feed: _Feed, now_s: float) -> None:
        feed.retry_s = inf
        self._subscriptions += 1
        feed.subscription = self._subscriptions
        self._session.attach(feed, now_s)

    def _attached(self, feed: _Feed, handle: int, now_s: float) -> None:
        if not feed.wanted:
            self._session.detach(handle, now_s)
            return
        feed.handle = handle
        body = videoroom.join_to_hear(self._room, self._address.pin, feed.id, feed.mid, self._private_id)
        self._session.ask(handle, body, _Subscribe(feed), now_s)

    def _subscribe_answered(self, feed: _Feed, jsep: Jsep | None, now_s: float) -> None:
        if jsep is None or jsep.kind != "offer":
            self._retry(feed, now_s)
        elif jsep.encrypted:
            self._release(feed, now_s)
            self._events.append(FeedEncrypted(feed=feed.id))
        else:
            self._events.append(FeedOffered(feed=feed.id, subscription=feed.subscription, sdp=jsep.sdp))

    def _retry(self, feed: _Feed, now_s: float) -> None:
        """Ends what there is of a feed's connection, and tries again later, by another handle."""
        if feed.wanted and not self._over:
            self._release(feed, now_s)
            feed.retry_s = now_s + feed.backoff.next_s()
            self._events.append(FeedOver(feed=feed.id))

    def _drop(self, feed: _Feed, now_s: float) -> None:
        feed.wanted = False
        self._release(feed, now_s)
        if self._feeds.get(feed.id) is feed:
            del self._feeds[feed.id]
        self._events.append(FeedOver(feed=feed.id))

    def _release(self, feed: _Feed, now_s: float) -> None:
        if feed.handle is not None:
            self._session.detach(feed.handle, now_s)
            feed.handle = None

    def _hears_of_people(self, seat: _Seat) -> bool:
        return self._entered and seat is self._seats[-1]

    def _others(self, occupants: tuple[Occupant, ...]) -> tuple[Occupant, ...]:
        return tuple(one for one in occupants if self._own(one.id) is None)

    def _own(self, who: UserId) -> _Seat | None:
        return next((seat for seat in self._seats if seat.id == who), None)

    def _seat_of(self, channel: str) -> _Seat | None:
        return next((seat for seat in self._seats if seat.channel == channel and not self._over), None)

    def _end(self, end: End, words: str) -> None:
        if not self._over:
            self._over = True
            self._events.append(Over(end=end, words=words))
