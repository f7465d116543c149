"""XML of the test side: namespaces, a short way to write elements, and to read and print them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

CLIENT = "jabber:client"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
STREAMS = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SM = "urn:xmpp:sm:3"
PING = "urn:xmpp:ping"
CAPS = "http://jabber.org/protocol/caps"
DISCO_INFO = "http://jabber.org/protocol/disco#info"
DATA_FORM = "jabber:x:data"
NICK = "http://jabber.org/protocol/nick"
MUC = "http://jabber.org/protocol/muc"
MUC_USER = f"{MUC}#user"
MUC_ADMIN = f"{MUC}#admin"
MUC_OWNER = f"{MUC}#owner"
ROOM_CONFIG = f"{MUC}#roomconfig"
ROOM_INFO = f"{MUC}#roominfo"
FOCUS = "http://jitsi.org/protocol/focus"
JITMEET = "http://jitsi.org/jitmeet"
START_MUTED = "http://jitsi.org/jitmeet/start-muted"
MUTE = "http://jitsi.org/jitmeet/audio"
COLIBRI = "http://jitsi.org/protocol/colibri"
JINGLE = "urn:xmpp:jingle:1"
JINGLE_ERRORS = "urn:xmpp:jingle:errors:1"
RTP = "urn:xmpp:jingle:apps:rtp:1"
RTP_AUDIO = "urn:xmpp:jingle:apps:rtp:audio"
RTP_HEADER_EXTENSIONS = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0"
SOURCES = "urn:xmpp:jingle:apps:rtp:ssma:0"
GROUPING = "urn:xmpp:jingle:apps:grouping:0"
ICE_UDP = "urn:xmpp:jingle:transports:ice-udp:1"
DTLS = "urn:xmpp:jingle:apps:dtls:0"
DTLS_SCTP = "urn:xmpp:jingle:transports:dtls-sctp:1"

AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"

_PREFIXES = {"stream": STREAMS}
for _prefix, _namespace in _PREFIXES.items():
    ET.register_namespace(_prefix, _namespace)


def element(
    name: str, namespace: str = CLIENT, /, *children: ET.Element | str | None, **attributes: object
) -> ET.Element:
    """`<name xmlns=namespace …>`; strings become text, None is left out.

    A trailing underscore of an attribute is dropped (`from_`), others become hyphens (`rel_addr`); attributes whose
    value is None are left out.
    """
    made = ET.Element(f"{{{namespace}}}{name}")
    for key, value in attributes.items():
        if value is not None:
            made.set(key.rstrip("_").replace("_", "-"), str(value))
    for child in children:
        if isinstance(child, str):
            made.text = (made.text or "") + child
        elif child is not None:
            made.append(child)
    return made


def parse(text: str) -> ET.Element:
    """The one element that `text` is."""
    return ET.fromstring(text)


def serialise(stanza: ET.Element) -> str:
    """Text with every namespace declared where it begins, as XMPP software likes it: no prefixes but `stream`."""
    return _written(stanza, "")


def _written(node: ET.Element, inherited: str) -> str:
    namespace, name = split_tag(node.tag)
    own = ET.Element(name if namespace != STREAMS else f"stream:{name}", dict(node.attrib))
    if namespace == STREAMS:
        own.set("xmlns:stream", STREAMS)
    elif namespace != inherited:
        own.set("xmlns", namespace)
    for key in [key for key in own.attrib if key.startswith("{http://www.w3.org/XML/1998/namespace}")]:
        own.set("xml:" + key.partition("}")[2], own.attrib.pop(key))
    own.text = node.text
    empty = ET.tostring(own, encoding="unicode", short_empty_elements=False)
    start, end = empty[: empty.rindex("</")], empty[empty.rindex("</") :]
    inside = "".join(_written(child, namespace) for child in node)
    return start + inside + end


def split_tag(tag: str) -> tuple[str, str]:
    """Namespace and name of an element's tag."""
    namespace, found, name = tag.rpartition("}")
    return namespace.lstrip("{") if found else "", name


def named(stanza: ET.Element, name: str, namespace: str) -> bool:
    """Whether it is that element."""
    return stanza.tag == f"{{{namespace}}}{name}"


def child(stanza: ET.Element | None, name: str, namespace: str) -> ET.Element | None:
    """The first such child; None of nothing."""
    return None if stanza is None else stanza.find(f"{{{namespace}}}{name}")


def children(stanza: ET.Element, name: str, namespace: str) -> Iterator[ET.Element]:
    """All such children."""
    yield from stanza.iterfind(f"{{{namespace}}}{name}")


def bare(jid: str) -> str:
    """A JID without its resource."""
    return jid.partition("/")[0]


def resource(jid: str) -> str:
    """What follows the slash; of an occupant, the nick."""
    return jid.partition("/")[2]


def result_of(request: ET.Element, *payload: ET.Element) -> ET.Element:
    """The result to an IQ request."""
    return element(
        "iq", CLIENT, *payload,
        type="result", id=request.get("id"), to=request.get("from"), from_=request.get("to"),
    )  # fmt: skip


def error_of(
    request: ET.Element, condition: str, *app_conditions: ET.Element, kind: str = "cancel", text: str = ""
) -> ET.Element:
    """The error to an IQ request."""
    return element(
        "iq", CLIENT, error(condition, *app_conditions, kind=kind, text=text),
        type="error", id=request.get("id"), to=request.get("from"), from_=request.get("to"),
    )  # fmt: skip


def error(condition: str, *app_conditions: ET.Element, kind: str = "cancel", text: str = "") -> ET.Element:
    """An `<error>` (RFC 6120 section 8.3)."""
    return element(
        "error", CLIENT,
        element(condition, STANZA_ERRORS),
        element("text", STANZA_ERRORS, text) if text else None,
        *app_conditions,
        type=kind,
    )  # fmt: skip


def condition_of(stanza: ET.Element) -> str:
    """Name of the defined condition of an error stanza; empty where there is none."""
    found = child(stanza, "error", CLIENT)
    for part in found if found is not None else ():
        namespace, name = split_tag(part.tag)
        if namespace == STANZA_ERRORS and name != "text":
            return name
    return ""
