"""What the focus and we say to each other in Jingle (XEP-0166, 0167, 0176, 0320, 0338, 0339, 0343, Jitsi's own parts).

    focus -> us    session-initiate, source-add, source-remove, transport-info, session-info, session-terminate
    us -> focus    session-accept, session-terminate

`jingle_reader` and `jingle_writer` make it of elements and turn it into such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from webrtc.jitsi.sources import RemoteSource

RTP = "urn:xmpp:jingle:apps:rtp:1"
HEADER_EXTENSIONS = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"
SOURCES = "urn:xmpp:jingle:apps:rtp:ssma:0"
ICE = "urn:xmpp:jingle:transports:ice-udp:1"
DTLS = "urn:xmpp:jingle:apps:dtls:0"
SCTP = "urn:xmpp:jingle:transports:dtls-sctp:1"
GROUPING = "urn:xmpp:jingle:apps:grouping:0"
COLIBRI = "http://jitsi.org/protocol/colibri"
START_MUTED = "http://jitsi.org/jitmeet/start-muted"

AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464
OPUS_CLOCK_HZ = 48_000
OPUS_PARAMETERS: Mapping[str, str] = {"minptime": "10", "useinbandfec": "1"}
"""What our answer says of Opus: packets that carry error correction are welcome."""

FINGERPRINTS = ("sha-256", "sha-384", "sha-512")
"""Hashes of which a certificate must have been told one."""

SETUPS = ("actpass", "active", "passive")
MAX_CANDIDATES = 64  # each one makes us send connectivity checks somewhere
MAX_WEB_SOCKETS = 8
ACTIONS = frozenset(
    [
        "content-accept",
        "content-add",
        "content-modify",
        "content-reject",
        "content-remove",
        "description-info",
        "security-info",
        "session-accept",
        "session-info",
        "session-initiate",
        "session-terminate",
        "transport-accept",
        "transport-info",
        "transport-reject",
        "transport-replace",
        "source-add",
        "source-remove",
    ]
)
"""Every action there is: XEP-0166 section 7.2, and Jitsi's own two."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An address over UDP (RFC 8839 section 5.1)."""

    foundation: str
    priority: int
    ip: str
    port: int
    type: str
    related_ip: str = ""
    related_port: int = 0


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Of a certificate (RFC 8122)."""

    hash: str
    value: str
    setup: str
    """Who opens DTLS: `actpass`, `active` or `passive`."""


@dataclass(frozen=True, kw_only=True)
class Transport:
    """The bridge's end of the one transport that all contents share."""

    ufrag: str
    password: str = field(repr=False)
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[Candidate, ...] = ()
    web_sockets: tuple[str, ...] = field(default=(), repr=False)
    """Where its channel can be had without SCTP; with a password in it."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a session-initiate says but for the sources."""

    initiator: str
    bridge_session: str
    """The bridge's name for the session, by which a restart is asked for; empty where none was told."""

    audio_content: str
    """Name of the content, which the answer repeats."""

    opus_type: int
    """Payload type of Opus, 96 to 127."""

    level_id: int
    """Number of the header extension for the audio level, 1 to 255; 0 where the meeting has none."""

    transport: Transport
    data_content: str = ""
    """Name of the content that carries the channel; empty where there is none."""

    sctp_port: int = 0


@dataclass(frozen=True, kw_only=True)
class SessionInitiate:
    """The focus offers a session."""

    sid: str
    offer: Offer
    sources: tuple[RemoteSource, ...]
    muted: bool
    """We are to begin with our microphone off."""


@dataclass(frozen=True, kw_only=True)
class SourceAdd:
    """Somebody sends more."""

    sid: str
    sources: tuple[RemoteSource, ...]


@dataclass(frozen=True, kw_only=True)
class SourceRemove:
    """Somebody sends less."""

    sid: str
    sources: tuple[RemoteSource, ...]


@dataclass(frozen=True, kw_only=True)
class TransportInfo:
    """The bridge has more addresses."""

    sid: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class SessionTerminate:
    """The focus ends the session."""

    sid: str
    reason: str
    """`success`, `expired`, `gone` …; empty where none was given."""

    text: str


@dataclass(frozen=True, kw_only=True)
class OtherAction:
    """Anything else, with nothing in it that we read."""

    sid: str
    action: str


Message = SessionInitiate | SourceAdd | SourceRemove | TransportInfo | SessionTerminate | OtherAction


@dataclass(frozen=True, kw_only=True)
class LocalSource:
    """What we send, as the answer tells it."""

    ssrc: int
    name: str
    msid: str


@dataclass(frozen=True, kw_only=True)
class LocalMedia:
    """Our end of a session, as negotiated."""

    ufrag: str
    password: str = field(repr=False)
    fingerprint: Fingerprint
    candidates: tuple[Candidate, ...]
    source: LocalSource | None
    """None where we send nothing."""
