"""What a conference reports, and how one is asked for."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from webrtc.errors import LocalError
from webrtc.jitsi.discovery import Server
from webrtc.jitsi.presence import Occupant
from webrtc.jitsi.refusals import Refusal
from webrtc.jitsi.sasl import Account
from webrtc.jitsi.stanza import IqError


@dataclass(frozen=True, kw_only=True)
class SeatSettings:
    """One participant of ours in one meeting."""

    server: Server
    room: str
    """As `MeetingUrl.room` has it."""

    display_name: str
    email: str = ""
    password: str = field(default="", repr=False)
    """Of the meeting."""

    token: str = field(default="", repr=False)
    """JWT, where the server wants one."""

    account: Account | None = None
    """To log in with; None is a guest."""

    sources: tuple[str, ...] = ("a0",)
    """What we send: each becomes a source named by our nick, a hyphen and this; empty sends nothing."""

    marker: str = ""
    """Names this instance of the interpreter, by which its other seats and further instances are known."""

    machine_id: str = ""
    """Anything stable, by which the focus knows us again; empty makes one up."""

    max_wait_s: float = 3_600.0
    """For how long to wait for a host or in the lobby."""

    def __post_init__(self) -> None:
        if not self.display_name.strip():
            raise LocalError("expected a display name: Jitsi shows it, and some rooms let nobody in without")
        if not self.room:
            raise LocalError("expected the name of a room")


class Wait(enum.Enum):
    """What is waited for."""

    FOCUS = "focus"
    HOST = "host"
    LOBBY = "lobby"
    BRIDGE = "bridge"


@dataclass(frozen=True, kw_only=True)
class Joined:
    """We are in the room; again, with another nick, after an interruption in which the session was lost.

    The others follow as `OccupantJoined`; after an interruption, only what has changed meanwhile is reported.
    """

    nick: str
    jid: str
    """Our own address, not the one in the room."""

    role: str = ""
    affiliation: str = ""


@dataclass(frozen=True, kw_only=True)
class RoomKnown:
    """What the room says of itself, soon after joining."""

    meeting_id: str
    """Of this meeting, where the server gives it one; the same for all its participants."""


@dataclass(frozen=True, kw_only=True)
class OccupantJoined:
    """Somebody is there; the focus among them."""

    occupant: Occupant


@dataclass(frozen=True, kw_only=True)
class OccupantChanged:
    """Name, role, sources, muting or something else."""

    occupant: Occupant
    before: Occupant


@dataclass(frozen=True, kw_only=True)
class OccupantLeft:
    """Somebody is gone, and their sources with them: the focus does not announce that."""

    occupant: Occupant
    reason: str


@dataclass(frozen=True, kw_only=True)
class FocusLeft:
    """The focus is gone, and with it the media session; it is asked to come back, and will invite us anew."""


@dataclass(frozen=True, kw_only=True)
class OwnChanged:
    """We became a moderator, or are none any more."""

    role: str
    affiliation: str


@dataclass(frozen=True, kw_only=True)
class JingleReceived:
    """Somebody in the room wants something about media; to be answered by `reply_result` or `reply_error`."""

    iq_id: str
    """Ours, for the answer."""

    from_jid: str
    jingle: Element
    from_focus: bool
    """Otherwise it is a participant who wants to talk directly."""


@dataclass(frozen=True, kw_only=True)
class JingleAnswered:
    """The end of what was sent by `send_jingle`."""

    request_id: str
    error: IqError | None
    """None: it was accepted."""


@dataclass(frozen=True, kw_only=True)
class ChatReceived:
    """Somebody wrote; untrusted text."""

    nick: str
    text: str
    private: bool


@dataclass(frozen=True, kw_only=True)
class ForcedMute:
    """A moderator muted us, or lets us speak again."""

    muted: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class E2eeChanged:
    """Somebody switched end-to-end encryption on, or nobody has it on any more."""

    on: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """We are not in, or not heard, and wait."""

    kind: Wait
    words: str


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A moderator lets us in from the lobby."""


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """Signalling is cut, and is being made again; media may go on."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """Signalling goes on where it was cut; nothing was lost."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """We could not get in; the last event."""

    kind: Refusal
    words: str
    """One sentence that tells the host what to do."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """We were in and are out; the last event."""

    kind: Refusal
    words: str


ConferenceEvent = (
    Joined
    | RoomKnown
    | OccupantJoined
    | OccupantChanged
    | OccupantLeft
    | FocusLeft
    | OwnChanged
    | JingleReceived
    | JingleAnswered
    | ChatReceived
    | ForcedMute
    | E2eeChanged
    | Waiting
    | Admitted
    | Interrupted
    | Resumed
    | Refused
    | Ended
)
