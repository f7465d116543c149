"""What WHIP and WHEP ask of a server, as text: offers and answers, tokens, header fields. Pure.

WHIP (RFC 9725) brings somebody's voice into a room and WHEP (draft-ietf-wish-whep-03) a listener's mix out of it, each
by one HTTP POST of an offer. Neither trickles candidates nor restarts ICE here: our answers hold all of ours, and an
offer need hold none, since the other side's checks tell where it is.
"""

from __future__ import annotations

import enum
import hmac
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webrtc.errors import LocalError, SdpError
from webrtc.sdp import MAX_OFFER_BYTES, check_offer

if TYPE_CHECKING:
    from webrtc.peer import IceServer

MEDIA_TYPE = "application/sdp"
MIN_TOKEN_CHARACTERS = 16
"""A token may be guessed at by whoever reaches the server."""

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # b64token, RFC 6750 section 2.1
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_NO_PORT = "0"
_BUNDLE = "a=group:BUNDLE"
_TRANSPORT = (
    "candidate",
    "end-of-candidates",
    "fingerprint",
    "ice-options",
    "ice-pwd",
    "ice-ufrag",
    "rtcp-mux",
    "setup",
)


class Door(enum.Enum):
    """By which of the two somebody comes; the value is the first part of the path."""

    WHIP = "whip"
    WHEP = "whep"

    @property
    def offered(self) -> str:
        """The direction that an offer has here, when it has not both."""
        return "sendonly" if self is Door.WHIP else "recvonly"


@dataclass(frozen=True, kw_only=True)
class Invitee:
    """Somebody who may come by WHIP, by WHEP or by both, and is one participant then."""

    name: str
    language: str
    """BCP 47; one that the room offers."""

    token: str = field(repr=False)
    """The secret they show as `Authorization: Bearer …`."""

    def __post_init__(self) -> None:
        """Refuses a token that cannot stand in the header field, or is too short."""
        if not _TOKEN.fullmatch(self.token):
            raise LocalError(
                f"expected a token of letters, digits and -._~+/ for {self.name!a}, got another character"
            )
        if len(self.token) < MIN_TOKEN_CHARACTERS:
            raise LocalError(
                f"expected a token of {MIN_TOKEN_CHARACTERS} or more characters for {self.name!a}, "
                f"got {len(self.token)}"
            )


def invited(people: Collection[Invitee], authorization: str | None) -> Invitee | None:
    """Whose token an Authorization field holds, or None; how long it takes tells nothing of how much was right."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "bearer":
        return None
    shown = token.strip().encode(errors="replace")
    found = [one for one in people if hmac.compare_digest(one.token.encode(), shown)]
    return found[0] if found else None


@dataclass(frozen=True, kw_only=True)
class _Section:
    """One media section of a description."""

    lines: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """Of its first line: kind, port, protocol and formats (RFC 8866 section 5.14)."""
        return self.lines[0].split()

    @property
    def kind(self) -> str:
        return self.words[0][2:]

    def values(self, attribute: str) -> Iterator[str]:
        """What stands after `a=attribute:`, line by line."""
        start = f"a={attribute}:"
        return (line[len(start) :].strip() for line in self.lines if line.startswith(start))

    @property
    def mid(self) -> str:
        return next(self.values("mid"), "")


@dataclass(frozen=True, kw_only=True)
class ReadOffer:
    """An offer, as a peer that has one audio track and nothing else can answer it."""

    sdp: str
    unused: tuple[tuple[int, _Section], ...] = ()
    """Sections left out of it, with their places."""

    bundle: str | None = None
    """The line that bundles all sections, unused ones too."""

    def answer(self, answer_sdp: str) -> str:
        """The peer's answer, with the unused sections at their places, and nothing in them."""
        if not self.unused:
            return answer_sdp
        session, sections = _parsed(answer_sdp)
        transport = [
            line for one in sections if one.kind == "audio" for line in one.lines if _of_transport(line)
        ]
        texts = [_text(section.lines) for section in sections]
        for place, section in self.unused:
            bundled = section.mid in (self.bundle or "").split()
            texts.insert(place, _text(_idle(section, transport) if bundled else _rejected(section)))
        if self.bundle is not None:
            session = tuple(self.bundle if line.startswith(_BUNDLE) else line for line in session)
        return _text(session) + "".join(texts)


def read_offer(door: Door, offer: str) -> ReadOffer:
    """What somebody offers at a door.

    WHIP takes nothing but one audio track, since RFC 9725 section 4.4.3 wants no sessions that are half of what was
    offered. A WHEP player may ask for video too, as most do, and gets none.

    Raises:
        SdpError: it is malformed, too long, or not one audio track in the right direction.
    """
    size = len(offer.encode(errors="replace"))
    if size > MAX_OFFER_BYTES:
        raise SdpError(f"expected an offer of at most {MAX_OFFER_BYTES} bytes, got {size}")
    session, sections = _parsed(offer)
    video = "video" if door is Door.WHEP else None
    unused = tuple((place, one) for place, one in enumerate(sections) if one.kind == video)
    kept = [_alone(door, one, session, sections) for one in sections if one.kind != video]
    if any(len(one.words) < 4 for _, one in unused):
        raise SdpError("expected a media line with port, protocol and formats, got one without")
    bundle = next((line for line in session if line.startswith(_BUNDLE)), None) if unused else None
    read = ReadOffer(
        sdp=_text(_without_mids(session, {one.mid for _, one in unused}))
        + "".join(_text(one) for one in kept),
        unused=unused,
        bundle=bundle,
    )
    check_offer(read.sdp)
    return read


def _parsed(description: str) -> tuple[tuple[str, ...], list[_Section]]:
    """The lines before the first section, and the sections."""
    lines = description.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    sections = [
        _Section(lines=tuple(lines[start:end])) for start, end in zip(starts, starts[1:], strict=False)
    ]
    return tuple(lines[: starts[0]]), sections


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _without_mids(session: Sequence[str], mids: Collection[str]) -> list[str]:
    """The session's lines, whose bundle no longer names the sections `mids`."""
    return [
        " ".join(word for word in line.split(" ") if word not in mids)
        if mids and line.startswith(_BUNDLE)
        else line
        for line in session
    ]


def _alone(
    door: Door, section: _Section, session: Sequence[str], sections: Sequence[_Section]
) -> tuple[str, ...]:
    """A section's lines, with its direction one way and all that it had from the sections around it."""
    if section.kind != "audio":
        return section.lines
    own = _direction((*session, *section.lines))
    if own not in ("sendrecv", door.offered):
        raise SdpError(f"expected audio that is {door.offered} or sendrecv at /{door.value}, got {own}")
    plain = [line for line in section.lines if line[2:].strip() not in _DIRECTIONS or line[:2] != "a="]
    # RFC 9143 sections 6 and 7.1: a bundle-only section has the port 0, and its transport in the bundle's first one.
    head = section.words
    if head[1:2] == [_NO_PORT]:
        if "a=bundle-only" not in (line.strip() for line in plain):
            raise SdpError("expected one audio track, got one that is rejected")
        head[1] = "9"
    return (" ".join(head), *plain[1:], *_lent(section, sections), f"a={door.offered}")


def _lent(section: _Section, sections: Sequence[_Section]) -> list[str]:
    """Lines of its transport that stand in other sections of its bundle: all of them, or only the candidates."""
    own = set(section.values("ice-ufrag"))
    others = [one for one in sections if one is not section]
    if not own:
        return [
            line for one in others[:1] for line in one.lines if line.startswith("a=") and _of_transport(line)
        ]
    return [
        line
        for one in others
        if set(one.values("ice-ufrag")) == own
        for line in one.lines
        if line.startswith("a=candidate:")
    ]


def _direction(lines: Sequence[str]) -> str:
    """The last that is said of it; both ways where nothing is (RFC 8866 section 6.7)."""
    said = [line[2:].strip() for line in lines if line.startswith("a=") and line[2:].strip() in _DIRECTIONS]
    return said[-1] if said else "sendrecv"


def _idle(section: _Section, transport: Sequence[str]) -> list[str]:
    """A section of the bundle in which nothing is sent, with its first codec alone.

    It is not rejected: Chromium cannot apply an answer that rejects the first section of a bundle while it insists on
    one, as WHEP players do.
    """
    media, _, protocol, codec, *_ = section.words
    about = [line for line in section.lines if line.startswith((f"a=rtpmap:{codec} ", f"a=fmtp:{codec} "))]
    return [f"{media} 9 {protocol} {codec}", *transport, f"a=mid:{section.mid}", "a=inactive", *about]


def _rejected(section: _Section) -> list[str]:
    """A section that is turned down (RFC 3264 section 6)."""
    media, _, *rest = section.words
    mid = [f"a=mid:{section.mid}"] if section.mid else []
    return [" ".join([media, _NO_PORT, *rest]), "c=IN IP4 0.0.0.0", "a=inactive", *mid]


def _of_transport(line: str) -> bool:
    """Whether a line of a section is of the transport that its bundle shares (RFC 8859)."""
    return line.startswith("c=") or line[2:].split(":", 1)[0] in _TRANSPORT


def ice_links(servers: Sequence[IceServer]) -> list[str]:
    """Link field values that tell STUN and TURN servers (RFC 9725 section 4.6)."""
    return [
        "; ".join(
            [
                f"<{url}>",
                'rel="ice-server"',
                *([f"username={_quoted(server.username)}"] if server.username is not None else []),
                *([f"credential={_quoted(server.credential)}"] if server.credential is not None else []),
            ]
        )
        for server in servers
        for url in server.urls
    ]


def _quoted(text: str) -> str:
    """A quoted string (RFC 9110 section 5.6.4); what no header field may hold is left out."""
    plain = "".join(c for c in text if c.isprintable())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def allowed_origin(origin: str | None, origins: Collection[str]) -> str | None:
    """What Access-Control-Allow-Origin says to a page of another site, or None where it may not call.

    Args:
        origin: of the page, as its browser tells; None where no browser asks.
        origins: that may call, such as `https://studio.example.org`; `*` for all.
    """
    if origin is None:
        return None
    return "*" if "*" in origins else origin if origin in origins else None
