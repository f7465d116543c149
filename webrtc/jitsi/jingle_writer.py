"""Writes what we say to the focus in Jingle: data -> elements. Pure."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from webrtc.jitsi.jingle import (
    AUDIO_LEVEL,
    DTLS,
    GROUPING,
    HEADER_EXTENSIONS,
    ICE,
    OPUS_CLOCK_HZ,
    OPUS_PARAMETERS,
    RTP,
    SCTP,
    SOURCES,
    Candidate,
    LocalMedia,
    LocalSource,
    Offer,
)
from webrtc.jitsi.namespaces import FOCUS, JINGLE, qualified


def session_accept(sid: str, *, responder: str, offer: Offer, local: LocalMedia) -> Element:
    """The answer to a session-initiate: Opus alone, and a source only for what is really sent."""
    jingle = _jingle("session-accept", sid)
    jingle.set("initiator", offer.initiator)
    jingle.set("responder", responder)
    audio = _content(jingle, offer.audio_content)
    description = SubElement(audio, qualified(RTP, "description"), media="audio")
    opus = SubElement(
        description,
        qualified(RTP, "payload-type"),
        id=str(offer.opus_type),
        name="opus",
        clockrate=str(OPUS_CLOCK_HZ),
        channels="2",
    )
    for name, value in OPUS_PARAMETERS.items():
        SubElement(opus, qualified(RTP, "parameter"), name=name, value=value)
    if offer.level_id:
        SubElement(
            description, qualified(HEADER_EXTENSIONS, "rtp-hdrext"), id=str(offer.level_id), uri=AUDIO_LEVEL
        )
    SubElement(description, qualified(RTP, "rtcp-mux"))
    if local.source is not None:
        _write_source(description, local.source)
    _write_transport(audio, local)
    names = [offer.audio_content]
    if offer.data_content:
        names.append(offer.data_content)
        data = _content(jingle, offer.data_content)
        SubElement(data, qualified(RTP, "description"), media="application")
        transport = _write_transport(data, local)
        SubElement(
            transport,
            qualified(SCTP, "sctpmap"),
            number=str(offer.sctp_port),
            protocol="webrtc-datachannel",
            streams="1024",
        )
    group = SubElement(jingle, qualified(GROUPING, "group"), semantics="BUNDLE")
    for name in names:
        SubElement(group, qualified(GROUPING, "content"), name=name)
    return jingle


def session_terminate(sid: str, *, reason: str, text: str, restart: str = "") -> Element:
    """The end of a session.

    Args:
        sid: of the session.
        reason: one of XEP-0166 section 7.4.
        text: for logs at the other side.
        restart: the bridge's name for the session, where the focus shall offer another at once.
    """
    jingle = _jingle("session-terminate", sid)
    why = SubElement(jingle, qualified(JINGLE, "reason"))
    SubElement(why, qualified(JINGLE, reason))
    SubElement(why, qualified(JINGLE, "text")).text = text
    if restart:
        SubElement(jingle, qualified(FOCUS, "bridge-session"), id=restart, restart="true")
    return jingle


def _jingle(action: str, sid: str) -> Element:
    return Element(qualified(JINGLE, "jingle"), action=action, sid=sid)


def _content(jingle: Element, name: str) -> Element:
    return SubElement(jingle, qualified(JINGLE, "content"), creator="initiator", name=name, senders="both")


def _write_source(description: Element, source: LocalSource) -> None:
    element = SubElement(description, qualified(SOURCES, "source"), ssrc=str(source.ssrc), name=source.name)
    SubElement(element, qualified(SOURCES, "parameter"), name="msid", value=source.msid)


def _write_transport(content: Element, local: LocalMedia) -> Element:
    transport = SubElement(content, qualified(ICE, "transport"), ufrag=local.ufrag, pwd=local.password)
    SubElement(transport, qualified(ICE, "rtcp-mux"))
    fingerprint = SubElement(
        transport,
        qualified(DTLS, "fingerprint"),
        hash=local.fingerprint.hash,
        setup=local.fingerprint.setup,
    )
    fingerprint.text = local.fingerprint.value
    for number, candidate in enumerate(local.candidates):
        _write_candidate(transport, number, candidate)
    return transport


def _write_candidate(transport: Element, number: int, candidate: Candidate) -> None:
    element = SubElement(
        transport,
        qualified(ICE, "candidate"),
        component="1",
        foundation=candidate.foundation,
        generation="0",
        id=str(number),
        ip=candidate.ip,
        network="0",
        port=str(candidate.port),
        priority=str(candidate.priority),
        protocol="udp",
        type=candidate.type,
    )
    if candidate.related_ip:
        element.set("rel-addr", candidate.related_ip)
        element.set("rel-port", str(candidate.related_port))
