"""How to take part in a Jitsi meeting as a guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext

from webrtc.errors import LocalError
from webrtc.jitsi.discovery import Server
from webrtc.jitsi.sasl import Account
from webrtc.peer import IceSettings


@dataclass(frozen=True, kw_only=True)
class GuestSettings:
    """One instance of the interpreter in one meeting: a participant for each channel."""

    server: Server
    room: str
    """As `MeetingUrl.room` has it."""

    title: str
    """Of the meeting, for people and logs; without secrets."""

    seats: Mapping[str, str]
    """Channel -> display name of the participant that speaks on it. The first one also listens for all."""

    marker: str
    """Names this instance among interpreters: of several in a room the one that comes first in order works."""

    password: str = field(default="", repr=False)
    """Of the meeting."""

    token: str = field(default="", repr=False)
    """JWT, where the server wants one."""

    account: Account | None = None
    captions: bool = True
    """Write what is rendered into the chat, when it is complete."""

    moderators_are_hosts: bool = True
    speaks_again: Callable[[str], bool] = lambda line: False
    """Whether a line of chat, when a host writes it, lets an interpreter speak whom a moderator had muted."""

    max_wait_s: float = 3_600.0
    """For a host, and in the lobby."""

    ice: IceSettings = field(default_factory=IceSettings)
    tls: SSLContext | None = None
    """Knows an authority of the server's own; None trusts those the system does."""

    insecure: bool = False
    """Allows connections in clear beyond this machine."""

    def __post_init__(self) -> None:
        if not self.seats:
            raise LocalError("expected a channel at least, got none")
        if not self.marker:
            raise LocalError("expected a marker, by which the seats know each other")
