"""An XMPP server without sockets, for tests of the cores: what it says is up to the test.

`XmppServer` logs in, binds, and manages streams. `JitsiServer` adds a focus and one room. Written from the RFCs and
the fact sheet, with another XML library than the code under test, and sharing nothing with it.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Protocol

FRAMING = "{urn:ietf:params:xml:ns:xmpp-framing}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
SM = "{urn:xmpp:sm:3}"
CLIENT = "{jabber:client}"
BIND = "{urn:ietf:params:xml:ns:xmpp-bind}"
MUC = "{http://jabber.org/protocol/muc}"
DISCO = "{http://jabber.org/protocol/disco#info}"
FOCUS = "{http://jitsi.org/protocol/focus}"

STREAMS = "xmlns:stream='http://etherx.jabber.org/streams'"
ROOM = "room@muc.meet.test"
FOCUS_USER = "focus@auth.meet.test"
MODERATION = "avmoderation.meet.test"
LOBBY = "room@lobby.meet.test"


class Client(Protocol):
    """The core under test."""

    def connected(self, now_s: float) -> None: ...
    def receive(self, text: str, now_s: float) -> None: ...
    def frames_to_send(self) -> list[str]: ...


class XmppServer:
    """One server, to which one client connects again and again."""

    def __init__(self) -> None:
        self.mechanisms = ["ANONYMOUS"]
        self.failure = ""
        """Content of the SASL failure; empty lets everybody in."""

        self.sm = True
        self.resumes = True
        """Whether sessions outlive their connections."""

        self.jid = "0123abcd-aaaa-bbbb-cccc-0123456789ab@meet.test/res"
        self.outbox: list[str] = []
        self.received: list[ET.Element] = []
        """Every stanza but those of the login."""

        self.logins: list[ET.Element] = []
        self.opened: list[str] = []
        self.client_h: list[int] = []
        """What the client says it has had."""

        self.resumed_with: list[tuple[str, int]] = []
        self.closed = False
        self.counted = 0
        self._sessions = 0
        self._session = ""
        self._sent: list[str] = []
        self._authenticated = False

    def new_connection(self) -> None:
        """A WebSocket is open."""
        self.outbox.clear()
        self._authenticated = False
        self.closed = False

    def receive(self, text: str) -> None:
        """A frame from the client."""
        frame = ET.fromstring(text)
        handlers: dict[str, Callable[[ET.Element], None]] = {
            f"{FRAMING}open": self._open,
            f"{FRAMING}close": self._close,
            f"{SASL}auth": self._auth,
            f"{SM}enable": self._enable,
            f"{SM}resume": self._resume,
            f"{SM}r": lambda _: self.outbox.append(f"<a xmlns='urn:xmpp:sm:3' h='{self.counted}'/>"),
            f"{SM}a": lambda a: self.client_h.append(int(a.get("h", ""))),
        }
        if frame.tag in handlers:
            handlers[frame.tag](frame)
        elif frame.find(f"{BIND}bind") is not None:
            self.outbox.append(
                f"<iq xmlns='jabber:client' type='result' id='{frame.get('id')}'>"
                f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{self.jid}</jid></bind></iq>"
            )
        else:
            assert frame.tag in (f"{CLIENT}iq", f"{CLIENT}message", f"{CLIENT}presence"), text
            self.counted += 1
            self.received.append(frame)
            self.stanza(frame)

    def stanza(self, stanza: ET.Element) -> None:
        """Reacts to what the client sends."""

    def send(self, xml: str) -> None:
        """A stanza to the client; `jabber:client` is put in where a test leaves it out."""
        name = xml[1:].split(" ")[0].split(">")[0].rstrip("/")
        text = (
            xml
            if "xmlns='jabber:client'" in xml
            else xml.replace(f"<{name}", f"<{name} xmlns='jabber:client'", 1)
        )
        self._sent.append(text)
        self.outbox.append(text)

    def result(self, asked: ET.Element, payload: str = "") -> None:
        """The answer to a request."""
        to = asked.get("to")
        sender = f" from='{to}'" if to else ""
        self.send(f"<iq type='result' id='{asked.get('id')}'{sender}>{payload}</iq>")

    def error(self, asked: ET.Element, content: str) -> None:
        """The refusal of a request."""
        self.send(
            f"<iq type='error' id='{asked.get('id')}' from='{asked.get('to')}'><error>{content}</error></iq>"
        )

    def forget_session(self) -> None:
        """Nothing can be resumed any more."""
        self._session = ""

    def of(self, name: str) -> list[ET.Element]:
        """Stanzas received, of a kind."""
        return [stanza for stanza in self.received if stanza.tag == f"{CLIENT}{name}"]

    def _open(self, frame: ET.Element) -> None:
        self.opened.append(frame.get("to", ""))
        self.outbox.append(
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='meet.test' id='s' version='1.0'/>"
        )
        if self._authenticated:
            sm = "<sm xmlns='urn:xmpp:sm:3'/>" if self.sm else ""
            content = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>{sm}"
        else:
            offered = "".join(f"<mechanism>{name}</mechanism>" for name in self.mechanisms)
            content = f"<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{offered}</mechanisms>"
        self.outbox.append(f"<stream:features {STREAMS}>{content}</stream:features>")

    def _auth(self, frame: ET.Element) -> None:
        self.logins.append(frame)
        if self.failure:
            self.outbox.append(f"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{self.failure}</failure>")
        else:
            self._authenticated = True
            self.outbox.append("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")

    def _enable(self, frame: ET.Element) -> None:
        self._sessions += 1
        self.counted = 0
        self._sent.clear()
        self._session = f"sm-{self._sessions}"
        resume = f"resume='true' id='{self._session}'" if self.resumes else ""
        self.outbox.append(f"<enabled xmlns='urn:xmpp:sm:3' {resume}/>")

    def _resume(self, frame: ET.Element) -> None:
        self.resumed_with.append((frame.get("previd", ""), int(frame.get("h", ""))))
        if not self._session or frame.get("previd") != self._session:
            self.outbox.append(
                "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
            )
            return
        self.outbox.append(f"<resumed xmlns='urn:xmpp:sm:3' previd='{self._session}' h='{self.counted}'/>")
        self.outbox.extend(self._sent[int(frame.get("h", "")) :])

    def _close(self, frame: ET.Element) -> None:
        self.closed = True
        self._session = ""
        self.outbox.append("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")


def exchange(client: Client, server: XmppServer, now_s: float) -> None:
    """Passes frames both ways until neither has anything to say."""
    while True:
        frames = client.frames_to_send()
        for frame in frames:
            server.receive(frame)
        answers, server.outbox = server.outbox, []
        for answer in answers:
            client.receive(answer, now_s)
        if not frames and not answers:
            return


def connect(client: Client, server: XmppServer, now_s: float = 0.0) -> None:
    """A WebSocket opens, and whatever follows follows."""
    server.new_connection()
    client.connected(now_s)
    exchange(client, server, now_s)


class JitsiServer(XmppServer):
    """With a focus that grants conferences, and a room that lets people in."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = ["true"]
        """What the focus answers, the last one for ever: `true`, `false`, or the content of an error."""

        self.conferences: list[ET.Element] = []
        self.join_errors: list[str] = []
        """Contents of the errors that the next joins get; then they succeed."""

        self.joins: list[ET.Element] = []
        self.left: list[str] = []
        self.lobby_opens = True
        self.answers_joins = True
        self.role = "participant"
        self.there = [self.presence("focus", jid=f"{FOCUS_USER}/x", role="moderator", affiliation="owner")]

    def stanza(self, stanza: ET.Element) -> None:
        if stanza.tag == f"{CLIENT}presence":
            self._presence_came(stanza)
        elif stanza.find(f"{FOCUS}conference") is not None:
            self.conferences.append(stanza)
            said = self.ready.pop(0) if len(self.ready) > 1 else self.ready[0]
            if said in ("true", "false"):
                self.result(
                    stanza,
                    f"<conference xmlns='http://jitsi.org/protocol/focus' ready='{said}' focusjid='{FOCUS_USER}'/>",
                )
            else:
                self.error(stanza, said)
        elif stanza.get("type") == "get" and stanza.find(f"{DISCO}query") is not None:
            self.result(stanza, self._discovered(stanza.get("to", "")))
        elif stanza.get("type") == "get":
            self.result(stanza)

    def _discovered(self, to: str) -> str:
        start = "<query xmlns='http://jabber.org/protocol/disco#info'>"
        if to == ROOM:
            return (
                f"{start}<feature var='muc_open'/><x xmlns='jabber:x:data' type='result'>"
                "<field var='muc#roominfo_meetingId'><value>m-1</value></field></x></query>"
            )
        return f"{start}<identity category='component' type='av_moderation' name='{MODERATION}'/></query>"

    def _presence_came(self, stanza: ET.Element) -> None:
        to = stanza.get("to", "")
        room, _, nick = to.partition("/")
        if stanza.get("type") == "unavailable":
            self.left.append(to)
        elif stanza.find(f"{MUC}x") is None or not self.answers_joins:
            return
        elif room == LOBBY:
            if self.lobby_opens:
                self.send(self.presence(nick, codes="110", room=LOBBY))
        else:
            self.joins.append(stanza)
            if self.join_errors:
                content = self.join_errors.pop(0)
                self.send(f"<presence type='error' from='{to}'><error>{content}</error></presence>")
                return
            for presence in self.there:
                self.send(presence)
            self.send(self.presence(nick, codes="110", role=self.role))

    def presence(
        self,
        nick: str,
        *,
        jid: str = "",
        role: str = "participant",
        affiliation: str = "none",
        codes: str = "",
        content: str = "",
        kind: str = "",
        item: str = "",
        room: str = ROOM,
    ) -> str:
        """Somebody's presence."""
        statuses = "".join(f"<status code='{code}'/>" for code in codes.split())
        real = f" jid='{jid}'" if jid else ""
        typed = f" type='{kind}'" if kind else ""
        return (
            f"<presence from='{room}/{nick}'{typed}>{content}<x xmlns='http://jabber.org/protocol/muc#user'>"
            f"<item role='{role}' affiliation='{affiliation}'{real}>{item}</item>{statuses}</x></presence>"
        )


def plain(mechanism: ET.Element) -> str:
    """What a login says."""
    return base64.b64decode(mechanism.text or "").decode()
