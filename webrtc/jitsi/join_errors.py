"""Why a room did not let us in, and what to do about it: the table of the join errors that Jitsi's servers give."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from webrtc.jitsi.presence import Presence
from webrtc.jitsi.refusals import Refusal


class Next(enum.Enum):
    """What to do after a join error."""

    REFUSE = "refuse"
    LOBBY = "lobby"  # wait in the lobby room
    HOST = "host"  # ask again until a host is there
    ASK_AGAIN = "ask-again"  # the focus has left the empty room: ask it anew, then join
    NEW_NICK = "new-nick"


@dataclass(frozen=True, kw_only=True)
class JoinError:
    """What a join error means."""

    then: Next
    kind: Refusal
    """What to say where it cannot be mended."""

    said: str = ""
    """By the server, where that says more than the kind."""


_CHILDREN = {
    "displayname-required": Refusal.NAME_NEEDED,
    "no-main-participants": Refusal.VISITORS_ONLY,
    "promotion-not-allowed": Refusal.VISITORS_ONLY,
    "no-visitors-lobby": Refusal.VISITORS_ONLY,
    "authentication-required": Refusal.LOGIN_NEEDED,
}
"""Children of Jitsi's, which say more than the condition they come with."""

_CONDITIONS = {
    "registration-required": (Next.REFUSE, Refusal.MEMBERS_ONLY),
    "forbidden": (Next.REFUSE, Refusal.BANNED),
    "service-unavailable": (Next.REFUSE, Refusal.FULL),
    "conflict": (Next.NEW_NICK, Refusal.NOT_ALLOWED),
    "jid-malformed": (Next.NEW_NICK, Refusal.NOT_ALLOWED),
    "not-acceptable": (Next.NEW_NICK, Refusal.NOT_ALLOWED),
    "item-not-found": (Next.ASK_AGAIN, Refusal.ROOM_UNAVAILABLE),
    "remote-server-not-found": (Next.REFUSE, Refusal.WRONG_DOMAIN),
    "resource-constraint": (Next.ASK_AGAIN, Refusal.FULL),
    "remote-server-timeout": (Next.ASK_AGAIN, Refusal.SERVER_BROKEN),
    "internal-server-error": (Next.ASK_AGAIN, Refusal.SERVER_BROKEN),
}


def judge(presence: Presence, *, password_given: bool) -> JoinError:
    """What a presence of type error, in answer to our joining, means.

    Args:
        presence: as it was read.
        password_given: whether we tried one.
    """
    assert presence.error is not None
    condition, text = presence.error.condition, presence.error.text
    for child, kind in _CHILDREN.items():
        if child in presence.conditions:
            return JoinError(then=Next.REFUSE, kind=kind)
    if condition == "not-authorized":
        kind = Refusal.PASSWORD_WRONG if password_given else Refusal.PASSWORD_NEEDED
        return JoinError(then=Next.REFUSE, kind=kind)
    if presence.lobby_room:
        return JoinError(then=Next.LOBBY, kind=Refusal.MEMBERS_ONLY)
    if "waiting-for-host" in presence.conditions:
        return JoinError(then=Next.HOST, kind=Refusal.HOST_ABSENT)
    if condition == "not-allowed":
        return _not_allowed(presence, text)
    then, kind = _CONDITIONS.get(condition, (Next.REFUSE, Refusal.NOT_ALLOWED))
    return JoinError(then=then, kind=kind, said=text or _named(condition, kind))


def _not_allowed(presence: Presence, text: str) -> JoinError:
    if "room-does-not-exist" in presence.conditions or "creation is restricted" in text:
        return JoinError(then=Next.ASK_AGAIN, kind=Refusal.ROOM_UNAVAILABLE)
    return JoinError(then=Next.REFUSE, kind=Refusal.NOT_ALLOWED, said=text)


def _named(condition: str, kind: Refusal) -> str:
    return condition if kind is Refusal.NOT_ALLOWED else ""
