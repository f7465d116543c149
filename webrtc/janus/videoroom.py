"""What the VideoRoom plugin of Janus says and is asked, inside the messages of the Janus API. Pure.

A *feed* is somebody who publishes, an *attendee* somebody who has joined and does not. Upstream: Janus 1.1.2, where a
feed has one stream for each of its tracks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webrtc.janus.address import RoomId
from webrtc.janus.messages import Body

UserId = int | str
"""Of somebody in a room: a number, or on servers with `string_ids` a text."""

MAX_NAME_CHARACTERS = 200

# Error codes of the plugin that are acted upon; janus_videoroom.c.
NO_SUCH_ROOM = 426
MISSING_ELEMENT = 429
INVALID_ELEMENT = 430
PUBLISHERS_FULL = 432
UNAUTHORIZED = 433
ID_EXISTS = 436


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One sound track of a feed."""

    mid: str
    muted: bool = False
    """By a moderator: nothing of it reaches anybody."""


@dataclass(frozen=True, kw_only=True)
class Occupant:
    """Somebody in the room."""

    id: UserId
    name: str
    """What they call themselves, untrusted; may be empty."""

    audio: Stream | None = None
    """What is heard of them; None while they publish no sound."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """We are in."""

    id: UserId
    private_id: int | None
    """To be shown with subscriptions, where the room asks for it."""

    occupants: tuple[Occupant, ...]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """These people are in the room, as they are now."""

    occupants: tuple[Occupant, ...]


@dataclass(frozen=True, kw_only=True)
class Unpublished:
    """Somebody publishes nothing any more."""

    id: UserId


@dataclass(frozen=True, kw_only=True)
class Left:
    """Somebody has left the room, or was put out."""

    id: UserId


@dataclass(frozen=True, kw_only=True)
class OwnUnpublished:
    """What this handle published is not heard any more."""


@dataclass(frozen=True, kw_only=True)
class OwnLeft:
    """This handle is not in the room any more."""

    kicked: bool


@dataclass(frozen=True, kw_only=True)
class Moderated:
    """Somebody's track was muted or unmuted for everybody."""

    id: UserId
    mid: str
    muted: bool


@dataclass(frozen=True, kw_only=True)
class Destroyed:
    """The room is no more."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The plugin refuses what was asked."""

    code: int
    error: str
    """In Janus's words, untrusted."""


@dataclass(frozen=True, kw_only=True)
class Other:
    """Anything else: done, or of no interest."""


RoomMessage = (
    Joined | Seen | Unpublished | Left | OwnUnpublished | OwnLeft | Moderated | Destroyed | Refused | Other
)


def read(data: Body) -> RoomMessage:
    """What the plugin says; whatever has not the expected shape is `Other`, or left out."""
    code = data.get("error_code")
    if isinstance(code, int) and not isinstance(code, bool):
        return Refused(code=code, error=_words(data.get("error")))
    kind, own = data.get("videoroom"), _id(data.get("id"))
    if kind == "joined" and own is not None:
        private = data.get("private_id")
        return Joined(
            id=own,
            private_id=private if isinstance(private, int) else None,
            occupants=(*_occupants(data.get("publishers"), feeds=True), *_occupants(data.get("attendees"))),
        )
    if kind == "destroyed":
        return Destroyed()
    return _read_event(data) if kind == "event" else Other()


def _read_event(data: Body) -> RoomMessage:
    if "publishers" in data:
        return Seen(occupants=_occupants(data["publishers"], feeds=True))
    if "joining" in data:
        return Seen(occupants=_occupants([data["joining"]]))
    if "unpublished" in data:
        who = _id(data["unpublished"])
        return OwnUnpublished() if who == "ok" else Other() if who is None else Unpublished(id=who)
    if "leaving" in data:
        who = _id(data["leaving"])
        if who == "ok":
            return OwnLeft(kicked=data.get("reason") == "kicked")
        return Other() if who is None else Left(id=who)
    if "kicked" in data:
        who = _id(data["kicked"])
        return Other() if who is None else Left(id=who)
    who, mid, moderation = _id(data.get("id")), data.get("mid"), data.get("moderation")
    if who is not None and isinstance(mid, str) and moderation in ("muted", "unmuted"):
        return Moderated(id=who, mid=mid, muted=moderation == "muted")
    return Other()


def _occupants(value: object, *, feeds: bool = False) -> tuple[Occupant, ...]:
    entries = value if isinstance(value, list) else []
    return tuple(
        Occupant(id=who, name=_words(entry.get("display")), audio=_audio(entry) if feeds else None)
        for entry in entries
        if isinstance(entry, dict) and (who := _id(entry.get("id"))) is not None
    )


def _audio(feed: Mapping[str, Any]) -> Stream | None:
    """The first sound track that is switched on and in Opus."""
    streams = feed.get("streams")
    for stream in streams if isinstance(streams, list) else []:
        if (
            isinstance(stream, dict)
            and stream.get("type") == "audio"
            and stream.get("codec", "opus") == "opus"
            and stream.get("disabled") is not True
            and isinstance(mid := stream.get("mid"), str)
        ):
            return Stream(mid=mid, muted=stream.get("moderated") is True)
    return None


def _id(value: object) -> UserId | None:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        return None
    return value if isinstance(value, str) or 0 <= value < 2**64 else None


def _words(value: object) -> str:
    return value[:MAX_NAME_CHARACTERS] if isinstance(value, str) else ""


# What we ask


def join_to_speak(room: RoomId, pin: str, name: str, own: UserId) -> Body:
    """To be in the room under a name and an id, with the right to publish."""
    return {"request": "join", "ptype": "publisher", "room": room, "id": own, "display": name, **_pin(pin)}


def publish() -> Body:
    """With an offer: to be heard."""
    return {"request": "publish", "audio": True, "video": False, "data": False}


def join_to_hear(room: RoomId, pin: str, feed: UserId, mid: str, private_id: int | None) -> Body:
    """To hear one track of one feed; the plugin offers it."""
    private = {} if private_id is None else {"private_id": private_id}
    streams = [{"feed": feed, "mid": mid}]
    return {
        "request": "join",
        "ptype": "subscriber",
        "room": room,
        "streams": streams,
        **private,
        **_pin(pin),
    }


def start() -> Body:
    """With our answer: the track may come."""
    return {"request": "start"}


def _pin(pin: str) -> Body:
    return {"pin": pin} if pin else {}
