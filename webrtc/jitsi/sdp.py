"""A Jingle session as the SDP that aiortc understands, and aiortc's answer as Jingle. Pure.

aiortc routes incoming packets by SSRC alone, as its m-line tells it, and never tells a receiver of another. So every
remote source gets an m-line of its own, which is never used for another source:

    mid 0    audio        ours: the bridge only receives; inactive where we send nothing
    mid 1    application  the bridge's channel, where it has one over SCTP
    mid 2 …  audio        one remote source each, in the order in which they came; inactive once it is gone

All share one transport. Lines only ever grow in number, so a connection wears out after `MAX_DEAD_LINES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from webrtc.errors import SdpError
from webrtc.jitsi.jingle import (
    AUDIO_LEVEL,
    OPUS_CLOCK_HZ,
    Candidate,
    Fingerprint,
    LocalMedia,
    LocalSource,
    Offer,
)
from webrtc.jitsi.sources import RemoteSource

OWN_MID = "0"
MAX_DEAD_LINES = 100
"""Lines of sources that are gone, after which a new session costs less than to carry them on."""

_LOCAL_HASH = "sha-256"


@dataclass(frozen=True, kw_only=True)
class LinesChange:
    """What became of a connection's lines."""

    added: tuple[tuple[str, RemoteSource], ...]
    """With their mids."""

    removed: tuple[tuple[str, RemoteSource], ...]


class MediaLines:
    """The m-lines of one connection. Single-threaded.

    Args:
        offer: of the focus.
        sends: whether we send anything.
    """

    def __init__(self, offer: Offer, *, sends: bool) -> None:
        self._offer = offer
        self._sends = sends
        self._first_mid = 2 if offer.data_content else 1
        self._sources: list[RemoteSource | None] = []  # by line; None for dead ones
        self._version = 0

    def hear(self, sources: Iterable[RemoteSource]) -> LinesChange:
        """Gives new sources lines, and takes those of sources that are gone out of use."""
        wanted = dict.fromkeys(sources)
        removed = []
        for at, source in enumerate(self._sources):
            if source is not None and source not in wanted:
                self._sources[at] = None
                removed.append((self._mid(at), source))
        added = []
        for source in wanted:
            if source not in self._sources:
                added.append((self._mid(len(self._sources)), source))
                self._sources.append(source)
        return LinesChange(added=tuple(added), removed=tuple(removed))

    def sdp(self) -> str:
        """The bridge's description as it is now; each has a higher version. Addresses are told once, in the first."""
        self._version += 1
        mids = [str(mid) for mid in range(self._first_mid + len(self._sources))]
        transport = self._offer.transport
        lines = [
            "v=0",
            f"o=- 1 {self._version} IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {' '.join(mids)}",
            f"a=ice-ufrag:{transport.ufrag}",
            f"a=ice-pwd:{transport.password}",
            *(f"a=fingerprint:{one.hash} {one.value}" for one in transport.fingerprints),
            f"a=setup:{transport.fingerprints[0].setup}",
            *self._audio(OWN_MID, "recvonly" if self._sends else "inactive"),
        ]
        if self._offer.data_content:
            lines += self._application()
        for at, source in enumerate(self._sources):
            lines += self._audio(self._mid(at), "inactive" if source is None else "sendonly")
            if source is not None:
                lines.append(f"a=ssrc:{source.ssrc} cname:bridge")
        return "".join(f"{line}\r\n" for line in lines)

    def _mid(self, at: int) -> str:
        return str(self._first_mid + at)

    def _audio(self, mid: str, direction: str) -> list[str]:
        offer = self._offer
        lines = [
            f"m=audio 9 UDP/TLS/RTP/SAVPF {offer.opus_type}",
            "c=IN IP4 0.0.0.0",
            f"a={direction}",
            f"a=mid:{mid}",
            "a=rtcp-mux",
            f"a=rtpmap:{offer.opus_type} opus/{OPUS_CLOCK_HZ}/2",
        ]
        if offer.level_id:
            lines.append(f"a=extmap:{offer.level_id} {AUDIO_LEVEL}")
        return lines + self._candidates()

    def _application(self) -> list[str]:
        return [
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            "a=mid:1",
            f"a=sctp-port:{self._offer.sctp_port}",
            *self._candidates(),
        ]

    def _candidates(self) -> list[str]:
        # In every section: aiortc takes those of the last one that shares the transport.
        if self._version > 1:
            return []
        return [f"a=candidate:{candidate_words(one)}" for one in self._offer.transport.candidates]


def candidate_words(candidate: Candidate) -> str:
    """A candidate as SDP writes it (RFC 8839 section 5.1)."""
    words = f"{candidate.foundation} 1 udp {candidate.priority} {candidate.ip} {candidate.port} typ {candidate.type}"
    if candidate.related_ip:
        words += f" raddr {candidate.related_ip} rport {candidate.related_port}"
    return words


def local_media(answer: str, *, source_name: str) -> LocalMedia:
    """Our end of the session, from aiortc's answer to the first description.

    Args:
        answer: with all candidates in it.
        source_name: of what we send, if the answer says that we do. Lines that do not send have an SSRC too, which
            nobody must hear of.

    Raises:
        SdpError: it is not what aiortc answers to such a description.
    """
    section = _first_section(answer)
    sends = "a=sendonly" in section
    return LocalMedia(
        ufrag=_attribute(section, "ice-ufrag"),
        password=_attribute(section, "ice-pwd"),
        fingerprint=Fingerprint(
            hash=_LOCAL_HASH,
            value=_attribute(section, "fingerprint", _LOCAL_HASH + " "),
            setup=_attribute(section, "setup"),
        ),
        candidates=tuple(
            _candidate(line.removeprefix("a=candidate:"))
            for line in section
            if line.startswith("a=candidate:")
        ),
        source=_source(section, source_name) if sends else None,
    )


def _first_section(answer: str) -> list[str]:
    lines = answer.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
    if not starts or f"a=mid:{OWN_MID}" not in lines:
        raise SdpError("expected an answer that begins with our own audio, got another")
    return lines[starts[0] : [*starts, len(lines)][1]]


def _attribute(section: list[str], name: str, start: str = "") -> str:
    """The value of `a=name:…` behind `start`, from the first line that has it."""
    prefix = f"a={name}:{start}"
    for line in section:
        if line.startswith(prefix):
            return line.removeprefix(prefix)
    raise SdpError(f"expected a line {prefix}… in our answer, got none")


def _source(section: list[str], name: str) -> LocalSource:
    ssrc, _, _ = _attribute(section, "ssrc").partition(" ")
    return LocalSource(ssrc=int(ssrc), name=name, msid=_attribute(section, "msid"))


def _candidate(words: str) -> Candidate:
    foundation, _, _, priority, ip, port, _, kind, *more = words.split()
    related = dict(zip(more[::2], more[1::2], strict=False))
    return Candidate(
        foundation=foundation,
        priority=int(priority),
        ip=ip,
        port=int(port),
        type=kind,
        related_ip=related.get("raddr", ""),
        related_port=int(related.get("rport", 0)),
    )
