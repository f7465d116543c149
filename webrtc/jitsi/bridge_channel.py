"""What a seat and its bridge say to each other beside the sound: JSON by class, over SCTP or a WebSocket. Sans-IO.

    seat -> bridge    ClientHello, ReceiverAudioSubscription
    bridge -> seat    ServerHello, DominantSpeakerEndpointChangeEvent, EndpointConnectivityStatusChangeEvent, and more

A bridge may forward only the loudest speakers, but always sends whom somebody asked for by name. So every human source
is named, again whenever they change. Bridges of before July 2026 know another form of the message, and later ones
both: it is sent first in the old form, then in the new one, which an old bridge cannot read and lets be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from webrtc.jitsi.sources import Heard

LABEL = "JVB data channel"
PROTOCOL = "http://jitsi.org/protocols/colibri"
MAX_MESSAGE_CHARACTERS = 256 * 1024
"""Longer ones are not looked at: participants can have the bridge pass on anything."""

_MAX_NAME = 200


@dataclass(frozen=True, kw_only=True)
class BridgeHello:
    """The bridge is there."""

    version: str
    """Empty where it does not tell."""


@dataclass(frozen=True, kw_only=True)
class DominantSpeaker:
    """Somebody is heard above the others."""

    nick: str


@dataclass(frozen=True, kw_only=True)
class EndpointActive:
    """The bridge has lost somebody, or has them back."""

    nick: str
    active: bool


ChannelEvent = BridgeHello | DominantSpeaker | EndpointActive


class BridgeChannel:
    """One channel, which may open again after it closed. Single-threaded.

    Args:
        greets: whether we speak first: over SCTP we do, over a WebSocket the bridge does.
    """

    def __init__(self, *, greets: bool) -> None:
        self._greets = greets
        self._open = False
        self._heard: Heard | None = None
        self._messages: list[str] = []
        self._events: list[ChannelEvent] = []
        self.unread = 0
        """Messages that were no JSON object with a class, or too long."""

    @property
    def is_open(self) -> bool:
        """Whether what is to be sent can be sent."""
        return self._open

    def messages(self) -> list[str]:
        """What is to be sent, in this order; empty while the channel is closed."""
        messages, self._messages = self._messages, []
        return messages

    def events(self) -> list[ChannelEvent]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    def opened(self) -> None:
        """The channel is open: says hello, and whom we want to hear."""
        self._open = True
        if self._greets:
            self._put({"colibriClass": "ClientHello"})
        if self._heard is not None:
            self._subscribe(self._heard)

    def closed(self) -> None:
        """The channel is closed: what waits is forgotten, since it is said again when it opens."""
        self._open = False
        self._messages.clear()

    def hear(self, heard: Heard) -> None:
        """Tells the bridge whom we want to hear, now or when the channel opens."""
        if heard != self._heard:
            self._heard = heard
            if self._open:
                self._subscribe(heard)

    def receive(self, text: str) -> None:
        """Takes a message of the bridge; whatever it is, it does no harm."""
        fields = _fields(text)
        if fields is None:
            self.unread += 1
            return
        match fields.get("colibriClass"):
            case "ServerHello":
                self._events.append(BridgeHello(version=_word(fields.get("version"))))
            case "DominantSpeakerEndpointChangeEvent":
                if nick := _word(fields.get("dominantSpeakerEndpoint")):
                    self._events.append(DominantSpeaker(nick=nick))
            case "EndpointConnectivityStatusChangeEvent":
                if nick := _word(fields.get("endpoint")):
                    active = fields.get("active") in (True, "true")  # a bridge writes it as text
                    self._events.append(EndpointActive(nick=nick, active=active))

    def _subscribe(self, heard: Heard) -> None:
        names = [source.name for source in heard.sources]
        old: dict[str, object] = {"mode": "Include", "list": names} if heard.listening else {"mode": "None"}
        new: dict[str, object] = {
            "all": heard.listening,
            "include": names,
            "exclude": list(heard.excluded),
        }
        for form in (old, new):
            self._put({"colibriClass": "ReceiverAudioSubscription", **form})

    def _put(self, message: Mapping[str, object]) -> None:
        self._messages.append(json.dumps(message, separators=(",", ":")))


def _fields(text: str) -> Mapping[str, object] | None:
    if len(text) > MAX_MESSAGE_CHARACTERS:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("colibriClass"), str) else None


def _word(value: object) -> str:
    fits = isinstance(value, str) and len(value) <= _MAX_NAME and value.isprintable()
    return str(value) if fits else ""
