"""What we do in a room: who is there, what they write, mute and offer, and what we say of ourselves.

How we came in, and what becomes of us when we are put out, is `conference`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element

from webrtc.jitsi import disco
from webrtc.jitsi import namespaces as ns
from webrtc.jitsi.conference_events import (
    ChatReceived,
    ConferenceEvent,
    E2eeChanged,
    FocusLeft,
    ForcedMute,
    JingleAnswered,
    JingleReceived,
    Joined,
    OccupantLeft,
    OwnChanged,
    SeatSettings,
)
from webrtc.jitsi.moderation import Moderation
from webrtc.jitsi.namespaces import client, qualified
from webrtc.jitsi.presence import Occupant, OwnPresence, Presence, json_object, leaving, own_presence
from webrtc.jitsi.roster import Roster, RosterEvent
from webrtc.jitsi.stanza import DISCONNECTED, IqError, bare, body, resource
from webrtc.jitsi.stream import Answered, XmppStream
from webrtc.jitsi.xml import element

MAX_UNANSWERED_JINGLE = 64
MAX_CHAT_CHARACTERS = 10_000


class InRoom:
    """One room, from our joining it to our leaving it, and again.

    Args:
        settings: where and as whom.
        room_jid: the room's address.
        stream: to speak through.
        token_hex: gives so many random bytes as hexadecimal.
        emit: takes the events.
    """

    def __init__(
        self,
        settings: SeatSettings,
        room_jid: str,
        stream: XmppStream,
        token_hex: Callable[[int], str],
        emit: Callable[[ConferenceEvent], None],
    ) -> None:
        self.room_jid = room_jid
        self.nick = ""
        self.present = False
        """Whether the room has let us in."""

        self.focus_user = bare(settings.server.focus_user or "").lower()
        self.moderation_component = ""
        self.roster = Roster()
        self._settings = settings
        self._stream = stream
        self._token_hex = token_hex
        self._emit = emit
        self._name = settings.display_name
        self._muted = dict.fromkeys(settings.sources, False)
        self._moderation = Moderation()
        self._own = ("", "")
        self._encrypted = False
        self._unanswered: dict[str, Element] = {}
        self._asked: set[str] = set()
        self._count = 0

    # Coming and going.

    def join(self, password: str) -> None:
        """Asks to be let in; who is there follows, and our own presence behind it."""
        self.roster.begin()
        self._stream.send(self._presence(join=True, password=password))

    def joined(self, presence: Presence, jid: str) -> None:
        """We are in, as our own presence says."""
        self.present = True
        self.nick = presence.nick
        own = presence.occupant
        self._own = (own.role, own.affiliation)
        self._emit(Joined(nick=self.nick, jid=jid, role=own.role, affiliation=own.affiliation))
        self._tell_moderation(self._moderation.own_role(moderator=own.moderator))
        self._report(self.roster.complete())

    def out(self, *, anew: bool) -> None:
        """We are in no more.

        Args:
            anew: with the session, so that the room will tell everything again.
        """
        self.present = False
        self._unanswered.clear()
        if anew:
            self._tell_moderation(self._moderation.rejoined())

    def leave(self) -> None:
        """Goes out."""
        self.present = False
        self._stream.send(leaving(f"{self.room_jid}/{self.nick}"))

    # Verbs.

    @property
    def focus(self) -> str:
        """The focus' address in the room; empty while it is not there."""
        found = self.roster.focus
        return f"{self.room_jid}/{found.nick}" if found is not None else ""

    @property
    def forced_mute(self) -> bool:
        """A moderator has muted us."""
        return self._moderation.muted

    def send_jingle(self, jingle: Element, to: str | None, now_s: float) -> str:
        """As `JitsiConnection.send_jingle`."""
        receiver = to or self.focus
        if receiver and self.present:
            request_id = self._stream.request("set", receiver, jingle, now_s)
            self._asked.add(request_id)
            return request_id
        self._count += 1
        request_id = f"unsent-{self._count}"
        self._emit(JingleAnswered(request_id=request_id, error=DISCONNECTED))
        return request_id

    def answered(self, event: Answered) -> bool:
        """Whether a request's end was that of one of ours."""
        if event.request_id not in self._asked:
            return False
        self._asked.remove(event.request_id)
        self._emit(JingleAnswered(request_id=event.request_id, error=event.error))
        return True

    def reply(self, iq_id: str, error: IqError | None) -> None:
        """Answers what a `JingleReceived` asked."""
        asked = self._unanswered.pop(iq_id, None)
        if asked is None:
            return
        if error is None:
            self._stream.answer(asked)
        else:
            self._stream.refuse(asked, error)

    def say(self, text: str, to: str | None) -> None:
        """As `JitsiConnection.say`."""
        if not self.present:
            return
        receiver, kind = (self.room_jid, "groupchat") if to is None else (f"{self.room_jid}/{to}", "chat")
        message = element(client("message"), {"to": receiver, "type": kind, "id": self._token_hex(8)})
        message.append(element(client("body"), text=text[:MAX_CHAT_CHARACTERS]))
        self._stream.send(message)

    def set_muted(self, source: str, muted: bool) -> bool:
        """As `JitsiConnection.set_muted`."""
        if source in self._muted and self._muted[source] != muted:
            self._muted[source] = muted
            self._tell_room()
        return muted or not self.forced_mute

    def set_sources(self, sources: tuple[str, ...]) -> None:
        """As `JitsiConnection.set_sources`."""
        self._muted = {source: self._muted.get(source, False) for source in sources}
        self._tell_room()

    def set_display_name(self, name: str) -> None:
        """As `JitsiConnection.set_display_name`."""
        self._name = name
        self._tell_room()

    def lift_forced_mute(self) -> bool:
        """As `JitsiConnection.lift_forced_mute`."""
        lifted = self._moderation.lift()
        self._tell_room()
        return lifted

    @property
    def display_name(self) -> str:
        """By what people see us called."""
        return self._name

    def _presence(self, *, join: bool = False, password: str = "") -> Element:
        forced = self.forced_mute
        own = OwnPresence(
            name=self._name,
            email=self._settings.email,
            sources={f"{self.nick}-{source}": muted or forced for source, muted in self._muted.items()},
            marker=self._settings.marker,
        )
        return own_presence(f"{self.room_jid}/{self.nick}", own, join=join, password=password)

    def _tell_room(self) -> None:
        if self.present:
            self._stream.send(self._presence())

    # What the room and those in it say.

    def others(self, presence: Presence) -> None:
        """Somebody else's presence."""
        self._report(self.roster.told(presence))

    def own_presence(self, own: Occupant) -> None:
        """Our own, again."""
        if (own.role, own.affiliation) != self._own:
            self._own = (own.role, own.affiliation)
            self._emit(OwnChanged(role=own.role, affiliation=own.affiliation))
            self._tell_moderation(self._moderation.own_role(moderator=own.moderator))

    def message(self, stanza: Element) -> None:
        """A message, from whomever."""
        sender, kind = stanza.get("from", ""), stanza.get("type", "normal")
        if kind == "error":
            return
        if sender and sender == self.moderation_component:
            told = json_object(stanza.findtext(qualified(ns.JITMEET, "json-message")) or "")
            if told is not None and told.get("type") == "av_moderation":
                self._tell_moderation(self._moderation.told(told))
        elif bare(sender) == self.room_jid and self.present and kind in ("chat", "groupchat"):
            nick, text = resource(sender), body(stanza)
            # What is late because our connection was cut is marked too, but not by the room: that counts.
            delays = stanza.findall(qualified(ns.DELAY, "delay"))
            history = any(bare(delay.get("from", "")) == self.room_jid for delay in delays)
            if text and nick in self.roster.occupants and not history:
                self._emit(ChatReceived(nick=nick, text=text[:MAX_CHAT_CHARACTERS], private=kind == "chat"))

    def asked(self, stanza: Element) -> None:
        """Somebody wants something of us: an IQ of type get or set."""
        sender, kind = stanza.get("from", ""), stanza.get("type")
        jingle = stanza.find(qualified(ns.JINGLE, "jingle"))
        mute = stanza.find(qualified(ns.JITMEET_AUDIO, "mute"))
        question = disco.asked(stanza)
        here = self.present and bare(sender) == self.room_jid and resource(sender) in self.roster.occupants
        if kind == "get" and question is not None:
            self._discovered(stanza, question)
        elif kind == "set" and mute is not None:
            self._mute_asked(stanza, mute)
        elif kind == "set" and jingle is not None and here:
            self._jingle_received(stanza, jingle)
        else:
            self._stream.refuse(stanza, IqError(condition="service-unavailable"))

    def _discovered(self, stanza: Element, question: Element) -> None:
        answer = disco.reply(question)
        if answer is not None:
            self._stream.answer(stanza, answer)
        else:
            self._stream.refuse(stanza, IqError(condition="item-not-found"))

    def _mute_asked(self, stanza: Element, mute: Element) -> None:
        if not self.focus or stanza.get("from") != self.focus:
            self._stream.refuse(stanza, IqError(condition="forbidden", kind="auth"))
            return
        self._stream.answer(stanza)
        self._tell_moderation(self._moderation.forced(muted=(mute.text or "").strip() != "false"))

    def _jingle_received(self, stanza: Element, jingle: Element) -> None:
        if len(self._unanswered) >= MAX_UNANSWERED_JINGLE:
            self._stream.refuse(stanza, IqError(condition="resource-constraint", kind="wait"))
            return
        self._count += 1
        iq_id = f"asked-{self._count}"
        self._unanswered[iq_id] = stanza
        sender = stanza.get("from", "")
        self._emit(
            JingleReceived(iq_id=iq_id, from_jid=sender, jingle=jingle, from_focus=sender == self.focus)
        )

    def _report(self, events: list[RosterEvent]) -> None:
        for event in events:
            self._emit(event)
            if isinstance(event, OccupantLeft) and event.occupant.is_focus:
                self._emit(FocusLeft())
        names = self.roster.encrypted
        if self.present and bool(names) != self._encrypted:
            self._encrypted = bool(names)
            self._emit(E2eeChanged(on=self._encrypted, words=_encryption_words(names)))

    def _tell_moderation(self, words: str | None) -> None:
        if words is not None:
            self._emit(ForcedMute(muted=self.forced_mute, words=words))
            self._tell_room()


def _encryption_words(names: tuple[str, ...]) -> str:
    if not names:
        return "end-to-end encryption is off: the interpreter can hear again"
    return (
        f"{' and '.join(names[:3])} switched on end-to-end encryption, through which nobody outside can hear: "
        "switch it off in the meeting's security options to be interpreted"
    )
