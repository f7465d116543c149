"""What a stay in a room of a Janus server tells its driver; see `visit`."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from webrtc.janus.videoroom import Left, Moderated, Occupant, Seen, Unpublished, UserId


class End(enum.Enum):
    """How a stay ends."""

    REFUSED = "refused"  # not let in, or put out: coming again would change nothing
    CLOSED = "closed"  # the room is no more
    LOST = "lost"  # the server cannot be reached: to be tried again


@dataclass(frozen=True, kw_only=True)
class Entered:
    """All seats are in; these people are there."""

    occupants: tuple[Occupant, ...]


@dataclass(frozen=True, kw_only=True)
class OfferWanted:
    """A seat has something to say: make a connection, and `publish` its offer."""

    channel: str


@dataclass(frozen=True, kw_only=True)
class AnswerCame:
    """The answer to a seat's offer."""

    channel: str
    sdp: str


@dataclass(frozen=True, kw_only=True)
class VoiceLost:
    """A seat is not heard any more; another `OfferWanted` follows."""

    channel: str


@dataclass(frozen=True, kw_only=True)
class VoiceMuted:
    """A moderator has muted a seat, or lets it be heard again."""

    channel: str
    muted: bool


@dataclass(frozen=True, kw_only=True)
class FeedOffered:
    """A feed's sound can be had: make a connection, and tell its answer by `subscribed`."""

    feed: UserId
    subscription: int
    sdp: str


@dataclass(frozen=True, kw_only=True)
class FeedOver:
    """The connection of a feed is over; it may be offered again."""

    feed: UserId


@dataclass(frozen=True, kw_only=True)
class FeedEncrypted:
    """A feed's sound is encrypted end to end."""

    feed: UserId


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A sentence for the host."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Over:
    """The stay has ended; the last event."""

    end: End
    words: str


VisitEvent = (
    Entered
    | Seen
    | Unpublished
    | Left
    | Moderated
    | OfferWanted
    | AnswerCame
    | VoiceLost
    | VoiceMuted
    | FeedOffered
    | FeedOver
    | FeedEncrypted
    | Remark
    | Over
)
