"""What we can do, and what others say they can: service discovery (XEP-0030) and its digest (XEP-0115).

The focus reads our features before it invites us, and offers what they say: a list without video makes an audio-only
session, one without `ssrc-rewriting` makes every source known by Jingle (facts of jicofo 7ebb13dc, August 2026).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from webrtc.jitsi import namespaces as ns
from webrtc.jitsi.namespaces import qualified
from webrtc.jitsi.xml import element

CLIENT_NODE = "urn:meeting-interpreter:client"
"""Names this software where a digest of features is given; only ever compared."""

NAME = "Interpreter"

FEATURES = (
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/disco#info",
    "http://jitsi.org/json-encoded-sources",
    "http://jitsi.org/protocol/audio-mute",
    "http://jitsi.org/source-name",
    "http://jitsi.org/start-muted-room-metadata",
    "urn:ietf:rfc:5761",  # RTP and RTCP on one port
    "urn:ietf:rfc:5888",  # bundles
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:dtls:0",
    "urn:xmpp:jingle:apps:rtp:1",
    "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:transports:dtls-sctp:1",
    "urn:xmpp:jingle:transports:ice-udp:1",
    "urn:xmpp:ping",
)

MAX_ENTRIES = 500
"""Features, identities or form fields that are read from one answer."""

_QUERY = qualified(ns.DISCO_INFO, "query")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What something is."""

    category: str
    type: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class DiscoInfo:
    """What something says of itself."""

    identities: tuple[Identity, ...] = ()
    features: frozenset[str] = frozenset()
    fields: Mapping[str, str] = field(default_factory=dict)
    """First values of its forms' fields."""

    def component(self, kind: str) -> str:
        """Address of the component for `kind`, as Jitsi's servers list them: as the name of an identity; or empty."""
        found = (each.name for each in self.identities if each.category == "component" and each.type == kind)
        return next(found, "")


IDENTITIES = (Identity(category="client", type="bot", name=NAME),)


def verification(identities: Iterable[Identity], features: Iterable[str]) -> str:
    """The digest of what something can do (XEP-0115 section 5.1, without forms and languages)."""
    said = sorted(f"{each.category}/{each.type}//{each.name}" for each in identities) + sorted(features)
    text = "".join(f"{part}<" for part in said)
    # SHA-1 is what XEP-0115 and the focus ask for; it is a key of a cache here, not a proof.
    return base64.b64encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode("ascii")


def caps() -> Element:
    """The digest of what we can do, for our presence."""
    attributes = {"hash": "sha-1", "node": CLIENT_NODE, "ver": verification(IDENTITIES, FEATURES)}
    return element(qualified(ns.CAPS, "c"), attributes)


def query(node: str = "") -> Element:
    """The question."""
    return element(_QUERY, {"node": node} if node else None)


def reply(asked: Element) -> Element | None:
    """Our answer to somebody's question; None where they ask for something of ours that does not exist."""
    node = asked.get("node")
    if node not in (None, "", CLIENT_NODE, f"{CLIENT_NODE}#{verification(IDENTITIES, FEATURES)}"):
        return None
    answer = element(_QUERY, {"node": node} if node else None)
    for identity in IDENTITIES:
        attributes = {"category": identity.category, "type": identity.type, "name": identity.name}
        answer.append(element(qualified(ns.DISCO_INFO, "identity"), attributes))
    for feature in FEATURES:
        answer.append(element(qualified(ns.DISCO_INFO, "feature"), {"var": feature}))
    return answer


def asked(stanza: Element) -> Element | None:
    """The question in an IQ; None where it asks something else."""
    return stanza.find(_QUERY)


def read(stanza: Element) -> DiscoInfo:
    """What the answer to our question says; what cannot be read in it is left out."""
    found = stanza.find(_QUERY)
    if found is None:
        return DiscoInfo()
    identities = found.findall(qualified(ns.DISCO_INFO, "identity"))[:MAX_ENTRIES]
    features = found.findall(qualified(ns.DISCO_INFO, "feature"))[:MAX_ENTRIES]
    form = f"{qualified(ns.DATA_FORMS, 'x')}/{qualified(ns.DATA_FORMS, 'field')}"
    fields = {
        each.get("var", ""): (each.findtext(qualified(ns.DATA_FORMS, "value")) or "").strip()
        for each in found.findall(form)[:MAX_ENTRIES]
    }
    return DiscoInfo(
        identities=tuple(
            Identity(category=each.get("category", ""), type=each.get("type", ""), name=each.get("name", ""))
            for each in identities
        ),
        features=frozenset(each.get("var", "") for each in features),
        fields=fields,
    )
