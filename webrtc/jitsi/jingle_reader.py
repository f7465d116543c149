"""Reads what the focus says in Jingle: elements -> data. Pure.

What a session cannot do without must be right, or the whole message is refused, in words that quote nothing of it.
In lists, of sources and candidates, what cannot be used is left out: one odd source must not silence everybody.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from webrtc.errors import SignallingError
from webrtc.jitsi.jingle import (
    AUDIO_LEVEL,
    COLIBRI,
    DTLS,
    FINGERPRINTS,
    HEADER_EXTENSIONS,
    ICE,
    MAX_CANDIDATES,
    MAX_WEB_SOCKETS,
    OPUS_CLOCK_HZ,
    RTP,
    SCTP,
    SETUPS,
    SOURCES,
    START_MUTED,
    Candidate,
    Fingerprint,
    Message,
    Offer,
    OtherAction,
    SessionInitiate,
    SessionTerminate,
    SourceAdd,
    SourceRemove,
    Transport,
    TransportInfo,
)
from webrtc.jitsi.namespaces import FOCUS, JINGLE, JITMEET, local_name, qualified
from webrtc.jitsi.sources import MAX_SOURCES, RemoteSource

_MAX_NAME = 200
_MAX_SSRC = 2**32 - 1
_DYNAMIC_PAYLOAD_TYPES = range(96, 128)  # RFC 3551; aiortc takes an offer's number for these alone
_CANDIDATE_TYPES = ("host", "srflx", "relay")  # a peer-reflexive one is found, never told
_TOKEN = re.compile(r"[!-~]{1,256}")  # one word on a line of SDP
_URL = re.compile(r"[!-~]{1,2000}")
_ICE_WORD = re.compile(r"[A-Za-z0-9+/]{1,256}")  # RFC 8839 section 5.4, whose lower limits nobody checks
_HASH = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){15,63}")
_SSRC_DIGITS = 10


def head(jingle: Element) -> tuple[str, str]:
    """The action and the session of a `<jingle/>`, before anything else of it is looked at.

    Raises:
        SignallingError: it is none.
    """
    if jingle.tag != qualified(JINGLE, "jingle"):
        raise SignallingError("expected a <jingle/>, got another element")
    return _name(jingle.get("action"), "action"), _name(jingle.get("sid"), "sid")


def read(jingle: Element) -> Message:
    """What a `<jingle/>` says.

    Raises:
        SignallingError: it cannot be used; says what was expected.
    """
    action, sid = head(jingle)
    match action:
        case "session-initiate":
            muted = jingle.find(qualified(START_MUTED, "startmuted"))
            return SessionInitiate(
                sid=sid,
                offer=_offer(jingle),
                sources=_sources(jingle),
                muted=muted is not None and muted.get("audio") == "true",
            )
        case "source-add":
            return SourceAdd(sid=sid, sources=_sources(jingle))
        case "source-remove":
            return SourceRemove(sid=sid, sources=_sources(jingle))
        case "transport-info":
            return TransportInfo(sid=sid, candidates=_candidates(_transports(_contents(jingle))))
        case "session-terminate":
            return _terminate(jingle, sid)
        case _:
            return OtherAction(sid=sid, action=action)


def _offer(jingle: Element) -> Offer:
    contents = list(_contents(jingle))
    audio = next((content for content in contents if _kind(content) == "audio"), None)
    if audio is None:
        raise SignallingError("expected an audio content in the session-initiate, got none")
    description = audio.find(qualified(RTP, "description"))
    if description is None:
        raise SignallingError("expected a description of the audio, got none")
    data = next((content for content in contents if _sctp_port(content)), None)
    bridge_session = jingle.find(qualified(FOCUS, "bridge-session"))
    return Offer(
        initiator=_printable(jingle.get("initiator")),
        bridge_session="" if bridge_session is None else _printable(bridge_session.get("id")),
        audio_content=_name(audio.get("name"), "content name"),
        opus_type=_opus_type(description),
        level_id=_level_id(description),
        transport=_transport([audio, *(content for content in contents if content is not audio)]),
        data_content="" if data is None else _name(data.get("name"), "content name"),
        sctp_port=0 if data is None else _sctp_port(data),
    )


def _contents(jingle: Element) -> Iterator[Element]:
    return jingle.iterfind(qualified(JINGLE, "content"))


def _kind(content: Element) -> str:
    description = content.find(qualified(RTP, "description"))
    media = None if description is None else description.get("media")
    return media or content.get("name") or ""


def _opus_type(description: Element) -> int:
    for payload_type in description.iterfind(qualified(RTP, "payload-type")):
        number = _number(payload_type.get("id"), 127) or 0
        if (
            number in _DYNAMIC_PAYLOAD_TYPES
            and (payload_type.get("name") or "").lower() == "opus"
            and payload_type.get("clockrate") == str(OPUS_CLOCK_HZ)
            and payload_type.get("channels") == "2"
        ):
            return number
    raise SignallingError("expected the codec opus/48000/2 with a number from 96 to 127, got none")


def _level_id(description: Element) -> int:
    for extension in description.iterfind(qualified(HEADER_EXTENSIONS, "rtp-hdrext")):
        if extension.get("uri") == AUDIO_LEVEL:
            return _number(extension.get("id"), 255) or 0
    return 0


def _transports(contents: Iterable[Element]) -> list[Element]:
    return [transport for content in contents for transport in content.iterfind(qualified(ICE, "transport"))]


def _transport(contents: list[Element]) -> Transport:
    """The transport that all contents share, told in each: the first one that is whole, with everybody's addresses."""
    transports = _transports(contents)
    sockets = [
        url
        for transport in transports
        for socket in transport.iterfind(qualified(COLIBRI, "web-socket"))
        if _URL.fullmatch(url := socket.get("url") or "")
    ]
    for transport in transports:
        ufrag, password = transport.get("ufrag") or "", transport.get("pwd") or ""
        fingerprints = _fingerprints(transport)
        if _ICE_WORD.fullmatch(ufrag) and _ICE_WORD.fullmatch(password) and fingerprints:
            return Transport(
                ufrag=ufrag,
                password=password,
                fingerprints=fingerprints,
                candidates=_candidates(transports),
                web_sockets=tuple(dict.fromkeys(sockets))[:MAX_WEB_SOCKETS],
            )
    raise SignallingError(
        f"expected a transport with ufrag, pwd and a fingerprint in {', '.join(FINGERPRINTS)}, got none"
    )


def _fingerprints(transport: Element) -> tuple[Fingerprint, ...]:
    told = []
    for element in transport.iterfind(qualified(DTLS, "fingerprint")):
        kind, value = (element.get("hash") or "").lower(), (element.text or "").strip()
        setup = element.get("setup") or "actpass"
        if kind in FINGERPRINTS and _HASH.fullmatch(value) and setup in SETUPS:
            told.append(Fingerprint(hash=kind, value=value.upper(), setup=setup))
    return tuple(told)


def _candidates(transports: Iterable[Element]) -> tuple[Candidate, ...]:
    read = (
        _candidate(element)
        for transport in transports
        for element in transport.iterfind(qualified(ICE, "candidate"))
    )
    return tuple(dict.fromkeys(one for one in read if one is not None))[:MAX_CANDIDATES]


def _candidate(element: Element) -> Candidate | None:
    """None for what we cannot use: TCP, a second component, a name instead of an address, or nonsense."""
    foundation, kind = element.get("foundation") or "", element.get("type") or ""
    port, priority = _number(element.get("port"), 65_535), _number(element.get("priority"), 2**32 - 1)
    ip, related_ip = _address(element.get("ip")), _address(element.get("rel-addr"))
    if (
        not port
        or priority is None
        or not ip
        or kind not in _CANDIDATE_TYPES
        or (element.get("protocol") or "").lower() != "udp"
        or element.get("component") != "1"
        or not _TOKEN.fullmatch(foundation)
    ):
        return None
    related_port = _number(element.get("rel-port"), 65_535) or 0
    return Candidate(
        foundation=foundation,
        priority=priority,
        ip=ip,
        port=port,
        type=kind,
        related_ip=related_ip,
        related_port=related_port if related_ip else 0,
    )


def _address(text: str | None) -> str:
    """An IP address as written, without a scope; empty for anything else."""
    try:
        return str(ipaddress.ip_address((text or "").partition("%")[0]))
    except ValueError:
        return ""


def _sctp_port(content: Element) -> int:
    """The port of a content that carries data channels; 0 for any other."""
    for transport in _transports([content]):
        for sctpmap in transport.iterfind(qualified(SCTP, "sctpmap")):
            return _number(sctpmap.get("number"), 65_535) or 0
    return 0


def _terminate(jingle: Element, sid: str) -> SessionTerminate:
    told = jingle.find(qualified(JINGLE, "reason"))
    reason = text = ""
    for child in () if told is None else told:
        if child.tag == qualified(JINGLE, "text"):
            text = _printable(child.text)
        elif not reason:
            reason = local_name(child.tag)[:_MAX_NAME]
    return SessionTerminate(sid=sid, reason=reason, text=text)


def _sources(jingle: Element) -> tuple[RemoteSource, ...]:
    """Audio sources in either form; a meeting's focus uses one of them."""
    told: list[RemoteSource] = []
    for content in _contents(jingle):
        if _kind(content) != "audio":
            continue
        for description in content.iterfind(qualified(RTP, "description")):
            for element in description.iterfind(qualified(SOURCES, "source")):
                if (source := _source(element)) is not None:
                    told.append(source)
    for message in jingle.iterfind(qualified(JITMEET, "json-message")):
        told += _compact_sources(message.text or "")
    return tuple(told[:MAX_SOURCES])


def _source(element: Element) -> RemoteSource | None:
    info = element.find(qualified(JITMEET, "ssrc-info"))
    parameters = element.iterfind(qualified(SOURCES, "parameter"))
    msid = next((one.get("value") for one in parameters if one.get("name") == "msid"), None)
    owner = "" if info is None else info.get("owner")
    return _checked_source(element.get("ssrc"), owner, element.get("name"), msid)


def _compact_sources(text: str) -> Iterator[RemoteSource]:
    """`{"sources": {owner: [video, video groups, audio, audio groups]}}`, where the end of each list may be missing."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SignallingError(f"expected sources in JSON, got a {type(error).__name__}") from None
    by_owner = message.get("sources") if isinstance(message, dict) else None
    if not isinstance(by_owner, dict):
        raise SignallingError("expected an object of sources by owner in JSON, got something else")
    for owner, lists in by_owner.items():
        audio = lists[2] if isinstance(lists, list) and len(lists) > 2 else None
        for source in audio if isinstance(audio, list) else ():
            if isinstance(source, dict):
                made = _checked_source(source.get("s"), owner, source.get("n"), source.get("m"))
                if made is not None:
                    yield made


def _checked_source(ssrc: object, owner: object, name: object, msid: object) -> RemoteSource | None:
    """None where it lacks what a source must have; a name that is missing is the one the bridge would give it."""
    number = _number(ssrc, _MAX_SSRC)
    owner = _printable(owner).rpartition("/")[2]  # older focuses tell the full JID
    name = _printable(name)
    if not owner:
        owner = name.partition("-")[0]
    if not number or not owner:
        return None
    return RemoteSource(ssrc=number, owner=owner, name=name or f"{owner}-a0", msid=_printable(msid))


def _number(value: object, maximum: int) -> int | None:
    """A whole number from 0 to `maximum`, or its digits as text."""
    if isinstance(value, str) and len(value) <= _SSRC_DIGITS and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
        return None
    return value


def _printable(value: object) -> str:
    """The text if it is a short and printable one, else nothing."""
    if not isinstance(value, str) or len(value) > _MAX_NAME or not value.isprintable():
        return ""
    return value


def _name(value: str | None, what: str) -> str:
    name = _printable(value)
    if not name:
        raise SignallingError(f"expected {what} of 1 to {_MAX_NAME} printable characters, got none")
    return name
