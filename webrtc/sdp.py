"""Session descriptions as text: what we accept in an offer, and what our answer says about Opus. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from webrtc.errors import SdpError

MAX_OFFER_BYTES = 64 * 1024  # a browser's audio offer takes about 5 KiB
MAX_CANDIDATES = 64  # each one makes us send connectivity checks somewhere

OPUS_PARAMETERS: Mapping[str, str] = {
    "minptime": "10",
    "useinbandfec": "1",  # without it a browser sends no error correction
    # Only the speech modes of Opus carry error correction, and the more bits a browser may spend, the sooner its
    # encoder leaves them: on speech over a tone, half of Chromium's packets kept to them at 32 kbit/s, a quarter at 48.
    "maxaveragebitrate": "32000",
    "maxplaybackrate": "24000",  # we decode at 24 kHz: bits above 12 kHz of bandwidth would be wasted
}
"""What our answer asks of senders (RFC 7587 section 6.1). Mono is the default, so `stereo` is left out."""

_OPUS_RTPMAP = re.compile(r"a=rtpmap:(\d+) opus/48000/2\s*$", re.IGNORECASE)
_APPLICATION = re.compile(r"m=application \d+ (?:UDP|TCP)/DTLS/SCTP webrtc-datachannel\s*$")
_SCTP_PORT = re.compile(r"a=sctp-port:(\d{1,5})\s*$")
_FMTP = re.compile(r"a=fmtp:(\d+) (.*?)\s*$")


def check_offer(offer: str) -> None:
    """Refuses an offer that is not one audio track with Opus, alone or followed by one section for data channels.

    Raises:
        SdpError: says what was expected and what came.
    """
    size = len(offer.encode(errors="replace"))
    if size > MAX_OFFER_BYTES:
        raise SdpError(f"expected an offer of at most {MAX_OFFER_BYTES} bytes, got {size}")
    lines = offer.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise SdpError("expected a session description beginning with 'v=0', got something else")
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
    kinds = [lines[at][2:].split(" ", 1)[0] for at in starts]
    if "audio" not in kinds:
        raise SdpError(f"expected one audio track, got {_counted(kinds)}")
    if kinds not in (["audio"], ["audio", "application"]):
        raise SdpError(
            f"expected one audio track, at most one data section after it, and nothing else, got {_counted(kinds)}"
        )
    if len(kinds) == 2:
        _check_data_section(lines[starts[1] :])
    if not any(_OPUS_RTPMAP.match(line) for line in lines):
        raise SdpError("expected the codec opus/48000/2 in the offer, got none")
    candidates = sum(line.startswith("a=candidate:") for line in lines)
    if candidates > MAX_CANDIDATES:
        raise SdpError(f"expected at most {MAX_CANDIDATES} candidates, got {candidates}")


def _check_data_section(section: list[str]) -> None:
    """Refuses what aiortc would trip over only after its answer (RFC 8841 section 5)."""
    if not _APPLICATION.match(section[0]):
        raise SdpError("expected a data section of DTLS/SCTP webrtc-datachannel, got another protocol")
    ports = [int(match.group(1)) for line in section if (match := _SCTP_PORT.match(line))]
    if len(ports) != 1 or not 0 < ports[0] < 65_536:
        raise SdpError("expected one a=sctp-port from 1 to 65535 in the data section, got none or another")


def _counted(kinds: list[str]) -> str:
    """`1 audio, 2 video`, with whatever the other side wrote cut to a readable length."""
    if not kinds:
        return "no media at all"
    return ", ".join(f"{kinds.count(kind)} {kind[:20]!a}" for kind in sorted(set(kinds))[:5])


def with_opus_parameters(description: str) -> str:
    """`description` with `OPUS_PARAMETERS` on every Opus format; applying it twice changes nothing more.

    Parameters that are already there and not ours stay, except `stereo`: we are mono. Every other line stays as it is.
    """
    lines = description.splitlines(keepends=True)
    opus = {match.group(1) for line in lines if (match := _OPUS_RTPMAP.match(line))}
    existing = {
        match.group(1): match.group(2)
        for line in lines
        if (match := _FMTP.match(line)) and match.group(1) in opus
    }
    out = []
    for line in lines:
        fmtp, rtpmap = _FMTP.match(line), _OPUS_RTPMAP.match(line)
        if fmtp and fmtp.group(1) in opus:
            continue
        out.append(line)
        if rtpmap:
            payload_type = rtpmap.group(1)
            ending = line[len(line.rstrip()) :]
            out.append(f"a=fmtp:{payload_type} {_merged(existing.get(payload_type, ''))}{ending}")
    return "".join(out)


def _merged(parameters: str) -> str:
    """`a=1;b=2` with ours put in."""
    pairs = (part.strip().partition("=") for part in parameters.split(";") if part.strip())
    merged = {name: value for name, _, value in pairs if name != "stereo"}
    merged.update(OPUS_PARAMETERS)
    return ";".join(f"{name}={value}" if value else name for name, value in merged.items())
