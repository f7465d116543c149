"""Waiting in a room's lobby until a moderator decides (facts of lib-jitsi-meet 01daa07c, August 2026)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from webrtc.jitsi import namespaces as ns
from webrtc.jitsi.conference_events import Wait
from webrtc.jitsi.join_errors import Next, judge
from webrtc.jitsi.namespaces import qualified
from webrtc.jitsi.presence import Presence, leaving, lobby_presence
from webrtc.jitsi.refusals import Refusal
from webrtc.jitsi.stanza import bare
from webrtc.jitsi.stream import XmppStream


class LobbySays(enum.Enum):
    """What became of us in the lobby."""

    WAIT = "wait"
    ADMITTED = "admitted"
    REFUSED = "refused"
    NEW_NICK = "new-nick"
    TRY_AGAIN = "try-again"


@dataclass(frozen=True, kw_only=True)
class LobbyVerdict:
    """With why, where it is a refusal."""

    says: LobbySays
    kind: Refusal = Refusal.SERVER_BROKEN
    said: str = ""


class Lobby:
    """The lobby room we are in, if any.

    Args:
        stream: to speak through.
    """

    def __init__(self, stream: XmppStream) -> None:
        self.jid = ""
        """The lobby room's address; empty while we are in none."""

        self.wait = Wait.LOBBY
        """Whom we wait for there."""

        self._stream = stream
        self._nick = ""

    def enter(self, refused: Presence, nick: str, name: str, email: str) -> None:
        """Knocks.

        Args:
            refused: the room's answer to our joining, which names its lobby.
            nick: ours in the room, and in its lobby.
            name: by which a moderator knows us.
            email: the same, where there is one.
        """
        self.jid = bare(refused.lobby_room).lower()
        self.wait = Wait.HOST if "waiting-for-host" in refused.conditions else Wait.LOBBY
        self._nick = nick
        self._stream.send(lobby_presence(f"{self.jid}/{nick}", name, email))

    def leave(self) -> None:
        """Goes out, where we are in."""
        if self.jid:
            self._stream.send(leaving(f"{self.jid}/{self._nick}"))
            self.jid = ""

    def forget(self) -> None:
        """The session is another one: we are in no lobby."""
        self.jid = ""

    def told(self, presence: Presence) -> LobbyVerdict | None:
        """What a presence from the lobby means for us; None for nothing."""
        if presence.kind == "error":
            self.jid = ""
            error = judge(presence, password_given=False)
            says = LobbySays.NEW_NICK if error.then is Next.NEW_NICK else LobbySays.REFUSED
            return LobbyVerdict(says=says, kind=error.kind, said=error.said)
        if not presence.own:
            return None
        if presence.kind == "available":
            return LobbyVerdict(says=LobbySays.WAIT)
        self.jid = ""
        return _out(presence)


def _out(presence: Presence) -> LobbyVerdict:
    """We are out of the lobby."""
    destroyed = presence.destroyed
    if destroyed is not None and destroyed.instead:
        return LobbyVerdict(says=LobbySays.ADMITTED)  # it was switched off
    if destroyed is not None:
        return LobbyVerdict(says=LobbySays.REFUSED, kind=Refusal.MEETING_ENDED, said=destroyed.reason)
    if "307" in presence.codes and "333" not in presence.codes:
        return LobbyVerdict(says=LobbySays.REFUSED, kind=Refusal.LOBBY_DENIED, said=presence.reason)
    return LobbyVerdict(says=LobbySays.TRY_AGAIN)


def invitation(message: Element) -> str | None:
    """The password in a room's own message that lets us in, empty for none; None where it does not."""
    user = message.find(qualified(ns.MUC_USER, "x"))
    if user is None or user.find(qualified(ns.MUC_USER, "invite")) is None:
        return None
    return (user.findtext(qualified(ns.MUC_USER, "password")) or "").strip()
