"""The rules a participant must keep towards the focus, as the fact sheet has them (1.5, 1.7, 1.8). Pure.

Functions give sentences about what was broken; `ConferenceSources` refuses, as the focus does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

from tests.jitsi import stanzas
from tests.jitsi.jingle import JVB, AudioOffer, Source, Transport, read_transport
from tests.jitsi.stanzas import child, children, element, split_tag

MAX_SSRCS_PER_USER = 20

NICK = re.compile(r"[0-9a-f]{8}")
REQUIRED_FEATURES = frozenset({
    stanzas.DISCO_INFO, stanzas.JINGLE, stanzas.RTP, stanzas.RTP_AUDIO, stanzas.ICE_UDP, stanzas.DTLS,
    stanzas.DTLS_SCTP, "urn:ietf:rfc:5761", "urn:ietf:rfc:5888", "http://jitsi.org/source-name",
})  # fmt: skip
JSON_SOURCES = "http://jitsi.org/json-encoded-sources"
FORBIDDEN_FEATURES = frozenset({
    "urn:xmpp:jingle:apps:rtp:video", "urn:ietf:rfc:4588", "http://jitsi.org/tcc", "http://jitsi.org/remb",
    "http://jitsi.org/opus-red", "http://jitsi.org/ssrc-rewriting-1", "http://jitsi.org/rtp-mid-demux",
    "http://jitsi.org/receive-multiple-video-streams", "http://jitsi.org/visitors-1",
    "http://jitsi.org/protocol/audio-translation", "https://jitsi.org/meet/e2ee",
})  # fmt: skip
"""What an audio bot must not advertise: it could not do it."""


class SourceRefused(Exception):
    """The focus answers `bad-request`, with these words."""


class ConferenceSources:
    """Everybody's sources in one conference, and what may be added to them."""

    def __init__(self) -> None:
        self._by_ssrc: dict[int, Source] = {}

    def all(self) -> list[Source]:
        """What is signalled now."""
        return list(self._by_ssrc.values())

    def of(self, owner: str) -> list[Source]:
        """One participant's."""
        return [source for source in self._by_ssrc.values() if source.owner == owner]

    def add(self, owner: str, sources: list[Source]) -> None:
        """All or none of them; raises `SourceRefused`."""
        added: dict[int, Source] = {}
        for source in sources:
            self._check(owner, source, added)
            added[source.ssrc] = source
        if len(self.of(owner)) + len(added) > MAX_SSRCS_PER_USER:
            raise SourceRefused(f"expected at most {MAX_SSRCS_PER_USER} SSRCs of {owner}")
        self._by_ssrc |= added

    def add_own(self, source: Source) -> None:
        """The bridge's."""
        self._by_ssrc[source.ssrc] = source

    def remove(self, owner: str, sources: list[Source]) -> None:
        """All or none of them; raises `SourceRefused`."""
        for source in sources:
            known = self._by_ssrc.get(source.ssrc)
            if known is None or known.owner != owner:
                raise SourceRefused(f"{owner} has no SSRC {source.ssrc} to remove")
        for source in sources:
            del self._by_ssrc[source.ssrc]

    def remove_owner(self, owner: str) -> None:
        """Somebody left."""
        for source in self.of(owner):
            del self._by_ssrc[source.ssrc]

    def _check(self, owner: str, source: Source, added: dict[int, Source]) -> None:
        known = self._by_ssrc | added
        if not 1 <= source.ssrc <= 0xFFFF_FFFF:
            raise SourceRefused(f"expected an SSRC from 1 to 2^32-1, got {source.ssrc}")
        if source.owner != owner:
            raise SourceRefused(f"{owner} signalled a source of {source.owner}")
        if source.ssrc in known:
            raise SourceRefused(f"SSRC {source.ssrc} is in use by {known[source.ssrc].owner}")
        if len(source.msid.split(" ")) != 2:
            raise SourceRefused(f"expected an msid 'stream track' of SSRC {source.ssrc}, got {source.msid!r}")
        for other in known.values():
            if other.msid == source.msid:
                raise SourceRefused(f"msid {source.msid!r} of SSRC {source.ssrc} is one of {other.owner}")


def check_source_names(owner: str, sources: list[Source], announced: Iterable[str]) -> Iterator[str]:
    """The bridge demands names, other clients believe what dots in them mean, SourceInfo must list them."""
    for source in sources:
        if not re.fullmatch(rf"{re.escape(owner)}-a\d+", source.name):
            yield f"source {source.ssrc} is named {source.name!r}, expected {owner}-a<number>"
        elif source.name not in announced:
            yield f"source {source.name} is signalled but not in SourceInfo"
    if len({source.name for source in sources}) < len(sources):
        yield "two sources have one name"


def check_accept(accept: ET.Element, jid: str, offer: AudioOffer, *, data: bool) -> Iterator[str]:
    """A session-accept against what was offered.

    Args:
        accept: the `<jingle>`.
        jid: full JID of who sent it.
        offer: what it answers.
        data: whether a data content was offered.
    """
    if accept.get("responder") != jid:
        yield f"responder is {accept.get('responder')!r}, expected {jid}"
    contents = {content.get("name", ""): content for content in children(accept, "content", stanzas.JINGLE)}
    expected = {"audio", "data"} if data else {"audio"}
    if set(contents) != expected:
        yield f"accepted contents {sorted(contents)}, offered {sorted(expected)}"
    for content in contents.values():
        if content.get("creator") != "initiator":
            yield f"content {content.get('name')} has creator {content.get('creator')!r}, expected 'initiator'"
    if (audio := contents.get("audio")) is not None:
        yield from _check_description(child(audio, "description", stanzas.RTP), offer)
        yield from _check_transport(child(audio, "transport", stanzas.ICE_UDP))


def _check_description(description: ET.Element | None, offer: AudioOffer) -> Iterator[str]:
    if description is None or description.get("media") != "audio":
        yield "the audio content has no audio description"
        return
    accepted = {
        int(one.get("id", -1)): (one.get("name") or "").lower()
        for one in children(description, "payload-type", stanzas.RTP)
    }
    if accepted.get(offer.opus) != "opus":
        yield f"did not accept opus under its number {offer.opus}: {accepted}"
    if not accepted.items() <= {offer.opus: "opus", offer.telephone_event: "telephone-event"}.items():
        yield f"accepted payload types that were not offered: {accepted}"
    extensions = {
        int(one.get("id", -1)): one.get("uri", "")
        for one in children(description, "rtp-hdrext", stanzas.RTP_HEADER_EXTENSIONS)
    }
    if not extensions.items() <= offer.extensions().items():
        yield f"accepted header extensions that were not offered: {extensions}"
    if extensions.get(offer.audio_level_id) != stanzas.AUDIO_LEVEL:
        yield "did not accept the audio level extension"


def _check_transport(node: ET.Element | None) -> Iterator[str]:
    if node is None:
        yield "the audio content has no transport"
        return
    try:
        transport: Transport = read_transport(node)
    except ValueError as error:
        yield f"transport: {error}"
        return
    if transport.setup != "active":
        yield f"DTLS setup is {transport.setup!r}, expected 'active'"
    if transport.hash.lower() != "sha-256":
        yield f"fingerprint by {transport.hash!r}, expected sha-256"
    if not transport.candidates:
        yield "no candidates in the session-accept"
    if not transport.rtcp_mux:
        yield "no rtcp-mux in the transport"


def check_features(features: frozenset[str]) -> Iterator[str]:
    """What an audio bot says it can do."""
    for feature in sorted(REQUIRED_FEATURES - features):
        yield f"does not advertise {feature}"
    for feature in sorted(FORBIDDEN_FEATURES & features):
        yield f"advertises {feature}, which it cannot do"


def features_of(query: ET.Element) -> frozenset[str]:
    """Features in a disco#info reply."""
    return frozenset(one.get("var", "") for one in children(query, "feature", stanzas.DISCO_INFO))


def check_caps(presence: ET.Element, query: ET.Element, asked_node: str | None) -> Iterator[str]:
    """XEP-0115: what presence says about what the reply says."""
    caps = child(presence, "c", stanzas.CAPS)
    if caps is None:
        yield "presence has no entity capabilities"
        return
    if caps.get("hash") != "sha-1" or not caps.get("node"):
        yield f"capabilities have hash {caps.get('hash')!r} and node {caps.get('node')!r}"
    if caps.get("ver") != verification(query):
        yield f"capabilities say ver {caps.get('ver')!r}, the reply makes {verification(query)!r}"
    if query.get("node") != asked_node:
        yield f"disco reply has node {query.get('node')!r}, asked was {asked_node!r}"


def verification(query: ET.Element) -> str:
    """The `ver` of a disco#info reply (XEP-0115 section 5.1)."""
    identities = sorted(
        "/".join((
            one.get("category", ""), one.get("type", ""),
            one.get("{http://www.w3.org/XML/1998/namespace}lang", ""), one.get("name", ""),
        ))
        for one in children(query, "identity", stanzas.DISCO_INFO)
    )  # fmt: skip
    parts = [*identities, *sorted(features_of(query)), *_forms(query)]
    return base64.b64encode(hashlib.sha1("".join(f"{part}<" for part in parts).encode()).digest()).decode()


def _forms(query: ET.Element) -> Iterator[str]:
    forms: list[tuple[str, list[str]]] = []
    for form in children(query, "x", stanzas.DATA_FORM):
        fields = {
            field.get("var", ""): sorted(
                value.text or "" for value in children(field, "value", stanzas.DATA_FORM)
            )
            for field in children(form, "field", stanzas.DATA_FORM)
        }
        kind = "".join(fields.pop("FORM_TYPE", []))
        forms.append((kind, [part for var in sorted(fields) for part in (var, *fields[var])]))
    for kind, rest in sorted(forms):
        yield from (kind, *rest)


def source_info(presence: ET.Element) -> dict[str, bool]:
    """Source name -> whether muted, as presence says; raises ValueError."""
    node = child(presence, "SourceInfo", stanzas.CLIENT)
    if node is None:
        return {}
    info = json.loads(node.text or "")
    if not isinstance(info, dict):
        raise ValueError(f"expected an object in SourceInfo, got {node.text!r}")
    return {name: bool(one.get("muted")) for name, one in info.items()}


def check_presence(presence: ET.Element, nick: str) -> Iterator[str]:
    """An occupant's own presence in the room."""
    if not NICK.fullmatch(nick):
        yield f"nick {nick!r} is not eight hexadecimal digits"
    name = child(presence, "nick", stanzas.NICK)
    if name is None or not (name.text or "").strip():
        yield "presence has no display name"
    node = child(presence, "SourceInfo", stanzas.CLIENT)
    try:
        info = source_info(presence)
    except (ValueError, AttributeError):
        yield f"SourceInfo is {node.text!r}" if node is not None else "no SourceInfo"
        return
    for source, muted in json.loads(node.text or "{}").items() if node is not None else ():
        if not isinstance(muted.get("muted"), bool):
            yield f"SourceInfo of {source} does not say whether it is muted"
    for source in info:
        if not source.startswith(f"{nick}-") or "." in source:
            yield f"SourceInfo names {source!r}, which is not a source of {nick}"
    for part in presence:
        namespace, local = split_tag(part.tag)
        if namespace != stanzas.CLIENT and local in ("SourceInfo", "stats-id", "audiomuted"):
            yield f"<{local}> is in namespace {namespace}"


def check_conference_request(conference: ET.Element, muc_domain: str, token: str | None) -> Iterator[str]:
    """The IQ that asks the focus into a room."""
    room = conference.get("room", "")
    if not room.endswith(f"@{muc_domain}") or "/" in room or room != room.lower():
        yield f"conference request for room {room!r}"
    if not conference.get("machine-uid"):
        yield "conference request without a machine-uid"
    if (conference.get("token") or "") != (token or ""):
        yield "conference request with another token than the URL has"
    for one in children(conference, "property", stanzas.FOCUS):
        if one.get("name") == "visitors-version":
            yield "conference request says visitors-version: it would become a visitor"


def bridge_source(ssrc: int) -> Source:
    """The bridge's own feedback source, as the focus signals it."""
    return Source(owner=JVB, ssrc=ssrc, name=f"{JVB}-a0", msid="mixedmslabel mixedlabelaudio0")


def unknown_session() -> ET.Element:
    """The Jingle condition that goes with `item-not-found`."""
    return element("unknown-session", stanzas.JINGLE_ERRORS)
