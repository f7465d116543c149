"""What a client must keep on the wire: framing, keep-alive, joining, leaving (fact sheet 1.1, 1.2, 1.5).

One `WireWatch` sees every frame of one connection, both ways, and reports what was broken. No sockets.
"""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.jitsi import stanzas
from tests.jitsi.prosody import MUC_DOMAIN
from tests.jitsi.rules import NICK
from tests.jitsi.stanzas import CLIENT, child, named, parse, split_tag

_STANZAS = frozenset({"iq", "message", "presence"})


_ON_THE_WAY_S = 0.5
"""A request for acknowledgement so shortly before the client's close may have crossed it."""


@dataclass
class Acknowledgements:
    """What stream management counts on one stream, which survives its connection."""

    sent: int = 0
    """Stanzas that went to the client since `<enabled>`."""

    acknowledged: int = 0
    asked: list[int] = field(default_factory=list)
    """Value of `sent` at each `<r>` that has no answer yet."""

    asked_at_s: float = 0.0
    """Of the last of these."""


class WireWatch:
    """One connection.

    Args:
        room: of the URL's query; None where it had none.
        strict_nicks: whether a nick must begin the JID's node.
        report: gets broken rules.
        resumable: streams by their id, shared by all connections.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        room: str | None,
        *,
        strict_nicks: bool,
        report: Callable[[str], None],
        resumable: dict[str, Acknowledgements],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._room, self._strict_nicks, self._report, self._resumable = room, strict_nicks, report, resumable
        self.jid = ""
        """Full, once bound."""

        self.nicks: set[str] = set()
        """Under which it is in rooms."""

        self.domain = ""
        self._acks: Acknowledgements | None = None
        self._joined: set[str] = set()
        self._in: set[str] = set()
        self._resuming = ""
        self.closed = False
        """Whether the client has ended the stream in order."""

        self._closed_at_s = 0.0

    @property
    def name(self) -> str:
        """For sentences."""
        return "/".join(sorted(self.nicks)) or self.jid or "a connection"

    def broken(self, text: str) -> None:
        """Reports a broken rule of this connection."""
        self._report(f"wire: {self.name}: {text}")

    def up(self, text: str) -> ET.Element | None:
        """A frame from the client; None where it is not XML."""
        if "<!DOCTYPE" in text or "<!ENTITY" in text or text.lstrip().startswith("<?"):
            self.broken("sends declarations, which XMPP forbids")
        try:
            stanza = parse(text)
        except ET.ParseError as error:
            self.broken(f"a frame is not one whole element: {error}")
            return None
        if not text.startswith("<"):
            self.broken("a frame does not begin with its element")
        if not self.domain and not named(stanza, "open", stanzas.FRAMING):
            self.broken(f"begins with <{split_tag(stanza.tag)[1]}>, not with <open>")
        self._watch_up(stanza)
        return stanza

    def _watch_up(self, stanza: ET.Element) -> None:
        namespace, name = split_tag(stanza.tag)
        if named(stanza, "open", stanzas.FRAMING):
            self.domain = stanza.get("to", "")
            if stanza.get("version") != "1.0":
                self.broken("<open> without version 1.0")
        elif named(stanza, "close", stanzas.FRAMING):
            self.closed = True
            self._closed_at_s = self._clock()
            if self._in:
                self.broken(f"closes the stream without having left {sorted(self._in)}")
        elif namespace == stanzas.SM:
            self._on_acknowledgement(name, stanza)
        elif namespace != CLIENT and name in _STANZAS:
            self.broken(f"<{name}> in namespace {namespace!r}")
        elif named(stanza, "presence", CLIENT):
            self._on_presence(stanza)

    def _on_acknowledgement(self, name: str, stanza: ET.Element) -> None:
        if name == "resume":
            self._resuming = stanza.get("previd", "")
        if name not in ("a", "resume"):
            return
        acks = self._acks if name == "a" else self._resumable.get(self._resuming)
        if acks is None:
            if name == "a":
                self.broken("<a> without stream management")
            return
        handled = int(stanza.get("h", -1))
        if not acks.acknowledged <= handled <= acks.sent:
            self.broken(f"acknowledges {handled} stanzas, of {acks.sent} sent and {acks.acknowledged} before")
        acks.acknowledged = max(acks.acknowledged, handled)
        if name == "a" and acks.asked and handled < acks.asked.pop(0):
            self.broken(f"acknowledges {handled} stanzas, after it had got more")

    def _on_presence(self, presence: ET.Element) -> None:
        to = presence.get("to", "")
        room, nick = stanzas.bare(to), stanzas.resource(to)
        if not room.endswith(f"@{MUC_DOMAIN}"):
            return
        if presence.get("type") == "unavailable":
            self._in.discard(room)
            self._joined.discard(room)
            return
        joins = child(presence, "x", stanzas.MUC) is not None
        if joins and room in self._in:
            self.broken("joins a room that it is in")
        if not joins and room not in self._joined:
            self.broken("changes its presence in a room that it has not joined")
        if joins:
            self._joined.add(room)
        self._check_room(room, nick)

    def _check_room(self, room: str, nick: str) -> None:
        name = room.partition("@")[0]
        if room != room.lower():
            self.broken(f"room name {name!r} is not in lower case")
        if self._room is None:
            self.broken("URL without the room= that server components need")
        elif self._room != name:
            self.broken(f"URL says room={self._room!r}, presence goes to {name!r}")
        node = self.jid.partition("@")[0][:8]
        if (self._strict_nicks or NICK.fullmatch(node)) and nick != node:
            self.broken(f"nick {nick!r} is not the beginning of its JID {node!r}")

    def down(self, stanza: ET.Element) -> None:
        """A frame from the server."""
        namespace, name = split_tag(stanza.tag)
        if namespace == stanzas.SM:
            self._on_stream_management(name, stanza)
            return
        if self._acks is not None and name in _STANZAS:
            self._acks.sent += 1
        bound = stanza.find(f"{{{stanzas.BIND}}}bind/{{{stanzas.BIND}}}jid")
        if bound is not None and bound.text:
            self.jid = bound.text
        if named(stanza, "presence", CLIENT):
            self._on_own_presence(stanza)

    def _on_stream_management(self, name: str, stanza: ET.Element) -> None:
        if name == "enabled":
            self._acks = Acknowledgements()
            self._resumable[stanza.get("id", "")] = self._acks
        elif name == "resumed":
            self._acks = self._resumable.get(stanza.get("previd", self._resuming))
            if self._acks is not None:
                self._acks.asked.clear()
                self._acks.sent = self._acks.acknowledged  # what it had not acknowledged comes again
        elif name == "r" and self._acks is not None:
            self._acks.asked.append(self._acks.sent)
            self._acks.asked_at_s = self._clock()

    def _on_own_presence(self, presence: ET.Element) -> None:
        codes = {one.get("code") for one in presence.iter(f"{{{stanzas.MUC_USER}}}status")}
        sender = presence.get("from", "")
        room, nick = stanzas.bare(sender), stanzas.resource(sender)
        if presence.get("type") == "error":
            if room not in self._in:
                self._joined.discard(room)
        elif "110" in codes and room.endswith(f"@{MUC_DOMAIN}"):
            if presence.get("type") == "unavailable":
                self._in.discard(room)
                self._joined.discard(room)
            else:
                self._in.add(room)
                self.nicks.add(nick)

    def adopt(self, other: WireWatch) -> None:
        """Goes on where a connection that was cut had been."""
        self.jid, self.nicks = other.jid, other.nicks
        self._in, self._joined = other._in, other._joined

    def ended(self) -> None:
        """The client is gone."""
        if self._acks is None or not self.closed:
            return
        crossed = self._closed_at_s - self._acks.asked_at_s < _ON_THE_WAY_S
        unanswered = len(self._acks.asked) - crossed
        if unanswered > 0:
            self.broken(f"left {unanswered} requests for acknowledgement without an answer")
