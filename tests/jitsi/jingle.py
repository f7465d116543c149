"""Jingle as the focus writes it and reads it: transports, sources in both forms, offers."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiortc

from tests.jitsi import stanzas
from tests.jitsi.stanzas import child, children, element

JVB = "jvb"
"""Owner of the bridge's own SSRC."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One audio source."""

    owner: str
    """Endpoint id, which is the nick."""

    ssrc: int
    name: str
    msid: str
    """`stream track`."""


@dataclass(frozen=True, kw_only=True)
class Transport:
    """One side's ICE, DTLS and where to find the bridge channel."""

    ufrag: str
    pwd: str
    hash: str
    fingerprint: str
    setup: str
    candidates: tuple[aiortc.RTCIceCandidate, ...]
    channel_urls: tuple[str, ...] = ()
    rtcp_mux: bool = True


def write_transport(transport: Transport, *, sctp: bool = False) -> ET.Element:
    """`<transport>`; with `sctpmap` in the data content."""
    return element(
        "transport", stanzas.ICE_UDP,
        *(_write_candidate(number, one) for number, one in enumerate(transport.candidates)),
        element("fingerprint", stanzas.DTLS, transport.fingerprint, hash=transport.hash, setup=transport.setup),
        element("rtcp-mux", stanzas.ICE_UDP) if transport.rtcp_mux else None,
        *(element("web-socket", stanzas.COLIBRI, url=url) for url in transport.channel_urls),
        element("sctpmap", stanzas.DTLS_SCTP, number=5000, protocol="webrtc-datachannel", streams=1024)
        if sctp else None,
        ufrag=transport.ufrag, pwd=transport.pwd,
    )  # fmt: skip


def _write_candidate(number: int, one: aiortc.RTCIceCandidate) -> ET.Element:
    return element(
        "candidate", stanzas.ICE_UDP,
        component=one.component, foundation=one.foundation, generation=0, id=f"candidate{number}", ip=one.ip,
        network=0, port=one.port, priority=one.priority, protocol=one.protocol, type=one.type,
        rel_addr=one.relatedAddress, rel_port=one.relatedPort, tcptype=one.tcpType,
    )  # fmt: skip


def read_transport(node: ET.Element) -> Transport:
    """What `<transport>` says; raises ValueError where it lacks something."""
    fingerprint = child(node, "fingerprint", stanzas.DTLS)
    ufrag, pwd = node.get("ufrag"), node.get("pwd")
    if fingerprint is None or not ufrag or not pwd:
        raise ValueError("expected ufrag, pwd and a fingerprint in the transport")
    return Transport(
        ufrag=ufrag,
        pwd=pwd,
        hash=fingerprint.get("hash", ""),
        fingerprint=(fingerprint.text or "").strip(),
        setup=fingerprint.get("setup", ""),
        candidates=tuple(_read_candidate(one) for one in children(node, "candidate", stanzas.ICE_UDP)),
        channel_urls=tuple(one.get("url", "") for one in children(node, "web-socket", stanzas.COLIBRI)),
        rtcp_mux=child(node, "rtcp-mux", stanzas.ICE_UDP) is not None,
    )


def _read_candidate(node: ET.Element) -> aiortc.RTCIceCandidate:
    wanted = ("component", "foundation", "ip", "port", "priority", "protocol", "type")
    missing = [name for name in wanted if not node.get(name)]
    if missing:
        raise ValueError(f"expected {', '.join(missing)} in a candidate")
    port = node.get("rel-port")
    return aiortc.RTCIceCandidate(
        component=int(node.attrib["component"]), foundation=node.attrib["foundation"], ip=node.attrib["ip"],
        port=int(node.attrib["port"]), priority=int(node.attrib["priority"]),
        protocol=node.attrib["protocol"].lower(), type=node.attrib["type"],
        relatedAddress=node.get("rel-addr"), relatedPort=None if port is None else int(port),
        tcpType=node.get("tcptype"),
    )  # fmt: skip


def write_sources(sources: Iterable[Source]) -> list[ET.Element]:
    """`<source>` elements of one description."""
    return [
        element(
            "source", stanzas.SOURCES,
            element("parameter", stanzas.SOURCES, name="msid", value=one.msid),
            element("ssrc-info", stanzas.JITMEET, owner=one.owner),
            ssrc=one.ssrc, name=one.name,
        )
        for one in sources
    ]  # fmt: skip


def write_compact_sources(sources: Iterable[Source]) -> ET.Element:
    """The `json-message` that says the same: per owner video sources, video groups, audio sources."""
    owners: dict[str, list[Any]] = {}
    for one in sources:
        audio = owners.setdefault(one.owner, [[], [], []])[2]
        audio.append({"s": one.ssrc, "n": one.name, "m": one.msid})
    text = json.dumps({"sources": owners}, separators=(",", ":"))
    return element("json-message", stanzas.JITMEET, text)


def sources_jingle(action: str, sid: str, sources: Iterable[Source], *, compact: bool) -> ET.Element:
    """`<jingle>` of a source-add or source-remove."""
    if compact:
        return element("jingle", stanzas.JINGLE, write_compact_sources(sources), action=action, sid=sid)
    description = element("description", stanzas.RTP, *write_sources(sources), media="audio")
    content = element(
        "content", stanzas.JINGLE, description, creator="initiator", name="audio", senders="both"
    )
    return element("jingle", stanzas.JINGLE, content, action=action, sid=sid)


def read_sources(jingle: ET.Element, owner: str | None) -> list[Source]:
    """All audio sources in a `<jingle>`, in whichever form; raises ValueError.

    Args:
        jingle: any action that carries sources.
        owner: of sources that name none, which are the sender's own.
    """
    found: list[Source] = []
    for node in jingle.iter(f"{{{stanzas.SOURCES}}}source"):
        if not (node.get("name") or "").rpartition("-")[2].startswith("v"):
            found.append(_read_source(node, owner))
    for message in children(jingle, "json-message", stanzas.JITMEET):
        found += _read_compact(json.loads(message.text or "{}"))
    return found


def _read_source(node: ET.Element, owner: str | None) -> Source:
    info = child(node, "ssrc-info", stanzas.JITMEET)
    parameters = {
        one.get("name", ""): one.get("value", "") for one in children(node, "parameter", stanzas.SOURCES)
    }
    return Source(
        owner=(info.get("owner") if info is not None else None) or owner or "",
        ssrc=int(node.get("ssrc") or 0),
        name=node.get("name") or "",
        msid=parameters.get("msid", ""),
    )


def _read_compact(message: Mapping[str, Any]) -> list[Source]:
    return [
        Source(owner=owner, ssrc=one["s"], name=one.get("n", ""), msid=one.get("m", ""))
        for owner, parts in message.get("sources", {}).items()
        for one in (parts[2] if len(parts) > 2 else ())
    ]


@dataclass(frozen=True, kw_only=True)
class AudioOffer:
    """What the focus offers for audio; every number is the operator's to choose."""

    opus: int = 111
    telephone_event: int = 126
    audio_level_id: int = 1
    mid_id: int | None = 10

    def extensions(self) -> dict[int, str]:
        """Header extensions by id."""
        return {self.audio_level_id: stanzas.AUDIO_LEVEL} | (
            {self.mid_id: stanzas.MID} if self.mid_id else {}
        )


def write_description(offer: AudioOffer, sources: Iterable[Source]) -> ET.Element:
    """The audio `<description>` of an offer."""
    return element(
        "description", stanzas.RTP,
        element(
            "payload-type", stanzas.RTP,
            element("parameter", stanzas.RTP, name="minptime", value=10),
            element("parameter", stanzas.RTP, name="useinbandfec", value=1),
            id=offer.opus, name="opus", clockrate=48000, channels=2,
        ),
        element("payload-type", stanzas.RTP, id=offer.telephone_event, name="telephone-event", clockrate=8000),
        *(
            element("rtp-hdrext", stanzas.RTP_HEADER_EXTENSIONS, id=number, uri=uri)
            for number, uri in offer.extensions().items()
        ),
        element("extmap-allow-mixed", stanzas.RTP_HEADER_EXTENSIONS),
        element("rtcp-mux", stanzas.RTP),
        *write_sources(sources),
        media="audio", maxptime=60,
    )  # fmt: skip


def terminate(sid: str, reason: str, text: str = "", *extra: ET.Element) -> ET.Element:
    """`<jingle action="session-terminate">`."""
    return element(
        "jingle", stanzas.JINGLE,
        element(
            "reason", stanzas.JINGLE,
            element(reason, stanzas.JINGLE),
            element("text", stanzas.JINGLE, text) if text else None,
        ),
        *extra,
        action="session-terminate", sid=sid,
    )  # fmt: skip


def reason_of(jingle: ET.Element) -> tuple[str, str]:
    """Reason and text of a session-terminate."""
    name = text = ""
    for part in child(jingle, "reason", stanzas.JINGLE) or ():
        _, local = stanzas.split_tag(part.tag)
        if local == "text":
            text = part.text or ""
        else:
            name = local
    return name, text
