"""What comes out of a `JingleSession`: replies, requests to send, and events. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from webrtc.jitsi.jingle import Candidate, Offer
from webrtc.jitsi.sources import Heard


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer to a Jingle request, to be given at once."""

    condition: str = ""
    """Of RFC 6120 section 8.3.3; empty for a result."""

    app_condition: str = ""
    """Qualified name of Jingle's own condition beside it, or empty."""


@dataclass(frozen=True, kw_only=True)
class JingleRequest:
    """A request to send."""

    number: int
    """By which its answer is told."""

    to: str | None
    """Full JID; None for the focus."""

    jingle: Element


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A session begins: its media is to be made, and given to `accept`."""

    sid: str
    offer: Offer
    heard: Heard
    muted: bool
    """Our microphone is to be off at first."""


@dataclass(frozen=True, kw_only=True)
class HeardChanged:
    """Other sources are to be heard from now on."""

    sid: str
    heard: Heard


@dataclass(frozen=True, kw_only=True)
class CandidatesCame:
    """The bridge has more addresses."""

    sid: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class SessionEnded:
    """A session is over, its media useless."""

    sid: str
    words: str
    """For logs and operators."""

    restarting: bool
    """Another is expected at once."""


@dataclass(frozen=True, kw_only=True)
class Stuck:
    """No session comes any more: whoever leaves the meeting and joins it again is offered one."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Barred:
    """The focus will never have us, or nothing that it offers can be used."""

    words: str


JingleEvent = Offered | HeardChanged | CandidatesCame | SessionEnded | Stuck | Barred
