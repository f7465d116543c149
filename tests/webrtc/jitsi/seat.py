"""A conference core with a server in memory, and the time both live in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

from tests.webrtc.jitsi.xmpp_server import (
    LOBBY,
    ROOM,
    JitsiServer,
    connect,
    exchange,
)
from webrtc.jitsi.conference import Conference, Phase
from webrtc.jitsi.conference_events import (
    ConferenceEvent,
    Refused,
    SeatSettings,
)
from webrtc.jitsi.discovery import Server

SERVER = Server(
    domain="meet.test",
    muc="muc.meet.test",
    guest_domain="meet.test",
    focus="focus.meet.test",
    websocket="wss://meet.test/xmpp-websocket",
)
STANZA_ERROR = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
JITMEET = "xmlns='http://jitsi.org/jitmeet'"
LOBBY_ERROR = f"<registration-required {STANZA_ERROR}/><lobbyroom {JITMEET}>{LOBBY}</lobbyroom>"
JINGLE = "{urn:xmpp:jingle:1}jingle"


def counting() -> Callable[[int], str]:
    """Hexadecimal digits that are not random."""
    numbers = itertools.count(1)
    return lambda count: f"{next(numbers):0{2 * count}x}"


class Seat:
    """A conference core and its server, and the time they live in."""

    def __init__(self, **settings: Any) -> None:
        fields: dict[str, Any] = {"server": SERVER, "room": "room", "display_name": "Interpreter"}
        self.core = Conference(SeatSettings(**(fields | settings)), counting())
        self.server = JitsiServer()
        self.now_s = 0.0
        self.seen: list[ConferenceEvent] = []

    def start(self) -> Seat:
        self.core.start(self.now_s)
        self.connect()
        return self

    def connect(self) -> None:
        assert self.core.connect_at_s is not None
        self.now_s = max(self.now_s, self.core.connect_at_s)
        self.core.connecting()
        connect(self.core, self.server, self.now_s)
        self.exchange()

    def exchange(self) -> None:
        exchange(self.core, self.server, self.now_s)
        self.seen += self.core.events()

    def send(self, *stanzas: str) -> None:
        for stanza in stanzas:
            self.server.send(stanza)
        self.exchange()

    def presence(self, nick: str, **fields: Any) -> None:
        self.send(self.server.presence(nick, **fields))

    def cut(self) -> None:
        self.core.frames_to_send()
        self.core.disconnected(self.now_s)
        self.exchange()

    def until(self, now_s: float) -> None:
        """Time goes by, with everything that falls due answered."""
        while True:
            at_s = self.core.next_timeout()
            if at_s is None or at_s > now_s:
                break
            self.now_s = max(self.now_s, at_s)
            self.core.handle_timeout(self.now_s)
            self.exchange()
        self.now_s = now_s

    def take(self) -> list[ConferenceEvent]:
        seen, self.seen = self.seen, []
        return seen

    @property
    def last(self) -> ConferenceEvent:
        return self.seen[-1]

    def sent(self, name: str) -> list[Element]:
        return self.server.of(name)


def joined(**settings: Any) -> Seat:
    seat = Seat(**settings).start()
    assert seat.core.phase is Phase.JOINED
    seat.take()
    return seat


def refused(seat: Seat) -> Refused:
    event = seat.last
    assert isinstance(event, Refused)
    assert seat.core.over
    assert not seat.core.socket_wanted
    return event


def jingle_iq(sender: str, iq_id: str = "j1") -> str:
    return (
        f"<iq type='set' id='{iq_id}' from='{ROOM}/{sender}'><jingle xmlns='urn:xmpp:jingle:1' "
        "action='session-initiate' sid='s'/></iq>"
    )


def shown(seat: Seat) -> dict[str, bool]:
    """What our presence last said of our sources."""
    info = json.loads(seat.sent("presence")[-1].findtext("{jabber:client}SourceInfo") or "")
    return {name: said["muted"] for name, said in info.items()}
